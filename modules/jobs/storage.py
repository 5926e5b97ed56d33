"""Whether results can be kept: while they cannot, the queue waits, and goes on by itself after."""

from __future__ import annotations

import errno
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.gallery import DiskFullError, ImageSaveError
from modules.settings import atomic
from modules.settings.notices import Notice, NoticeBoard

log = logging.getLogger("easel.jobs")

NOTICE = "storage"
LOOK_SECONDS, WORRIED_SECONDS = 5.0, 1.0
"""Between two looks at the disk: usually, and while the queue waits for it."""
PROBE_BYTES = 256 * 1024
PROBE_NAME = ".easel-probe"
MEGABYTE = 1024 * 1024

LOW, FULL, REFUSES, DATABASE = "disk_low", "disk_full", "folder_refuses", "database_refuses"

_SENTENCES = {
    LOW: "Only {free} MB are free in {folder} (setting: {wanted} MB).",
    FULL: "No space is left in {folder}.",
    REFUSES: "Pictures cannot be saved in {folder}: {reason}.",
    DATABASE: "The queue cannot be written to {folder}: {reason}.",
}
_WAITS = " The queue waits and goes on by itself when this is over."


@dataclass(frozen=True)
class Trouble:
    """Why results cannot be kept."""

    code: str
    folder: str
    params: dict[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """For people."""
        return _SENTENCES[self.code].format(folder=self.folder, **self.params)

    @property
    def stops_everything(self) -> bool:
        """False where only pictures that go to the output folder are concerned."""
        return self.code != REFUSES

    @classmethod
    def of(cls, error: Exception, data: Path) -> Trouble | None:
        """What an error of saving means for the jobs to come; None for what is no one's fault."""
        if isinstance(error, DiskFullError) and error.folder is not None:
            return cls(FULL, str(error.folder))
        if isinstance(error, ImageSaveError) and error.folder is not None:
            return cls(REFUSES, str(error.folder), {"reason": error.reason})
        if isinstance(error, sqlite3.OperationalError):
            full = "full" in str(error)
            return (
                cls(FULL, str(data)) if full else cls(DATABASE, str(data), {"reason": str(error)})
            )
        return None


class StorageWatch:
    """Looks at the disks now and then, and hears of what could not be written.

    ``recover()`` writes what waits in memory; it raises the error that still keeps it from that.
    """

    def __init__(
        self,
        data: Path,
        folders: Callable[[], Iterable[Path]],
        wanted_mb: Callable[[], int],
        recover: Callable[[], None],
        changed: Callable[[], None],
        notices: NoticeBoard,
        holds: bool = True,
    ) -> None:
        """With ``holds=False`` nothing ever waits: a command ends instead."""
        self._data = data
        self._folders = folders
        self._wanted_mb = wanted_mb
        self._recover = recover
        self._changed = changed
        self._notices = notices
        self._holds = holds
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._trouble: Trouble | None = None
        self._ignored: tuple[str, str] | None = None
        self._stopping = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="easel-storage", daemon=True)

    # ---- what the queue asks

    @property
    def trouble(self) -> Trouble | None:
        """What holds the queue; None while all is well, or when somebody said to go on."""
        with self._lock:
            trouble = self._trouble
            ignored = trouble is not None and self._ignored == (trouble.code, trouble.folder)
        return None if ignored else trouble

    def lets(self, saves: bool) -> bool:
        """Whether a job may start that does (not) write into the output folders."""
        trouble = self.trouble if self._holds else None
        return trouble is None or not (saves or trouble.stops_everything)

    def report(self, error: Exception) -> None:
        """Something could not be written; the queue waits from now on."""
        trouble = Trouble.of(error, self._data)
        if trouble is not None:
            self._set(trouble)
            self._wake.set()

    def ignore(self) -> None:
        """Go on all the same, until this trouble is over or another one comes."""
        with self._lock:
            if self._trouble is not None:
                self._ignored = (self._trouble.code, self._trouble.folder)
        self._show()

    # ---- life

    def start(self) -> None:
        """Look once, and then now and then."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(WORRIED_SECONDS)

    def _watch(self) -> None:
        while True:
            self._wake.wait(WORRIED_SECONDS if self._trouble else LOOK_SECONDS)
            if self._stopping:
                return
            worried = self._wake.is_set()
            self._wake.clear()
            if worried:
                continue  # something failed just now: not at once again
            try:
                self.look()
            except Exception:
                log.exception("the disk could not be looked at")

    def look(self) -> None:
        """Write what waits, and see whether there is room; the queue stops or goes on by that."""
        with self._looking:
            self._set(self._still_refused() or self._low())

    def _still_refused(self) -> Trouble | None:
        """What keeps us from writing what waits, or from writing at all after a failure."""
        try:
            self._recover()
        except (ImageSaveError, sqlite3.Error, OSError) as error:
            found = Trouble.of(error, self._data)
            if found is not None:
                return found
            log.warning("what waits could not be written: %s", error)
            return self._trouble
        before = self._trouble
        if before is None or before.code == LOW:
            return None
        folder = Path(before.folder)
        if before.code == REFUSES and not any(map(folder.is_relative_to, self._folders())):
            return None  # the settings name another folder now
        return before if _refuses(folder) else None

    def _low(self) -> Trouble | None:
        wanted = self._wanted_mb()
        if not wanted:
            return None
        for folder in dict.fromkeys((self._data, *self._folders())):
            free = free_bytes(folder)
            if free is not None and free < wanted * MEGABYTE:
                told = {"free": str(free // MEGABYTE), "wanted": str(wanted)}
                return Trouble(LOW, str(folder), told)
        return None

    def _set(self, trouble: Trouble | None) -> None:
        with self._lock:
            before, self._trouble = self._trouble, trouble
            if trouble is None:
                self._ignored = None
        if trouble == before:
            return
        self._show()
        if trouble is not None and (before is None or before.code != trouble.code):
            log.warning("%s%s", trouble.sentence, _WAITS if self._holds else "")
        elif trouble is None:
            log.info("results can be kept again; the queue goes on")
        self._changed()

    def _show(self) -> None:
        trouble = self._trouble
        if trouble is None:
            self._notices.remove(NOTICE)
            return
        waits = self.trouble is not None
        self._notices.add(
            Notice(
                id=NOTICE,
                text=trouble.sentence + (_WAITS if waits else ""),
                code=trouble.code if waits else "",
                params={"folder": trouble.folder, **trouble.params},
                kind="error" if waits else "warning",
                action="go_on" if waits else "",
                lasting=True,
            )
        )

    def to_json(self) -> dict[str, Any] | None:
        """Why the queue waits, for pages and clients."""
        trouble = self.trouble
        if trouble is None:
            return None
        return {"code": trouble.code, "folder": trouble.folder, "text": trouble.sentence}


def free_bytes(folder: Path) -> int | None:
    """Room on the disk of a folder, or of the nearest one above it that is there."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _refuses(folder: Path) -> bool:
    """Whether a small file still cannot be written there."""
    probe = folder / PROBE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(probe, b"\0" * PROBE_BYTES)
        probe.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            log.debug("%s still refuses: %s", folder, error)
        return True
    return False
