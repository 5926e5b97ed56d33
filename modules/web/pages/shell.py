"""ASGI middleware that finishes Gradio's HTML: language, title, our scripts before Gradio's own."""

from __future__ import annotations

import html
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from modules.web.pages import assets
from modules.web.pages.translations import choose_language
from modules.web.pages.trusted import TrustedScripts

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

TITLE = "Easel"
_DROPPED = re.compile(
    r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*|<link rel="manifest"[^>]*>\s*',
    re.IGNORECASE,
)


_DECIDING = (b"origin", b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server")
"""Headers that change Gradio's answer, beside the host's name: with one of them it is made anew."""
KEPT = 8
"""Finished pages that are kept: one for each host's name, language and theme."""


class PageShell:
    """Rewrites the answer to ``GET /`` and lets everything else through untouched.

    Gradio takes a tenth of a second for its page, in which nobody else is answered, and makes the
    same one every time.
    """

    def __init__(self, app: App, context: Any, scripts: TrustedScripts) -> None:
        self.app = app
        self.scripts = scripts.url
        self.options = context.options
        self.theme = getattr(context.flags, "theme", None)
        self.plugins = getattr(context, "plugins", None)
        self._kept: OrderedDict[tuple[str, ...], tuple[Message, Message]] = OrderedDict()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        path = scope.get("path", "")
        inner = path[len(root) :] if root and path.startswith(root) else path
        if scope["type"] != "http" or scope["method"] != "GET" or inner not in ("", "/"):
            await self.app(scope, receive, send)
            return
        language = choose_language(
            str(self.options.get("localization")), _header(scope, b"accept-language")
        )
        theme = self.theme or str(self.options.get("gradio_theme"))
        key = (scope.get("scheme", ""), _header(scope, b"host"), root, language, theme)
        if scope.get("query_string") or any(_header(scope, name) for name in _DECIDING):
            await self.app(
                scope, receive, _Rewriter(send, root, language, theme, self.scripts, self.plugins)
            )
            return
        if key not in self._kept:
            rewriter = _Rewriter(send, root, language, theme, self.scripts, self.plugins)
            await self.app(scope, receive, rewriter)
            self._keep(key, rewriter.finished)
            return
        self._kept.move_to_end(key)
        start, body = self._kept[key]
        await send({**start, "headers": list(start["headers"])})
        await send(dict(body))

    def _keep(self, key: tuple[str, ...], finished: tuple[Message, Message] | None) -> None:
        if finished is None or finished[0]["status"] != 200:
            return
        if any(name.lower() == b"set-cookie" for name, _ in finished[0]["headers"]):
            return
        self._kept[key] = finished
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


class _Rewriter:
    """Holds back one HTML answer until it is whole, then sends it changed."""

    def __init__(
        self,
        send: Send,
        root: str,
        language: str,
        theme: str,
        scripts: str,
        plugins: Any = None,
    ) -> None:
        self.plugins = plugins
        self.send = send
        self.root = root
        self.language = language
        self.theme = theme
        self.scripts = scripts
        self.start: Message | None = None
        self.body = bytearray()
        self.finished: tuple[Message, Message] | None = None
        """What was sent, when it was a page."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
        elif message["type"] == "http.response.body" and self.start is not None:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self.start)
        else:
            await self.send(message)

    async def _finish(self, start: Message) -> None:
        page_text = self.body.decode("utf-8")
        text = rewrite(page_text, self.root, self.language, self.theme, self.scripts)
        if self.plugins is not None:
            tags = "\n".join(self.plugins.head(self.root))
            text = text.replace("</head>", f"{tags}\n</head>", 1)
        page = text.encode("utf-8")
        kept = [(k, v) for k, v in start["headers"] if k.lower() not in _REPLACED]
        start["headers"] = [
            *kept,
            (b"content-length", str(len(page)).encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"accept-language"),
        ]
        body = {"type": "http.response.body", "body": page, "more_body": False}
        self.finished = ({**start, "headers": list(start["headers"])}, dict(body))
        await self.send(start)
        await self.send(body)


_REPLACED = (b"content-length", b"cache-control", b"vary")


def rewrite(page: str, root: str, language: str, theme: str = "dark", scripts: str = "") -> str:
    """Gradio's page with our head: language, colours, our styles and scripts first."""
    tag = html.escape(language)
    head = [
        "<head>",
        f"<title>{TITLE}</title>",
        '<meta name="description" content="Easel: pictures from words, on your own machine">',
        f'<link rel="icon" type="image/svg+xml" href="{root}{assets.url("easel.svg")}">',
        f'<script src="{root}/easel/boot.js?lang={tag}&amp;v={assets.version()}" '
        f'data-root="{html.escape(root)}" data-theme="{html.escape(theme)}"></script>',
    ]
    if scripts:
        head.append(f'<script src="{root}{html.escape(scripts)}"></script>')
    for name in assets.STYLESHEETS:
        head.append(f'<link rel="stylesheet" href="{root}{assets.url(name)}">')
    for name in assets.modules():
        head.append(f'<link rel="modulepreload" href="{root}{assets.url(name)}">')
    head.append(f'<script type="module" src="{root}{assets.url("app.js")}"></script>')
    page = _DROPPED.sub("", page)
    page = re.sub(r'<html([^>]*)\blang="[^"]*"', rf'<html\1lang="{tag}"', page, count=1)
    return page.replace("<head>", "\n".join(head), 1)


def _is_html(start: Message) -> bool:
    headers = dict(start["headers"])
    return headers.get(b"content-type", b"").startswith(b"text/html")


def _header(scope: MutableMapping[str, Any], name: bytes) -> str:
    for key, value in scope.get("headers", ()):
        if key.lower() == name:
            return value.decode("latin-1")
    return ""
