"""Which extensions the user wants: the settings and the command line together.

In safe mode the settings' file is not in force, but its list of extensions that are off is still
read and written: safe mode is where somebody switches off what broke the start.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.settings import atomic
from modules.settings.flags import Flags
from modules.settings.store import OptionStore

DISABLED = "disabled_extensions"
DISABLE_ALL = "disable_all_extensions"


class Switches:
    """Reads and writes them."""

    def __init__(self, flags: Flags, options: OptionStore) -> None:
        self._flags = flags
        self._options = options

    def read(self) -> tuple[Sequence[str], str]:
        """Folder names that are off, and ``none``, ``extra`` or ``all``.

        The command line and safe mode outweigh the setting.
        """
        wanted = str(self._value(DISABLE_ALL))
        if self._flags.disable_all_extensions or self._flags.safe_mode:
            wanted = "all"
        elif self._flags.disable_extra_extensions and wanted == "none":
            wanted = "extra"
        return tuple(self._value(DISABLED)), wanted

    @property
    def fixed(self) -> str:
        """The flag that decides for all extensions; empty when the setting does."""
        if self._flags.safe_mode:
            return "--safe-mode"
        if self._flags.disable_all_extensions:
            return "--disable-all-extensions"
        return "--disable-extra-extensions" if self._flags.disable_extra_extensions else ""

    @property
    def chosen(self) -> str:
        """The setting alone: ``none``, ``extra`` or ``all``."""
        return str(self._value(DISABLE_ALL))

    def disable(self, names: list[str]) -> None:
        """Store which extensions are off.

        Raises:
            OSError: the settings cannot be written.
        """
        self._store(DISABLED, sorted(set(names), key=str.lower))

    def disable_all(self, which: str) -> None:
        """Store ``none``, ``extra`` or ``all``.

        Raises:
            OptionError: it is none of them.
            OSError: the settings cannot be written.
        """
        self._options.check({DISABLE_ALL: which})
        self._store(DISABLE_ALL, which)

    def _value(self, key: str) -> Any:
        if self._options.use_file:
            return self._options[key]
        option = self._options.table[key]
        found = _read(self._options.path).get(key, option.default)
        return option.check(found)

    def _store(self, key: str, value: Any) -> None:
        if self._options.use_file:
            self._options.set_many({key: value})
            return
        atomic.write_json(self._options.path, {**_read(self._options.path), key: value})


def _read(path: Path) -> dict[str, Any]:
    """The settings' file; one that cannot be read is told, not overwritten.

    Raises:
        OSError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise OSError(f"{path.name} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise OSError(f"{path.name} is damaged: it holds no settings.")
    return found
