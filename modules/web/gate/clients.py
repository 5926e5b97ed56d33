"""What one client may ask of the server at a time, so that the others are still served."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from modules.web.gate.addresses import is_this_machine, network
from modules.web.gate.refusal import Refused

MAX_CLIENTS = 4096


@dataclass(frozen=True)
class ClientLimits:
    """Bounds for each client that is not this machine, and for all bodies together."""

    per_second: float = 60.0
    """Requests a second that a client may make for as long as it likes."""
    burst: float = 600.0
    """Requests that it may make at once: a page with its scripts and pictures is about 120."""
    at_once: int = 32
    """Requests in progress, streams included."""
    sockets: int = 8
    buffered_bytes: int = 512 * 1024 * 1024
    """Request bodies that are held in memory at once, of all clients together."""


@dataclass
class _Bucket:
    tokens: float
    seen: float
    open_requests: int = 0
    open_sockets: int = 0


@dataclass
class Clients:
    """Counts requests, sockets and bodies; this machine's own are counted but not slowed down."""

    limits: ClientLimits = field(default_factory=ClientLimits)
    now: Callable[[], float] = time.monotonic
    buffered: int = 0
    """Bytes of bodies that are in memory now."""
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    @contextmanager
    def request(self, address: str) -> Iterator[None]:
        """One request, from its headers to the end of its answer.

        Raises:
            Refused: this client asks too much; 429 with Retry-After.
        """
        if is_this_machine(address):
            yield
            return
        bucket = self._take(address)
        if bucket.open_requests >= self.limits.at_once:
            raise too_many(f"{self.limits.at_once} of your requests are in progress", 1)
        bucket.open_requests += 1
        try:
            yield
        finally:
            bucket.open_requests -= 1

    @contextmanager
    def socket(self, address: str) -> Iterator[None]:
        """One WebSocket, for as long as it is open.

        Raises:
            Refused: this client has too many.
        """
        if is_this_machine(address):
            yield
            return
        bucket = self._take(address)
        if bucket.open_sockets >= self.limits.sockets:
            raise too_many(f"{self.limits.sockets} of your pages are open", 30)
        bucket.open_sockets += 1
        try:
            yield
        finally:
            bucket.open_sockets -= 1

    def buffer(self, count: int) -> bool:
        """Ask for room for a part of a body; False when there is none."""
        if count and self.buffered + count > self.limits.buffered_bytes:
            return False
        self.buffered += count
        return True

    def release(self, count: int) -> None:
        """A body of so many bytes is gone."""
        self.buffered -= count

    def _take(self, address: str) -> _Bucket:
        now, key = self.now(), network(address)
        bucket = self._buckets.pop(key, None) or _Bucket(self.limits.burst, now)
        self._buckets[key] = bucket
        self._forget()
        gained = (now - bucket.seen) * self.limits.per_second
        bucket.tokens = min(self.limits.burst, bucket.tokens + gained)
        bucket.seen = now
        if bucket.tokens < 1.0:
            wait = (1.0 - bucket.tokens) / self.limits.per_second
            raise too_many("you send too many requests", math.ceil(wait))
        bucket.tokens -= 1.0
        return bucket

    def _forget(self) -> None:
        if len(self._buckets) <= MAX_CLIENTS:
            return
        for key, bucket in self._buckets.items():
            if not bucket.open_requests and not bucket.open_sockets:
                del self._buckets[key]
                return


def too_many(reason: str, seconds: float) -> Refused:
    """429 with the time after which it is worth trying again."""
    retry = max(1, math.ceil(seconds))
    return Refused(
        429,
        f"Refused: {reason}. Try again in {retry} s.",
        ((b"retry-after", str(retry).encode()),),
    )
