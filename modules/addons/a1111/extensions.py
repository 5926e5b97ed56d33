"""A1111's ``extensions``: which there are."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from modules.addons import host
from modules.addons.a1111.paths_internal import extensions_builtin_dir, extensions_dir
from modules.addons.extension import Extension as Found

__all__ = ["Extension", "active", "extensions", "extensions_builtin_dir", "extensions_dir"]


class Extension:
    """One extension as A1111 describes it."""

    def __init__(self, found: Found) -> None:
        self.name = found.folder.name
        self.path = str(found.folder)
        self.enabled = found.active
        self.status = ""
        self.can_update = False
        self.is_builtin = found.builtin
        self.commit_hash = ""
        self.commit_date = None
        self.version = ""
        self.branch = None
        self.remote: str | None = None
        self.have_info_from_repo = False
        self.canonical_name = found.name
        self.metadata = found.metadata

    def read_info_from_repo(self) -> None:
        """Ask git for commit and address; fields stay empty where it is no repository."""
        if self.have_info_from_repo:
            return
        self.have_info_from_repo = True
        self.commit_hash = self._git("rev-parse", "HEAD")
        self.version = self.commit_hash[:8]
        self.remote = self._git("config", "--get", "remote.origin.url") or None
        self.branch = self._git("rev-parse", "--abbrev-ref", "HEAD") or None  # type: ignore[assignment]

    def _git(self, *words: str) -> str:
        if not os.path.isdir(os.path.join(self.path, ".git")):
            return ""
        try:
            done = subprocess.run(
                ["git", "-C", self.path, "-c", "core.hooksPath=/dev/null", *words],
                capture_output=True,
                text=True,
                timeout=5,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def list_files(self, subdir: str, extension: str) -> list[Any]:
        """Files of one of its folders."""
        from modules.addons.a1111.scripts import ScriptFile

        folder = os.path.join(self.path, subdir)
        if not os.path.isdir(folder):
            return []
        return [
            ScriptFile(self.path, name, os.path.join(folder, name))
            for name in sorted(os.listdir(folder))
            if os.path.splitext(name)[1].lower() == extension
            and os.path.isfile(os.path.join(folder, name))
        ]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            name: getattr(self, name) for name in ("name", "path", "enabled", "remote", "version")
        }


extensions: list[Extension] = []
extension_paths: dict[str, Extension] = {}
loaded_extensions: dict[str, Extension] = {}


def list_extensions() -> None:
    """Read the program's list."""
    extensions[:] = [Extension(found) for found in host.get().extensions]
    extension_paths.clear()
    extension_paths.update({one.path: one for one in extensions})
    loaded_extensions.clear()
    loaded_extensions.update({one.canonical_name: one for one in extensions})


def active() -> list[Extension]:
    """Those that are loaded."""
    return [one for one in extensions if one.enabled]


def find_extension(filename: str) -> Extension | None:
    """Which one a file belongs to."""
    found = host.get().extension_of(os.path.abspath(filename))
    return None if found is None else loaded_extensions.get(found.name)


list_extensions()
