"""A1111's ``util``: small helpers for files and names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules.settings.paths import ROOT


def natural_sort_key(s: str, regex: re.Pattern[str] = re.compile("([0-9]+)")) -> list[Any]:
    """Sorts ``a2`` before ``a10``."""
    return [int(text) if text.isdigit() else text.lower() for text in regex.split(s)]


def listfiles(dirname: str) -> list[str]:
    """Files of a folder by name, hidden ones left out."""
    names = sorted(os.listdir(dirname), key=natural_sort_key)
    paths = [os.path.join(dirname, name) for name in names if not name.startswith(".")]
    return [path for path in paths if os.path.isfile(path)]


def walk_files(path: str, allowed_extensions: Any = None) -> Iterator[str]:
    """Files of a folder and those below it."""
    if not os.path.exists(path):
        return
    allowed = None if allowed_extensions is None else set(allowed_extensions)
    items = sorted(os.walk(path, followlinks=True), key=lambda x: natural_sort_key(x[0]))
    for root, _, files in items:
        if os.sep + "." in root:
            continue
        for filename in sorted(files, key=natural_sort_key):
            if allowed is None or os.path.splitext(filename)[1].lower() in allowed:
                yield os.path.join(root, filename)


def html_path(filename: str) -> str:
    """A file of the program's HTML."""
    return str(ROOT / "html" / filename)


def html(filename: str) -> str:
    """A file of the program's HTML, read; empty where there is none."""
    path = Path(html_path(filename))
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def ldm_print(*args: Any, **kwargs: Any) -> None:
    """A1111 hides some messages with this."""


def truncate_path(target_path: str, base_path: str = str(ROOT)) -> str:
    """A path relative to the program if it lies there."""
    absolute, base = os.path.abspath(target_path), os.path.abspath(base_path)
    try:
        inside = os.path.commonpath([absolute, base]) == base
    except ValueError:
        inside = False
    return os.path.relpath(absolute, base) if inside else absolute


def topological_sort(dependencies: dict[str, list[str]]) -> list[str]:
    """Names, each behind those that it depends on; the rest in their own order."""
    placed: dict[str, None] = {}
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in placed or name in visiting:
            return
        visiting.add(name)
        for other in dependencies.get(name, []):
            if other in dependencies:
                visit(other)
        placed[name] = None

    for name in dependencies:
        visit(name)
    return list(placed)


def open_folder(path: str) -> None:
    """Opening a window is the user's."""


def load_file_from_url(url: str, **kwargs: Any) -> str:
    """Nothing is downloaded behind the user's back.

    Raises:
        RuntimeError: always; the message names the address.
    """
    raise RuntimeError(f"Easel downloads nothing by itself; fetch {url} and put it in place")
