"""An extension's ``metadata.ini``: what it needs, and what is loaded before or after it.

    [Extension]
    Requires = another-extension
    [scripts]
    After = builtin-extension
    [scripts/first.py]
    Before = another-extension/second.py
    [callbacks/my-extension/script_callbacks.py/ui_tabs]
    After = other/script.py/ui_tabs

Names are compared in lower case and separated by commas or spaces; ``a|b`` means the first of the
two that is there.
"""

from __future__ import annotations

import configparser
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

log = logging.getLogger("easel.addons")

FILE = "metadata.ini"
SIZE_LIMIT = 256 * 1024
"""Bytes; real files have a few hundred."""


@dataclass(frozen=True)
class Metadata:
    """The sections of the file with their keys in lower case; empty where there is none."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Metadata:
        """The metadata of the extension in ``folder``; an unreadable file counts as none."""
        path = folder / FILE
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            if path.stat().st_size > SIZE_LIMIT:
                raise ValueError(f"{path.stat().st_size} bytes; allowed: {SIZE_LIMIT}")
            parser.read_string(path.read_text(encoding="utf-8-sig", errors="replace"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, configparser.Error) as error:
            log.warning("%s is left out: %s", path, error)
            return cls()
        read = {name: MappingProxyType(dict(parser.items(name))) for name in parser.sections()}
        return cls(MappingProxyType(read))

    @property
    def requires(self) -> tuple[str, ...]:
        """Extensions without which this one does not work."""
        return self._listed("Extension", "requires")

    def script_names(self, key: str, folder: str, file: str, present: Collection[str]) -> list[str]:
        """What ``Requires``, ``Before`` or ``After`` say of one file of the extension.

        Args:
            key: one of the three.
            folder: ``scripts`` or ``javascript``.
            file: its name in there.
            present: names of the extensions that are there, for ``a|b``.
        """
        listed = [
            *self._listed(f"{folder}/{file}", key.lower()),
            *self._listed(folder, key.lower()),
        ]
        return [_chosen(name, present) for name in listed]

    def callback_orders(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Callback name → the callbacks before which and after which it is called."""
        return {
            name.removeprefix("callbacks/"): (
                self._listed(name, "before"),
                self._listed(name, "after"),
            )
            for name in self.sections
            if name.startswith("callbacks/")
        }

    def _listed(self, section: str, key: str) -> tuple[str, ...]:
        text = self.sections.get(section, {}).get(key, "")
        return tuple(name for name in re.split(r"[,\s]+", text.strip().lower()) if name)


def _chosen(name: str, present: Collection[str]) -> str:
    """The first of ``a|b|c`` that is there, or all of it when none is."""
    return next((part for part in name.split("|") if part in present), name)
