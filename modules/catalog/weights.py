"""The tensors of a weights file of any format, told by its content and not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError
from modules.catalog.gguf import gguf_header, is_gguf
from modules.catalog.header import Header, TensorEntry, open_regular, safetensors_header
from modules.pickles.child import examine
from modules.pickles.values import FileIndex, Refused, Tensor

STATE_DICT = "state_dict"
MAX_NESTING = 3
"""State dicts inside state dicts, as some training programs leave them."""
_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
FACTS = ("global_step", "epoch", "pytorch-lightning_version")
"""What training programs write beside the weights and people like to know."""


def weights_header(path: Path) -> Header:
    """Names, shapes and places of the tensors of a safetensors or GGUF file, or one of torch's.

    Torch's are looked at in a process with limits; nothing in them is ever run.

    Raises:
        UnreadableModelError: the file is missing, damaged, hostile, or of no known format.
    """
    if is_gguf(path):
        return gguf_header(path)
    if is_safetensors(path):
        return safetensors_header(path)
    index = torch_index(path)
    told = index.content
    facts = {name: str(told[name]) for name in FACTS if isinstance(told.get(name), (int, str))}
    return Header(path, _entries(_state_dict(told)), facts, index.file_size, index.modified)


def is_safetensors(path: Path) -> bool:
    """Whether a file is to be read as safetensors: by its start, or when that tells nothing.

    Raises:
        UnreadableModelError: it is no file, or cannot be read.
    """
    try:
        with open_regular(path) as stream:
            start = stream.read(16) or b""
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error
    if start[8:9] == b"{":
        return True
    torch_start = start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in _PROTOCOLS)
    return path.suffix.lower() == ".safetensors" and not torch_start


def torch_index(path: Path) -> FileIndex:
    """Everything that one of torch's files holds, with `Tensor` for each tensor.

    Raises:
        UnreadableModelError: it is damaged, hostile or no weights file; says why.
    """
    try:
        return examine(path)
    except Refused as refusal:
        raise UnreadableModelError(path, refusal.reason) from None


def entry_of(tensor: Tensor) -> TensorEntry:
    """A tensor of one of torch's files as our readers know tensors."""
    return TensorEntry(tensor.dtype, tensor.shape, tensor.begin, tensor.end, tensor.strides)


def _state_dict(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    for _ in range(MAX_NESTING):
        inner = content.get(STATE_DICT)
        if not isinstance(inner, dict):
            break
        content = inner
    return content


def _entries(state: Mapping[Any, Any]) -> dict[str, TensorEntry]:
    return {
        name: entry_of(value)
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
