"""Our scripts and styles: where they lie and the version that goes into their address."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "static"
PREFIX = "/easel/static"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
STYLESHEETS = (
    "base.css",
    "icons.css",
    "overlays.css",
    "banner.css",
    "form.css",
    "script.css",
    "output.css",
    "compare.css",
    "canvas.css",
    "img2img.css",
    "image-info.css",
    "provenance.css",
    "pictures.css",
    "cards.css",
    "models.css",
    "merger.css",
    "queue.css",
    "settings.css",
    "selftest.css",
    "extensions.css",
)


CLASSIC = ("boot.js", "trusted.js", "a1111.js")
"""Scripts that run before the page's modules."""


@cache
def version() -> str:
    """A short hash over all files, so that an address never shows an old file after an update."""
    digest = hashlib.sha256()
    for folder in (STATIC, STATIC.parent / "translations"):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def modules() -> tuple[str, ...]:
    """Names of all script modules, for loading them at once instead of one behind another."""
    return tuple(sorted(path.name for path in STATIC.glob("*.js") if path.name not in CLASSIC))


def url(name: str) -> str:
    """Address of a file in ``static/``, relative to the program's root."""
    return f"{PREFIX}/{version()}/{name}"


def find(name: str) -> Path | None:
    """The file behind a requested name; ``None`` if there is none or it lies outside."""
    path = (STATIC / name).resolve()
    inside = path.is_relative_to(STATIC) and path.suffix in TYPES
    return path if inside and path.is_file() else None
