"""Which extensions there are, which of them are loaded, and in which order their files come."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from modules.addons.metadata import Metadata

log = logging.getLogger("easel.addons")

OFF_BY_HAND = "switched off"
ALL_OFF = "all extensions are switched off"
EXTRA_OFF = "only the extensions that come with Easel are on"
NEEDS = "it needs the extension"


@dataclass(frozen=True)
class Extension:
    """One folder below ``extensions/``."""

    name: str
    """The folder's name in lower case: A1111's canonical name."""
    folder: Path
    builtin: bool = False
    """It comes with Easel."""
    off: str = ""
    """Why it is not loaded; empty while it is on."""
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def active(self) -> bool:
        """Whether its code is loaded."""
        return not self.off

    def files(self, folder: str, suffix: str) -> list[Path]:
        """Its files of one kind, ``("scripts", ".py")`` say, sorted by name."""
        try:
            found = sorted((self.folder / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        return [path for path in found if path.suffix.lower() == suffix and path.is_file()]


@dataclass(frozen=True)
class ExtensionFile:
    """One file of an extension at its place in the order."""

    extension: Extension
    path: Path

    @property
    def key(self) -> str:
        """``name/file``, as ``metadata.ini`` speaks of it."""
        prefix = "builtin/" if self.extension.builtin else ""
        return f"{prefix}{self.extension.name}/{self.path.name}".lower()


def find_extensions(
    folder: Path,
    *,
    builtin: Collection[str] = (),
    disabled: Collection[str] = (),
    disable_all: str = "none",
    reasons: dict[str, str] | None = None,
) -> list[Extension]:
    """The extensions in ``folder``, those that come with Easel first, then by name.

    Args:
        builtin: folder names of those that come with Easel.
        disabled: folder names that the user switched off.
        disable_all: ``none``, ``extra`` (all but those that come with Easel) or ``all``.
        reasons: name → why it must stay off (it failed at start, say).
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name.lower())
    except FileNotFoundError:
        return []
    names = {name.lower() for name in disabled}
    ours = {name.lower() for name in builtin}
    found = []
    for entry in entries:
        name = entry.name.lower()
        if entry.name.startswith((".", "__")) or not entry.is_dir():
            continue
        own = name in ours
        off = (reasons or {}).get(name, "")
        if disable_all == "all":
            off = ALL_OFF
        elif disable_all == "extra" and not own:
            off = EXTRA_OFF
        elif name in names:
            off = OFF_BY_HAND
        found.append(Extension(name, entry, own, off, Metadata.read(entry)))
    found.sort(key=lambda extension: not extension.builtin)
    return [_with_needs(extension, found) for extension in found]


def _with_needs(extension: Extension, all_of_them: Sequence[Extension]) -> Extension:
    """Off if an extension that it requires is not on."""
    there = {other.name for other in all_of_them if other.active}
    there |= {f"builtin/{other.name}" for other in all_of_them if other.active and other.builtin}
    for need in extension.metadata.requires:
        if extension.active and not any(part in there for part in need.split("|")):
            return replace(extension, off=f"{NEEDS} {need}")
    return extension


def ordered_files(extensions: Iterable[Extension], folder: str, suffix: str) -> list[ExtensionFile]:
    """The files of all active extensions in the order in which they are loaded.

    By extension and name, but for what ``metadata.ini`` says of before and after. Contradictions
    are told in the log, and the order is then that of the names.
    """
    active = [extension for extension in extensions if extension.active]
    files = [ExtensionFile(one, path) for one in active for path in one.files(folder, suffix)]
    by_key = {file.key: file for file in files}
    by_extension: dict[str, list[str]] = {}
    for file in files:
        by_extension.setdefault(file.extension.name, []).append(file.key)

    def keys_of(name: str) -> list[str]:
        return [name] if name in by_key else by_extension.get(name.removeprefix("builtin/"), [])

    after: dict[str, list[str]] = {key: [] for key in by_key}
    present = {extension.name for extension in active}
    for key, file in by_key.items():
        listed = file.extension.metadata.script_names
        for name in listed("After", folder, file.path.name, present):
            after[key] += keys_of(name)
        for name in listed("Before", folder, file.path.name, present):
            for other in keys_of(name):
                after[other].append(key)
    return [by_key[key] for key in _sorted(after)]


def _sorted(after: dict[str, list[str]]) -> list[str]:
    """Keys in their own order, each behind those that it comes after."""
    try:
        tuple(TopologicalSorter(after).static_order())
    except CycleError as error:
        log.warning("metadata.ini: a circle of before and after: %s", " → ".join(error.args[1]))
        return list(after)
    placed: dict[str, None] = {}

    def place(key: str) -> None:
        if key in placed:
            return
        for other in after[key]:
            place(other)
        placed[key] = None

    for key in after:
        place(key)
    return list(placed)
