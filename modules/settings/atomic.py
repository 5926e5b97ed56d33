"""Files are either the old version or the new one, never half of each.

Every writer makes a temporary file in the target's folder, flushes it to the disk and renames it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()
"""Asked once, while there is one thread: asking changes it for a moment."""
STALE_SECONDS = 3600.0
"""No write takes longer."""
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace ``path`` by ``data`` in one step; a private file is the owner's alone throughout.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full; the old file stays.
    """
    with _named(path):
        temporary = _write_temporary(path, data, private=private)
        try:
            os.replace(temporary, path)
        except OSError:
            _remove_quietly(temporary)
            raise
    _sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Create ``path`` with ``data``; an existing file is never overwritten.

    Two processes that race for one name cannot both win: the finished temporary file is hard-linked
    to its name, which fails when the name exists. File systems without hard links reserve the name
    exclusively and rename over it.

    Raises:
        FileExistsError: the name is taken.
        OSError: the folder is missing or not writable, or the disk is full.
    """
    if path.exists():
        raise FileExistsError(str(path))
    with _named(path):
        temporary = _write_temporary(path, data)
        try:
            _claim_name(temporary, path)
        finally:
            _remove_quietly(temporary)
    _sync_folder(path.parent)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Replace ``path`` by ``text`` in UTF-8; lone surrogates become question marks."""
    write_bytes(path, text.encode("utf-8", errors="replace"), private=private)


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Replace ``path`` by ``value`` as indented JSON.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which are not JSON.
    """
    text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", private=private)


def remove_stale(folder: Path, seconds: float = STALE_SECONDS) -> int:
    """Delete temporary files whose writer was killed that long ago or longer; gives how many."""
    removed = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) is None:
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime >= seconds:
                    os.unlink(entry.path)
                    removed += 1
    return removed


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors name the file that was meant, not the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _write_temporary(path: Path, data: bytes, *, private: bool = False) -> Path:
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".tmp"
    )
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if not private:
            _give_usual_permissions(temporary)
    except BaseException:
        _remove_quietly(temporary)
        raise
    return temporary


def _claim_name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
        return
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):
        reservation = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.close(reservation)
        try:
            os.replace(temporary, path)
        except OSError:
            _remove_quietly(path)
            raise


def _give_usual_permissions(path: Path) -> None:
    """mkstemp makes files private (0600); results follow the user's umask like other files."""
    if os.name != "posix":
        return
    path.chmod(0o666 & ~_UMASK)


def _sync_folder(folder: Path) -> None:
    """A rename lasts only when its folder entry is on the disk; Windows cannot open folders."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_quietly(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
