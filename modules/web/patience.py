"""How long a connection may take and how many there may be; uvicorn alone would wait for ever."""

from __future__ import annotations

import asyncio
import logging

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from modules.web.gate.addresses import is_this_machine, network

log = logging.getLogger("easel.web")

HEADER_SECONDS = 20.0
"""From the first byte, or the connection, to the end of a request's headers."""
STALLED_SECONDS = 60.0
"""A client that takes nothing of an answer for so long is given up."""
MAX_CONNECTIONS = 256
MAX_OF_OTHERS = 192
"""Of other machines together, so that this one always gets in."""
MAX_OF_ONE = 64
"""Of one other machine."""


class PatientProtocol(H11Protocol):
    """Closes connections that are too many, too slow to ask, or too slow to take the answer."""

    _header_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._too_many():
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALLED_SECONDS, self._abandon)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        self._stop_stall()
        super().connection_lost(exc)

    def _too_many(self) -> bool:
        if len(self.connections) > 2 * MAX_CONNECTIONS:
            return True
        if self.client is None or is_this_machine(self.client[0]):
            return False
        peers = [getattr(other, "client", None) for other in self.connections]
        others = [network(peer[0]) for peer in peers if peer and not is_this_machine(peer[0])]
        mine = others.count(network(self.client[0]))
        return len(others) > MAX_OF_OTHERS or mine > MAX_OF_ONE

    def _watch(self) -> None:
        waiting = self.conn.their_state is h11.IDLE
        unfinished = self.cycle is None or bool(self.conn.trailing_data[0])
        if not (waiting and unfinished):
            self._stop_watching()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_watching(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _abandon(self) -> None:
        log.warning("a client that took nothing for %g s was disconnected", STALLED_SECONDS)
        self.transport.abort()
