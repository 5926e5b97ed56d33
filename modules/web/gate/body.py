"""Stops a request body that is too large or too slow while it arrives, not after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from modules.web.gate.clients import Clients
from modules.web.gate.refusal import RawHeaders, Refused

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
CROWDED = "Too many large requests arrive at once. Try again in 5 s."


class BodyGuard:
    """Counts one request's body.

    After a violation the application sees a client that went away, and ``violation`` holds the
    status, sentence and headers that the gate answers with.
    """

    def __init__(
        self, receive: Receive, max_bytes: int, seconds: float, clients: Clients | None = None
    ) -> None:
        self._receive = receive
        self._clients = clients or Clients()
        self._max_bytes = max_bytes
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._count = 0
        self._complete = False
        self.violation: tuple[int, str, RawHeaders] | None = None

    def check_declared(self, headers: Mapping[str, str]) -> None:
        """Refuse by the declared length, before a byte is read.

        Raises:
            Refused: the declared length is over the limit or is no number.
        """
        declared = headers.get("content-length")
        if declared is None:
            return
        if not declared.isascii() or not declared.isdigit():
            raise Refused(400, "The header content-length is not a number.")
        if len(declared) > 15 or int(declared) > self._max_bytes:
            raise Refused(413, self._too_large())

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message for the application."""
        if self.violation is not None:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(
                self._receive(), max(0.01, self._deadline - time.monotonic())
            )
        except asyncio.TimeoutError:
            return self._stop(408, f"The body did not arrive within {self._seconds:g} seconds.")
        if message["type"] != "http.request":
            return message
        part = len(message.get("body") or b"")
        if not self._clients.buffer(part):
            return self._stop(429, CROWDED, ((b"retry-after", b"5"),))
        self._count += part
        self._complete = not message.get("more_body", False)
        if self._count > self._max_bytes:
            return self._stop(413, self._too_large())
        return message

    def close(self) -> None:
        """The request is over, and its body is in memory no longer."""
        self._clients.release(self._count)
        self._count = 0

    def _stop(
        self, status: int, sentence: str, headers: RawHeaders = ()
    ) -> MutableMapping[str, Any]:
        self.violation = (status, sentence, headers)
        return {"type": "http.disconnect"}

    def _too_large(self) -> str:
        return f"The body is larger than {self._max_bytes // (1024 * 1024)} MB."
