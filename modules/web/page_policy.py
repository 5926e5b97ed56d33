"""Gives the Gradio page a content security policy made for exactly this page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from modules.web.gate.headers import page_policy, without_external_parts

Message = MutableMapping[str, Any]


class PagePolicy:
    """Takes out of Gradio's page what would fetch from elsewhere, and signs its scripts."""

    def __init__(self, app: Callable[..., Awaitable[None]], evaluates: bool = False) -> None:
        self._app = app
        self._evaluates = evaluates

    async def __call__(
        self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        page = _Page(send, self._evaluates)
        await self._app(scope, receive, page.send)


@lru_cache(maxsize=4)
def _signed(page: bytes, evaluates: bool) -> tuple[bytes, bytes]:
    """The page as it is sent, and its policy. It is the same every time, and takes a tenth of a
    second of the loop that answers everybody."""
    html = without_external_parts(page)
    return html, page_policy(html, evaluates).encode()


class _Page:
    def __init__(self, send: Callable[[Message], Awaitable[None]], evaluates: bool) -> None:
        self._send = send
        self._evaluates = evaluates
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        html, policy = _signed(b"".join(self._parts), self._evaluates)
        headers = [
            (name, value)
            for name, value in self._start["headers"]
            if name.lower() not in (b"content-length", b"content-security-policy")
        ]
        headers.append((b"content-length", str(len(html)).encode()))
        headers.append((b"content-security-policy", policy))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": html})


def _is_page(message: Message) -> bool:
    for name, value in message["headers"]:
        if name.lower() == b"content-disposition" and value.lower().startswith(b"attachment"):
            return False
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/html")
        for name, value in message["headers"]
    )
