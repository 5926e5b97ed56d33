"""A1111's ``paths``."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111.paths_internal import (
    cwd,
    data_path,
    extensions_builtin_dir,
    extensions_dir,
    models_path,
    modules_path,
    script_path,
)

__all__ = [
    "cwd",
    "data_path",
    "extensions_builtin_dir",
    "extensions_dir",
    "models_path",
    "modules_path",
    "script_path",
]

sd_path = script_path
paths: dict[str, str] = {}


class Prioritize:
    """A1111 puts a repository first on the path with this; there are none here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *args: Any) -> None:
        """End."""
