"""Fetch a model file: resumed where it stopped, checked before it gets its name, said plainly when
it cannot be had."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from modules.requests.errors import RequestError
from modules.settings.atomic import write_json

if TYPE_CHECKING:
    import httpx

    from modules.catalog.guarded_http import AddressRules

logger = logging.getLogger("easel.catalog")

BLOCK = 1024 * 1024
ATTEMPTS = 4
"""A connection that breaks is taken up again so many times before a person is asked."""
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before each further one."""
MAX_BYTES = 32 * 1024**3
"""Of a file whose size is not known beforehand."""
TIMEOUT = 30.0
FIELD = "download"

Progress = Callable[[float], None]
"""Called with fractions from 0 to 1."""
Report = Callable[[int, "int | None"], None]
"""Called with the bytes that are there and the bytes of the whole file, where known."""


class Downloadable(Protocol):
    """What is needed of an entry in a list of models (`UpscalerInfo`, `RestorerInfo`)."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path | None: ...

    @property
    def url(self) -> str | None: ...

    @property
    def size(self) -> int | None: ...

    @property
    def sha256(self) -> str | None: ...


class DownloadFailed(RequestError):  # noqa: N818 - reads as what happened
    """A model file could not be fetched; the sentence says how to put it there by hand."""


class DownloadCancelled(DownloadFailed):
    """The caller asked to stop; what is there already is kept for the next time."""


def fetch_model(
    info: Downloadable,
    folder: Path,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Download a model's file into a folder, or find that it is there; its path.

    The bytes go to `<name>.part`, which survives interruptions and restarts; the file gets its
    name when size and sha256 (where known) are right.

    Raises:
        DownloadFailed: there is no network, no room, or the file is not the expected one.
        DownloadCancelled: `cancelled()` turned true.
    """
    order = FileOrder.of(info, folder)
    if order.target.is_file():
        return order.target
    tell = progress or (lambda fraction: None)
    tell(0.0)
    fetch_file(
        order, lambda have, total: tell(min(1.0, have / total)) if total else None, cancelled
    )
    tell(1.0)
    return order.target


def fetch_file(
    order: FileOrder, report: Report | None = None, cancelled: Callable[[], bool] | None = None
) -> str | None:
    """Download one file to its place; gives its sha256 if that was to be checked.

    Raises:
        DownloadFailed: there is no network, no room, or the file is not the expected one.
        DownloadCancelled: `cancelled()` turned true.
        RequestError: the address, or one that it leads to, is not allowed.
    """
    tell = report or (lambda have, total: None)
    stop = cancelled or (lambda: False)
    try:
        order.target.parent.mkdir(parents=True, exist_ok=True)
        return _Download(order, tell, stop).run()
    except OSError as error:
        raise order.failed(f"cannot be written ({error.strerror or error})") from error


@dataclass(frozen=True)
class FileOrder:
    """What is fetched, and where to."""

    name: str
    """What people call it; the file's name if nothing better is known."""
    url: str
    target: Path
    size: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent to the first server only: tokens do not travel to another one."""
    rules: AddressRules | None = None
    """Where it may come from; None for addresses that ship with the program."""

    @classmethod
    def of(cls, info: Downloadable, folder: Path) -> FileOrder:
        """The order for an entry in a list of models.

        Raises:
            DownloadFailed: the file is missing and nobody knows where to get it.
        """
        url = info.url or ""
        file = info.path.name if info.path is not None else Path(urlsplit(url).path).name
        order = cls(info.name, url, folder / file, info.size, info.sha256)
        if not order.target.is_file() and urlsplit(url).scheme not in ("http", "https"):
            reason = f"{order.target.name} is missing. Put it into {folder}."
            raise DownloadFailed(FIELD, info.name, reason)
        return order

    @property
    def part(self) -> Path:
        """Where the bytes are until the file is whole."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Which version of which file the part belongs to."""
        return self.target.with_name(self.target.name + ".part.json")

    def failed(self, what: str, kind: type[DownloadFailed] = DownloadFailed) -> DownloadFailed:
        """The error that says what happened and how to put the file there by hand."""
        purpose = f" (for {self.name})" if self.name != self.target.name else ""
        message = (
            f"{self.target.name}{purpose} {what}. "
            f"You can download {self.url} yourself and put it into {self.target.parent}."
        )
        return kind(FIELD, self.name, message)


class _Interrupted(Exception):  # noqa: N818 - the connection, not the user
    """The connection broke; another attempt may go on from there."""


class _Download:
    """One download with all its attempts."""

    def __init__(self, order: FileOrder, tell: Report, stop: Callable[[], bool]) -> None:
        self._order = order
        self._tell = tell
        self._stop = stop

    def run(self) -> str | None:
        import httpx

        from modules.catalog.guarded_http import open_client

        problem: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(PAUSE * 2 ** (attempt - 1))
            try:
                with open_client(self._order.rules, TIMEOUT) as client:
                    return self._attempt(client)
            except (httpx.TransportError, _Interrupted) as error:
                logger.info("%s: %s; trying again", self._order.target.name, error)
                problem = error
                if isinstance(error, httpx.ConnectError):
                    break  # no network: waiting does not help
            except httpx.HTTPError as error:
                problem = error
                break
        reason = str(problem) or type(problem).__name__
        raise self._order.failed(f"could not be downloaded ({reason})") from problem

    def _attempt(self, client: httpx.Client) -> str | None:
        have, tag = self._begun()
        if have and have == self._order.size:
            return self._finish()
        headers = {**self._order.headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            headers["If-Range"] = tag
        with client.stream("GET", self._order.url, headers=headers) as answer:
            if answer.status_code == 416:
                self._discard()
                raise _Interrupted("the part that was there does not fit")
            if answer.status_code not in (200, 206):
                self._refused(answer.status_code)
            if answer.status_code == 200:
                have = 0
            total = self._total(answer, have)
            self._make_room(total - have if total else 0)
            self._remember(answer)
            self._receive(answer, have, total)
        return self._finish()

    def _begun(self) -> tuple[int, str]:
        """Bytes that are there already and can be gone on from, and their version's mark."""
        try:
            note = json.loads(self._order.note.read_text(encoding="utf-8"))
            size = self._order.part.stat().st_size
        except (OSError, ValueError):
            return 0, ""
        if not isinstance(note, dict) or note.get("url") != self._order.url or not note.get("tag"):
            return 0, ""
        return size, str(note["tag"])

    def _remember(self, answer: httpx.Response) -> None:
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if tag.startswith("W/"):
            tag = ""  # a weak mark does not vouch for bytes
        write_json(self._order.note, {"url": self._order.url, "tag": tag})

    def _refused(self, status: int) -> None:
        if status >= 500 or status == 429:
            raise _Interrupted(f"the server answered {status}")
        if status in (401, 403):
            raise self._order.failed(
                f"needs permission (the server answered {status}): accept the model's terms on its "
                "page, and give Easel your access token under Models, Downloads"
            )
        raise self._order.failed(f"could not be downloaded (the server answered {status})")

    def _total(self, answer: httpx.Response, have: int) -> int | None:
        """Size of the whole file, compared with what is known of it."""
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        expected = self._order.size
        if expected is not None and total is not None and total != expected:
            self._discard()
            raise self._order.failed(f"has {total} bytes there instead of {expected}")
        return total if total is not None else expected

    def _make_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._order.target.parent).free
        if needed > free:
            raise self._order.failed(f"needs {needed >> 20} MB, only {free >> 20} MB are free")

    def _receive(self, answer: httpx.Response, have: int, total: int | None) -> None:
        limit = total or MAX_BYTES
        with self._order.part.open("ab" if have else "wb") as stream:
            for block in answer.iter_bytes(BLOCK):
                if self._stop():
                    stream.flush()
                    raise self._order.failed("was not downloaded to its end", DownloadCancelled)
                have += len(block)
                if have > limit:
                    break
                stream.write(block)
                self._tell(have, total)
            stream.flush()
            os.fsync(stream.fileno())
        if have > limit:
            self._discard()
            raise self._order.failed(f"is larger than {limit} bytes")
        if total is not None and have < total:
            raise _Interrupted(f"the connection broke after {have} of {total} bytes")

    def _finish(self) -> str | None:
        digest = None
        if self._order.sha256 is not None:
            digest = _sha256(self._order.part)
            if digest != self._order.sha256.lower():
                self._discard()
                raise self._order.failed(
                    f"is not the expected file (sha256 {digest[:16]}… instead of "
                    f"{self._order.sha256[:16]}…) and was deleted"
                )
        os.replace(self._order.part, self._order.target)
        self._order.note.unlink(missing_ok=True)
        return digest

    def _discard(self) -> None:
        self._order.part.unlink(missing_ok=True)
        self._order.note.unlink(missing_ok=True)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._stop():
                raise self._order.failed("was not downloaded to its end", DownloadCancelled)
            time.sleep(0.05)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(4 * BLOCK):
            digest.update(block)
    return digest.hexdigest()
