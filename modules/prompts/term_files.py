"""Term lists: ``<name>.txt`` in the folder ``term-lists``, one term a line, ``#`` for remarks."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from modules.prompts.terms import STEPS, TermTree, readings
from modules.settings import atomic

FOLDER = "term-lists"
MAX_FILE_BYTES = 1024 * 1024
MAX_LISTS = 100
NAME = re.compile(r"[^\W_][\w -]{0,59}")
"""Of a list: letters, digits, spaces, ``_`` and ``-``."""

log = logging.getLogger("easel.prompts")


@dataclass(frozen=True)
class TermList:
    """One file."""

    name: str
    terms: TermTree
    problem: str = ""
    """Why it cannot be read; its terms are then those of before, or none."""


@dataclass(frozen=True)
class Hit:
    """A term in a prompt."""

    list: str
    words: str
    """As they were found."""


class TermLibrary:
    """Reads the term lists of one folder, anew when a file was changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int], TermList]] = {}

    def lists(self) -> list[TermList]:
        """All lists, by name."""
        with self._lock:
            found = {path.stem: self._read(path) for path in self._files()}
            self._known = {name: self._known[name] for name in found if name in self._known}
            return [found[name] for name in sorted(found)]

    def search(
        self, prompts: Iterable[str], without: Collection[str] = (), steps: int = STEPS
    ) -> Hit | None:
        """The first term of a list in one of the prompts.

        Args:
            steps: of the sampler, for prompts that change on the way.
            without: names of lists that are not applied.

        Raises:
            OSError: a list that is to be applied has never been readable.
        """
        lists = [one for one in self.lists() if one.name not in without]
        for one in lists:
            if one.problem and not one.terms.count:
                raise OSError(one.name)
        lists = [one for one in lists if one.terms.count]
        if not lists:
            return None
        for prompt in dict.fromkeys(prompts):
            for words in readings(prompt, steps):
                for one in lists:
                    found = one.terms.find(words)
                    if found is not None:
                        return Hit(one.name, " ".join(found))
        return None

    def text(self, name: str) -> str | None:
        """The file's text; None when there is no such list."""
        path = self._path(name)
        try:
            return path.read_bytes()[:MAX_FILE_BYTES].decode("utf-8-sig", "replace")
        except FileNotFoundError:
            return None

    def save(self, name: str, text: str) -> None:
        """Write a list.

        Raises:
            ValueError: the name or the size is not possible.
            OSError: it cannot be written.
        """
        path = self._path(name)
        data = text.encode("utf-8", "replace")
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"a list has {MAX_FILE_BYTES:,} bytes at most, not {len(data):,}")
        if not path.exists() and len(self._files()) >= MAX_LISTS:
            raise ValueError(f"there are {MAX_LISTS} lists already")
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)

    def delete(self, name: str) -> bool:
        """Remove a list; False when there is none of that name."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        """
        Raises:
            ValueError: no list can have this name.
        """
        if not NAME.fullmatch(name) or name != name.strip():
            raise ValueError("a name has 1 to 60 letters, digits, spaces, _ or -")
        return self.folder / f"{name}.txt"

    def _files(self) -> list[Path]:
        try:
            found = sorted(self.folder.glob("*.txt"))
        except OSError:
            return []
        return [path for path in found if NAME.fullmatch(path.stem) and path.is_file()][:MAX_LISTS]

    def _read(self, path: Path) -> TermList:
        try:
            status = path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
            known = self._known.get(path.stem)
            if known is not None and known[0] == stamp:
                return known[1]
            if status.st_size > MAX_FILE_BYTES:
                raise OSError(f"it has {status.st_size:,} bytes; allowed are {MAX_FILE_BYTES:,}")
            read = TermList(path.stem, TermTree.of(_terms(path.read_bytes())))
        except OSError as error:
            return self._unreadable(path, error)
        self._known[path.stem] = (stamp, read)
        return read

    def _unreadable(self, path: Path, error: OSError) -> TermList:
        """What the list said before holds on: no control goes because a file cannot be read."""
        reason = error.strerror or str(error)
        log.warning("the term list %s cannot be read: %s", path.name, reason)
        before = self._known.get(path.stem)
        return TermList(path.stem, before[1].terms if before else TermTree(), reason)


def _terms(data: bytes) -> list[str]:
    lines = (line.strip() for line in data.decode("utf-8-sig", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
