"""The process that opens files from outside: paths in on stdin, indexes out on stdout, one a line.

    python -I -S reader.py

It may use little memory and little time for each file, and do nothing to the system but read files
(`modules.sandbox`). When it is ended for that, the file is at fault. After an answer that begins
with `LAST` it has used up its memory and is to be replaced.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run by its path, outside any package, so that nothing else is imported
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.pickles.index import read_index
from modules.pickles.values import Refused, Tensor
from modules.sandbox import limits, syscalls

MEMORY = 192 * 1024 * 1024
"""Of address space; a fresh process has about 30 MB of it."""
SECONDS = 4
"""Of processor time for one file; a real one takes a tenth of a second."""
MAX_ANSWER = 6 * 1024 * 1024
"""Bytes; the index of SDXL has 0.3 MB."""


LAST = b'{"last"'


def examined(path: str) -> dict[str, Any]:
    """The index of a file as JSON, or why there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _binary())
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return {"refused": "is not a regular file"}
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            index = read_index(stream)
        return {
            "size": index.file_size,
            "modified": index.modified,
            "content": packed(index.content),
        }
    except Refused as refusal:
        return {"refused": refusal.reason}
    except OSError as error:
        return {"refused": f"cannot be read ({error.strerror or error})"}
    except (MemoryError, RecursionError):
        return {"last": True, "refused": "is too large or too deep inside"}
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        return {"refused": f"is not a sound weights file ({type(error).__name__})"}


def packed(value: Any) -> Any:
    """JSON of a value; whatever JSON has no notation for stands in a list behind a letter."""
    if isinstance(value, Tensor):
        return ["t", *value]
    if isinstance(value, dict):
        return ["d", [[packed(key), packed(item)] for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        return ["l", [packed(item) for item in value]]
    if isinstance(value, bytes):
        return ["b", value.hex()]
    if isinstance(value, float):
        return ["f", value.hex()]
    return value


def unpacked(value: Any) -> Any:
    """The value that `packed` made."""
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind == "t":
        dtype, shape, begin, end, strides = rest
        return Tensor(dtype, tuple(shape), begin, end, None if strides is None else tuple(strides))
    if kind == "d":
        return {_hashable(unpacked(key)): unpacked(item) for key, item in rest[0]}
    if kind == "l":
        return [unpacked(item) for item in rest[0]]
    if kind == "b":
        return bytes.fromhex(rest[0])
    return float.fromhex(rest[0])


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def serve() -> None:
    """Answer until stdin closes."""
    answers = sys.stdout.buffer
    limits.write_nothing()
    limits.allow_memory(MEMORY)
    syscalls.only_read()
    for line in sys.stdin.buffer:
        limits.allow_seconds(SECONDS)
        answer = json.dumps(examined(json.loads(line)), ensure_ascii=True).encode("ascii")
        if len(answer) > MAX_ANSWER:
            answer = json.dumps({"refused": "holds too many values"}).encode("ascii")
        answers.write(answer + b"\n")
        answers.flush()


def _binary() -> int:
    return getattr(os, "O_BINARY", 0)


if __name__ == "__main__":
    serve()
