"""``/file=…`` as A1111 serves it, for the files that extensions need in the page and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from modules.addons.host import Host

STATIC = Path(__file__).resolve().parents[1] / "web" / "static"
PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
}
TEXTS = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
TYPES = {
    **PICTURES,
    **TEXTS,
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".ico": "image/x-icon",
    ".wasm": "application/wasm",
    ".map": "application/json",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
LARGEST = 256 * 1024 * 1024


def file_router(host: Host, events: Callable[[], Sequence[str]]) -> APIRouter:
    """The routes; ``events`` gives the texts of extensions' ``js=``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/file={name:path}")
    def file(name: str) -> Response:
        path = allowed(host, name)
        if path is None:
            return Response("no such file", status_code=404, media_type="text/plain")
        return FileResponse(
            path, media_type=TYPES[path.suffix.lower()], headers={"cache-control": "no-cache"}
        )

    @routes.get("/easel/addons/a1111.js")
    def layer() -> Response:
        text = (STATIC / "a1111.js").read_text(encoding="utf-8")
        headers = {"cache-control": "no-cache"}
        return Response(text, media_type=TYPES[".js"], headers=headers)

    @routes.get("/easel/addons/events/{number}.js")
    def event(number: int) -> Response:
        found = events()
        if not 0 <= number < len(found):
            return Response("no such script", status_code=404, media_type="text/plain")
        return Response(event_script(found[number]), media_type=TYPES[".js"])

    return routes


def event_script(text: str) -> str:
    """A script of its own for one event, so that a mistake in it spoils no other."""
    import json

    trimmed = text.strip().rstrip(";")
    return f"Easel.scripts.set({json.dumps(trimmed)}, () => (\n{trimmed}\n));\n"


def allowed(host: Host, name: str) -> Path | None:
    """The file behind a name if it may be read: by its real place and its kind.

    That is: assets of the extensions that are on, pictures in the outputs, and lists that
    extensions leave in ``tmp``.
    """
    if "\x00" in name or len(name) > 4096:
        return None
    bases = (host.paths.data, host.paths.root)
    for base in dict.fromkeys(bases):
        try:
            path = (base / name).resolve()
            if not path.is_file() or path.stat().st_size > LARGEST:
                continue
        except (OSError, ValueError, RuntimeError):
            continue
        if _may_be_read(host, path):
            return path
    return None


def _may_be_read(host: Host, path: Path) -> bool:
    suffix = path.suffix.lower()
    for extension in host.active():
        folder = extension.folder.resolve()
        if path.is_relative_to(folder):
            return suffix in TYPES and not _hidden(path.relative_to(folder))
    outputs = host.paths.outputs.resolve()
    if path.is_relative_to(outputs):
        return suffix in PICTURES and not _hidden(path.relative_to(outputs))
    for base in (host.paths.data, host.paths.root):
        temporary = (base / "tmp").resolve()
        if path.is_relative_to(temporary):
            return suffix in TEXTS and not _hidden(path.relative_to(temporary))
    return False


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
