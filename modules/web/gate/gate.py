"""The gate: every HTTP request and WebSocket passes it before any other code of ours or Gradio's.

Order: sizes, Host, who asks (Origin and Fetch-Metadata), how much this client asks, login, body;
security headers are put on the way out, so that no route can forget them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from modules.web.gate import local_only
from modules.web.gate.body import BodyGuard
from modules.web.gate.clients import ClientLimits, Clients
from modules.web.gate.headers import SECURITY_HEADERS, STRICT_POLICY
from modules.web.gate.hosts import HostList
from modules.web.gate.login import Login
from modules.web.gate.login_door import Answer, LoginDoor, peer
from modules.web.gate.notes import RefusalLog
from modules.web.gate.origins import OriginRule
from modules.web.gate.place import local_path, placed
from modules.web.gate.refusal import RawHeaders, Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_HEADER_BYTES = 64 * 1024
MAX_URL_BYTES = 16 * 1024


@dataclass(frozen=True)
class GateConfig:
    """Whom the gate lets in and how much they may send."""

    hosts: HostList
    origins: OriginRule = field(default_factory=OriginRule)
    login: Login = field(default_factory=Login)
    clients: ClientLimits = field(default_factory=ClientLimits)
    subpath: str = ""
    """Where a proxy serves us, like ``/easel``; empty at the top."""
    max_body_bytes: int = 64 * 1024 * 1024
    body_seconds: float = 120.0
    """A body that takes longer to arrive is given up."""
    extensions_from_anywhere: bool = False
    """Others than this machine may change extensions, too."""
    failed_login: Callable[[str, int], None] = lambda address, number: None
    """Hears of every wrong login: from where, and how many there were."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, config: GateConfig) -> None:
        self.app = app
        self.config = config
        self.clients = Clients(config.clients)
        self.door = LoginDoor(config.login, config.subpath, failed=config.failed_login)
        self.notes = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(placed(scope, self.config.subpath), receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(placed(scope, self.config.subpath), receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        config = self.config
        guard = BodyGuard(receive, config.max_body_bytes, config.body_seconds, self.clients)
        outgoing = _Outgoing(send, begun, guard)
        try:
            headers = read_headers(scope)
            self._check_sizes(scope)
            self._check_host(headers)
            reason = config.origins.refuses(scope["method"], scope["scheme"], headers)
            if not reason and not config.extensions_from_anywhere:
                path = local_path(scope)
                reason = local_only.refuses(scope["method"], path, peer(scope), headers)
            if reason:
                raise Refused(403, f"Refused: {reason}.")
            with self.clients.request(peer(scope)):
                guard.check_declared(headers)
                answer = await self.door.ask(scope, headers, guard.receive)
                if isinstance(answer, Answer):
                    await outgoing.answer(answer)
                    return
                outgoing.extra = answer
                await self.app(scope, guard.receive, outgoing.send)
        except Refused as refused:
            self.notes.add(scope["path"], refused.status, refused.detail)
            await outgoing.refuse(refused.status, refused.detail, refused.headers)
        except Exception:
            # Starlette has logged or will log its own; an answer that has begun cannot be mended.
            if guard.violation is None:
                raise
            await outgoing.refuse(*guard.violation)
        finally:
            guard.close()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = read_headers(scope)
            self._check_sizes(scope)
            self._check_host(headers)
            reason = self.config.origins.refuses_socket(scope["scheme"], headers)
            if reason:
                raise Refused(403, f"Refused: {reason}.")
            self.door.admit_socket(scope, headers)
            with self.clients.socket(peer(scope)):
                await self.app(scope, receive, send)
        except Refused as refused:
            self.notes.add(scope["path"], refused.status, refused.detail)
            # Closing before the handshake is accepted answers it with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": refused.detail[:100]})

    def _check_sizes(self, scope: Scope) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size > MAX_HEADER_BYTES:
            raise Refused(431, f"The headers are larger than {MAX_HEADER_BYTES} bytes.")
        if (
            len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
            > MAX_URL_BYTES
        ):
            raise Refused(414, f"The address is longer than {MAX_URL_BYTES} bytes.")

    def _check_host(self, headers: dict[str, str]) -> None:
        host = headers.get("host")
        if host is None or not self.config.hosts.allows(host):
            raise Refused(
                403, f"This server does not answer to the host name {(host or '')[:100]!r}."
            )


class _Outgoing:
    """The way out: security headers, the time it took, and the gate's own short answers."""

    def __init__(self, send: Send, begun: float, guard: BodyGuard) -> None:
        self._send = send
        self._begun = begun
        self._guard = guard
        self._started = False
        self._replaced = False
        self.extra: RawHeaders = ()

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._guard.violation is not None:
                # Frameworks turn an over-long body into an error of their own; ours says why.
                self._replaced = True
                await self.refuse(*self._guard.violation)
                return
            message = {**message, "headers": self._dress(list(message.get("headers") or ()))}
            self._started = True
        await self._send(message)

    def _dress(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        took = f"{time.perf_counter() - self._begun:.4f}".encode()
        for name, value in (
            *SECURITY_HEADERS,
            (b"content-security-policy", STRICT_POLICY.encode()),
            (b"x-process-time", took),
        ):
            if name not in present:
                headers.append((name, value))
        headers.extend(self.extra)
        return headers

    async def refuse(self, status: int, detail: str, extra: RawHeaders = ()) -> None:
        if self._started:
            return
        body = {"error": "HTTPException", "detail": detail, "body": "", "errors": detail}
        headers: RawHeaders = ((b"content-type", b"application/json"), *extra)
        if status in (408, 413, 414, 431):
            headers += ((b"connection", b"close"),)
        await self.answer(Answer(status, headers, json.dumps(body).encode()))

    async def answer(self, answer: Answer) -> None:
        """Send an answer of the gate's own."""
        self._started = True
        length = (b"content-length", str(len(answer.body)).encode())
        dressed = self._dress([*answer.headers, length])
        start = {"type": "http.response.start", "status": answer.status, "headers": dressed}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": answer.body})


def read_headers(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name.

    Raises:
        Refused: Host or Origin came twice, so that two readers could see different ones.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and name in ("host", "origin", "content-length", "sec-fetch-site"):
            raise Refused(400, f"The header {name} came more than once.")
        headers[name] = raw_value.decode("latin-1")
    return headers
