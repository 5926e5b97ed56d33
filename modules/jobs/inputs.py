"""Input pictures of jobs: checked once, then kept by their content until no job needs them.

A job in the queue names a picture as ``input:<sha256>``; the bytes are those that were given.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from modules.imaging.reading import MAX_MEGAPIXELS, PictureFacts, check_picture
from modules.requests.errors import RequestError
from modules.settings import atomic
from modules.settings.paths import Paths

FOLDER = "inputs"
PREFIX = "input:"
REFERENCE = re.compile(r"input:([0-9a-f]{64})")
KEPT_SECONDS = 7 * 24 * 3600.0
"""A picture that no job needs stays this long after it was last given."""
KEPT_BYTES = 4 * 1024**3
YOUNG_SECONDS = 3600.0
MAX_FACTS = 4096
STORED_MEGAPIXELS = 400.0
"""A picture that is stored was within the limit of its time; it is not measured by another."""


@dataclass(frozen=True)
class StoredInput:
    """A picture that a job may use; width and height are those of the upright picture."""

    ref: str
    path: Path
    width: int
    height: int
    mode: str
    has_alpha: bool

    @property
    def sha256(self) -> str:
        """The reference without its prefix."""
        return self.ref.removeprefix(PREFIX)


class InputStore:
    """Pictures below ``<data>/cache/inputs``, named by the SHA-256 of their bytes."""

    def __init__(self, paths: Paths) -> None:
        self.folder = paths.cache / FOLDER
        self._facts: dict[str, PictureFacts] = {}
        self._lock = threading.Lock()

    def put(
        self, data: bytes, field: str = "image", max_megapixels: float | None = None
    ) -> StoredInput:
        """Check a picture and keep its bytes; the same bytes are kept once.

        Raises:
            RequestError: it is no picture, damaged, or larger than allowed.
            OSError: it could not be written.
        """
        facts = check_picture(data, field, max_megapixels=max_megapixels or MAX_MEGAPIXELS)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path_of(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(path, data)
        return self._stored(digest, path, facts)

    def get(
        self, ref: str, field: str = "image", max_megapixels: float | None = None
    ) -> StoredInput:
        """The picture of a reference.

        Raises:
            RequestError: it is no reference, or the picture is not there any more.
        """
        path = self.path(ref, field)
        digest = ref.removeprefix(PREFIX)
        with self._lock:
            facts = self._facts.get(digest)
        if facts is None:
            try:
                facts = check_picture(path.read_bytes(), field, STORED_MEGAPIXELS)
            except OSError:
                raise _gone(ref, field) from None
        _check_megapixels(facts, field, max_megapixels)
        with contextlib.suppress(OSError):
            os.utime(path)
        return self._stored(digest, path, facts)

    def path(self, ref: str, field: str = "image") -> Path:
        """The file of a reference.

        Raises:
            RequestError: it is no reference, or the picture is not there any more.
        """
        match = REFERENCE.fullmatch(ref)
        if match is None:
            raise RequestError(field, ref, "it is no reference like input:<64 hexadecimal digits>.")
        path = self._path_of(match.group(1))
        if not path.is_file():
            raise _gone(ref, field)
        return path

    def prune(
        self, keep: Set[str], seconds: float = KEPT_SECONDS, max_bytes: int = KEPT_BYTES
    ) -> int:
        """Delete pictures that are not in ``keep`` (references) and were not given for so long.

        Where all of them take more than ``max_bytes``, the oldest go sooner, but none that was
        given within the last hour. Returns how many went.
        """
        unused, total = [], 0
        for path in self.folder.glob("??/*"):
            if not re.fullmatch(r"[0-9a-f]{64}", path.name):
                continue
            with contextlib.suppress(OSError):
                status = path.stat()
                total += status.st_size
                if PREFIX + path.name not in keep:
                    unused.append((status.st_mtime, status.st_size, path))
        removed = 0
        for given, size, path in sorted(unused, key=lambda entry: entry[0]):
            age = time.time() - given
            if age > seconds or (total > max_bytes and age > YOUNG_SECONDS):
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size
                    removed += 1
        return removed

    def _path_of(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest

    def _stored(self, digest: str, path: Path, facts: PictureFacts) -> StoredInput:
        with self._lock:
            if len(self._facts) >= MAX_FACTS:
                self._facts.clear()
            self._facts[digest] = facts
        return StoredInput(
            PREFIX + digest, path, facts.width, facts.height, facts.mode, facts.has_alpha
        )


def is_reference(text: str) -> bool:
    """Whether a picture field holds a reference already."""
    return text.startswith(PREFIX)


def _check_megapixels(facts: PictureFacts, field: str, limit: float | None) -> None:
    megapixels = facts.width * facts.height / 1e6
    if limit is not None and megapixels > limit:
        size = f"{facts.width}x{facts.height}"
        raise RequestError(
            field, size, f"the picture is {size} = {megapixels:.1f} megapixels; allowed: {limit:g}."
        )


def _gone(ref: str, field: str) -> RequestError:
    return RequestError(field, ref, "this picture is not stored any more; send it again.")
