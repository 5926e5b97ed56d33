"""Files that cannot be read are set aside under a dated name, never deleted, and told."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("easel.settings")

LAST_GOOD = "last_good"
"""The copy of the last version that was whole."""
DEFAULTS = "defaults"
READABLE = "readable"
"""What could still be read of the damaged file."""
ANEW = "anew"
"""A file that the program fills again by itself, or begins empty."""

_WORDS = {
    LAST_GOOD: "the last good copy was taken",
    DEFAULTS: "the defaults were taken",
    READABLE: "what could still be read of it was taken",
    ANEW: "a new one was begun",
}
KEPT = 5
"""So many damaged versions of one file are kept; the oldest go."""
_MARK = ".corrupt-"
_PARTS = ("-wal", "-shm")
"""What SQLite keeps beside a database."""


@dataclass(frozen=True)
class Damage:
    """One file that could not be read."""

    file: str
    """Its name."""
    aside: str
    """The name it has now; empty when it could not be moved."""
    instead: str
    """What is used instead: one of the words above."""

    @property
    def sentence(self) -> str:
        """For people."""
        where = f"was set aside as {self.aside}" if self.aside else "could not be set aside"
        return f"{self.file} could not be read and {where}; {_WORDS[self.instead]}."


Told = Callable[[Damage], None]
"""Hears of a damaged file."""


def only_logged(damage: Damage) -> None:
    """For programs without a page."""
    log.warning("%s", damage.sentence)


def set_aside(path: Path, *, copy: bool = False) -> Path | None:
    """Give a damaged file, and what SQLite keeps beside it, a dated name in the same folder.

    With ``copy`` the file also stays where it is. None when the folder does not let us.
    """
    aside = _free_name(path)
    try:
        if copy:
            shutil.copy2(path, aside)
        else:
            path.replace(aside)
    except OSError as error:
        log.warning("%s cannot be set aside: %s", path.name, error)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)  # half a copy
        return None
    for part in _PARTS:
        beside = path.with_name(path.name + part)
        with contextlib.suppress(OSError):
            beside.replace(aside.with_name(aside.name + part))
    _forget_oldest(path)
    return aside


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}{_MARK}{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{_MARK}{stamp}-{number}")
    return aside


def _forget_oldest(path: Path) -> None:
    with contextlib.suppress(OSError):
        found = [
            other
            for other in path.parent.iterdir()
            if other.name.startswith(path.name + _MARK) and not other.name.endswith(_PARTS)
        ]
        for old in sorted(found, key=lambda other: other.stat().st_mtime)[:-KEPT]:
            for name in (old.name, *(old.name + part for part in _PARTS)):
                old.with_name(name).unlink(missing_ok=True)
