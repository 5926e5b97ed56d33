"""The list of downloads: a few at once, resumed after a break, remembered over restarts."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from modules.catalog.download import DownloadCancelled, DownloadFailed, FileOrder, fetch_file
from modules.catalog.downloads.kinds import KINDS, find_kind, safe_folder, safe_name
from modules.catalog.downloads.sources import OffLine, Source, resolve
from modules.catalog.downloads.tokens import TokenStore
from modules.catalog.hashes import HashCache
from modules.catalog.user_metadata import change_user_metadata, read_user_metadata
from modules.requests.errors import RequestError
from modules.settings.atomic import write_json
from modules.settings.damage import ANEW, Damage, Told, only_logged, set_aside
from modules.settings.paths import Paths

log = logging.getLogger("easel.catalog")

AT_ONCE = 2
MAX_WAITING = 50
MAX_KEPT = 100
"""Finished downloads that the list remembers."""
WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
SPEED_SECONDS = 4.0
"""The speed is measured over so long."""
TELL_SECONDS = 0.4


@dataclass(frozen=True)
class DownloadOrder:
    """What a person asks for."""

    address: str
    kind: str = ""
    """Key of a kind; empty: what the address suggests."""
    folder: str = ""
    """Below the kind's folder."""
    file: str = ""
    """Another name for the file."""
    sha256: str = ""
    """Of the file, if the person knows it."""


@dataclass(frozen=True)
class Download:
    """One download as the list shows it."""

    id: str
    address: str
    kind: str
    file: str
    folder: str
    """The whole path of the folder."""
    url: str
    page: str = ""
    title: str = ""
    licence: str = ""
    words: tuple[str, ...] = ()
    description: str = ""
    size: int | None = None
    sha256: str | None = None
    """Expected, or found when it was checked."""
    checked: bool = False
    """Whether the file's hash was compared with the expected one."""
    state: str = WAITING
    received: int = 0
    speed: float = 0.0
    """Bytes in a second."""
    error: str = ""
    created: float = field(default_factory=time.time)
    finished: float | None = None

    @property
    def target(self) -> Path:
        """Where the file will be."""
        return Path(self.folder) / self.file

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object, with the seconds that are left."""
        left = (self.size - self.received) / self.speed if self.size and self.speed else None
        return {**asdict(self), "eta": left if self.state == RUNNING else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Download:
        """Read it back; keys of other versions are ignored."""
        names = {entry.name for entry in fields(cls)}
        known = {key: value for key, value in data.items() if key in names}
        return cls(**{**known, "words": tuple(known.get("words") or ())})


class DownloadManager:
    """Downloads in threads. All methods may be called from any thread.

    `allow_private` says whether the local network is allowed, now; `tell` hears of changes a few
    times a second, `arrived` of every file that is there.
    """

    def __init__(
        self,
        paths: Paths,
        hashes: HashCache,
        allow_private: Callable[[], bool] = lambda: False,
        tell: Callable[[], None] = lambda: None,
        arrived: Callable[[Path], None] = lambda path: None,
        *,
        remembers: bool = True,
        damaged: Told = only_logged,
    ) -> None:
        """`remembers=False` is for a process beside a server, whose list it must not touch.

        `damaged` hears of files of ours that cannot be read.
        """
        self.paths = paths
        self._damaged = damaged
        self.tokens = TokenStore(paths.data / "tokens.json", damaged)
        self._hashes = hashes
        self._allow_private = allow_private
        self._tell = tell
        self._arrived = arrived
        self._file = paths.cache / "downloads.json" if remembers else None
        self._lock = threading.RLock()
        self._list: dict[str, Download] = self._read()
        self._cancelled: set[str] = set()
        self._closing = False
        self._workers: list[threading.Thread] = []
        self._told = 0.0

    def inspect(self, address: str) -> Source:
        """What an address leads to.

        Raises:
            RequestError: nothing that can be used, or it cannot be reached.
        """
        from modules.catalog.guarded_http import AddressRules

        rules = AddressRules(self._allow_private())
        try:
            return resolve(address.strip(), rules, self.tokens)
        except OffLine as error:
            raise OffLine("address", address, f"{_reason(error)} {self._folders()}") from error

    def _folders(self) -> str:
        named = {kind.key: kind.folder(self.paths) for kind in KINDS}
        return (
            f"Checkpoints go into {named['checkpoint']}, LoRA files into {named['lora']}, "
            f"embeddings into {named['embedding']}."
        )

    def start(self, order: DownloadOrder) -> Download:
        """Find the file behind an address and put it on the list.

        Raises:
            RequestError: the order cannot be carried out; says why.
        """
        source = self.inspect(order.address)
        if not source.url:
            files = ", ".join(choice.file for choice in source.choices[:8])
            raise RequestError(
                "address", order.address, f"there are several files; name one: {files}."
            )
        kind = find_kind(order.kind or source.kind)
        folder = safe_folder(kind.folder(self.paths), order.folder)
        download = Download(
            id=secrets.token_hex(8),
            address=order.address.strip(),
            kind=kind.key,
            file=safe_name(order.file or source.file),
            folder=str(folder),
            url=source.url,
            page=source.page,
            title=source.title,
            licence=source.licence,
            words=source.words,
            description=source.description,
            size=source.size,
            sha256=_checked_hash(order.sha256) or source.sha256,
        )
        self._admit(download)
        self._work()
        return download

    def _admit(self, download: Download) -> None:
        with self._lock:
            for other in self._list.values():
                active = other.state in (WAITING, RUNNING)
                if active and other.target == download.target:
                    raise RequestError("file", download.file, "it is being downloaded already.")
            if download.target.exists():
                raise RequestError(
                    "file", download.file, f"{download.file} is in {download.folder} already."
                )
            waiting = sum(other.state == WAITING for other in self._list.values())
            if waiting >= MAX_WAITING:
                raise RequestError("address", download.address, "too many downloads are waiting.")
            self._list[download.id] = download
            self._keep()
        self._say()

    def list(self) -> list[Download]:
        """All downloads, the newest first."""
        with self._lock:
            return sorted(self._list.values(), key=lambda one: -one.created)

    def get(self, download_id: str) -> Download | None:
        """One download."""
        with self._lock:
            return self._list.get(download_id)

    def cancel(self, download_id: str) -> bool:
        """Stop a download; what is there already is kept, so that it can go on later."""
        with self._lock:
            download = self._list.get(download_id)
            if download is None or download.state not in (WAITING, RUNNING):
                return False
            self._cancelled.add(download_id)
            if download.state == WAITING:
                self._change(download_id, state=STOPPED)
        self._say()
        return True

    def resume(self, download_id: str) -> bool:
        """Go on with a download that was stopped or failed."""
        with self._lock:
            download = self._list.get(download_id)
            if download is None or download.state not in (STOPPED, FAILED):
                return False
            self._cancelled.discard(download_id)
            self._change(download_id, state=WAITING, error="", speed=0.0)
        self._work()
        self._say()
        return True

    def forget(self, download_id: str) -> bool:
        """Take a download that does not run off the list, with the part that is there of it."""
        with self._lock:
            download = self._list.get(download_id)
            if download is None or download.state == RUNNING:
                return False
            del self._list[download_id]
            self._keep()
        if download.state != DONE:
            order = self._order(download)
            order.part.unlink(missing_ok=True)
            order.note.unlink(missing_ok=True)
        self._say()
        return True

    def stop(self) -> None:
        """End all downloads within moments; they can go on at the next start."""
        self._closing = True
        for worker in self._workers:
            worker.join(timeout=5)

    def wait(self, download_id: str, poll: Callable[[Download], None]) -> Download:
        """Return when a download has ended; `poll` sees it a few times a second."""
        while True:
            download = self._list[download_id]
            poll(download)
            if download.state not in (WAITING, RUNNING):
                return download
            time.sleep(0.2)

    # ---- the workers' side

    def _work(self) -> None:
        with self._lock:
            self._workers = [worker for worker in self._workers if worker.is_alive()]
            if len(self._workers) < AT_ONCE and not self._closing:
                worker = threading.Thread(target=self._run, name="easel-download", daemon=True)
                self._workers.append(worker)
                worker.start()

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                waiting = [one for one in self._list.values() if one.state == WAITING]
                if not waiting:
                    # Under the lock: whoever adds one afterwards sees that this worker is gone.
                    self._workers.remove(threading.current_thread())
                    return
                download = min(waiting, key=lambda one: one.created)
                self._change(download.id, state=RUNNING, error="")
            self._say()
            self._fetch(download)
            self._say()

    def _fetch(self, download: Download) -> None:
        meter = _Meter()

        def report(have: int, total: int | None) -> None:
            with self._lock:
                self._list[download.id] = replace(
                    self._list[download.id],
                    received=have,
                    size=total or download.size,
                    speed=meter.speed(have),
                )
            self._say(seldom=True)

        def stops() -> bool:
            return self._closing or download.id in self._cancelled

        try:
            digest = fetch_file(self._order(download), report, stops)
        except DownloadCancelled:
            with self._lock:
                self._cancelled.discard(download.id)
                self._change(download.id, state=STOPPED, speed=0.0)
        except RequestError as error:
            self._change(download.id, state=FAILED, speed=0.0, error=_reason(error))
        except Exception:
            log.exception("a download failed")
            self._change(download.id, state=FAILED, speed=0.0, error="An unexpected error.")
        else:
            self._done(download, digest)

    def _done(self, download: Download, digest: str | None) -> None:
        size = download.target.stat().st_size
        self._change(
            download.id,
            state=DONE,
            received=size,
            size=size,
            speed=0.0,
            finished=time.time(),
            checked=digest is not None,
        )
        if digest is not None:
            self._hashes.remember(download.target, digest)
        _note_origin(download)
        self._arrived(download.target)

    def _order(self, download: Download) -> FileOrder:
        from modules.catalog.guarded_http import AddressRules

        return FileOrder(
            name=download.file,
            url=download.url,
            target=download.target,
            size=download.size if download.sha256 else None,
            sha256=download.sha256,
            headers=self.tokens.headers_for(download.url),
            rules=AddressRules(self._allow_private()),
        )

    def _change(self, download_id: str, **changes: Any) -> None:
        with self._lock:
            if download_id in self._list:
                self._list[download_id] = replace(self._list[download_id], **changes)
                self._keep()

    def _say(self, *, seldom: bool = False) -> None:
        now = time.monotonic()
        if seldom and now - self._told < TELL_SECONDS:
            return
        self._told = now
        self._tell()

    # ---- over restarts

    def _keep(self) -> None:
        ended = [one for one in self._list.values() if one.state == DONE]
        for old in sorted(ended, key=lambda one: -one.created)[MAX_KEPT:]:
            del self._list[old.id]
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, {"downloads": [asdict(one) for one in self._list.values()]})
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file.name, error)

    def _read(self) -> dict[str, Download]:
        if self._file is None:
            return {}
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))["downloads"]
            listed = [Download.from_json(entry) for entry in content]
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("%s cannot be read: %s", self._file.name, error)
            return {}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            aside = set_aside(self._file)
            self._damaged(Damage(self._file.name, aside.name if aside else "", ANEW))
            return {}
        broken_off = (WAITING, RUNNING)
        return {
            one.id: replace(one, state=STOPPED, speed=0.0) if one.state in broken_off else one
            for one in listed
        }


class _Meter:
    """The speed of the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def speed(self, have: int) -> float:
        """Bytes in a second, after one more look."""
        now = time.monotonic()
        self._seen.append((now, have))
        while len(self._seen) > 2 and now - self._seen[0][0] > SPEED_SECONDS:
            self._seen.popleft()
        begun, before = self._seen[0]
        return (have - before) / (now - begun) if now > begun else 0.0


def _reason(error: RequestError) -> str:
    """The sentence without the name of a field that a person never filled in."""
    reason = error.sentence.partition(": ")[2] or error.sentence
    # Sentences about a file begin with its name.
    return reason if isinstance(error, DownloadFailed) else reason[:1].upper() + reason[1:]


def _checked_hash(text: str) -> str | None:
    plain = text.strip().lower()
    if not plain:
        return None
    if len(plain) != 64 or any(sign not in "0123456789abcdef" for sign in plain):
        raise RequestError("sha256", text, "allowed: 64 hexadecimal digits.")
    return plain


def _note_origin(download: Download) -> None:
    """Write where a file came from beside it, as far as nothing is noted there yet."""
    noted = read_user_metadata(download.target)
    found = {
        "source": download.page or download.url,
        "licence": download.licence,
        "description": download.description,
        "activation_text": ", ".join(download.words[:1]),
    }
    changes = {name: text for name, text in found.items() if text and not getattr(noted, name)}
    try:
        change_user_metadata(download.target, changes)
    except (OSError, RequestError) as error:
        log.warning("the origin of %s was not noted: %s", download.file, error)
