"""The settings in force: validated, stored atomically, with the last good copy kept beside them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modules.settings import atomic
from modules.settings.damage import DEFAULTS, LAST_GOOD, Damage, Told, only_logged, set_aside
from modules.settings.options import Option, OptionError, OptionTable

log = logging.getLogger("easel.settings")

Change = tuple[Any, Any]
Subscriber = Callable[[dict[str, Change]], None]


class OptionStore:
    """Thread-safe settings over one ``config.json``.

    Keys in the file that the table does not know (an extension's, or a newer version's) are kept as
    they are and written back.
    """

    def __init__(
        self,
        path: Path,
        table: OptionTable,
        *,
        use_file: bool = True,
        damaged: Told = only_logged,
    ) -> None:
        """`use_file=False` is `--safe-mode`: the file is neither read nor written.

        ``damaged`` hears of a file that cannot be read.
        """
        self.path = path
        self.table = table
        self.use_file = use_file
        self.remarks: list[str] = []
        """What else was found while reading, one sentence each, for a banner."""
        self.damage: Damage | None = None
        self._damaged = damaged
        self._lock = threading.RLock()
        self._subscribers: list[Subscriber] = []
        self._unknown: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._stored: dict[str, Any] = {}
        """What the file holds; in ``_values``, some keys may differ until the program ends."""
        self._read()

    @property
    def notices(self) -> list[str]:
        """Everything that went wrong while reading, one sentence each."""
        return [*([self.damage.sentence] if self.damage else []), *self.remarks]

    @property
    def last_good(self) -> Path:
        """The copy of the last version that was read or written without a fault."""
        return self.path.with_name(self.path.name + ".last-good")

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def get(self, key: str) -> Any:
        """The value in force.

        Raises:
            KeyError: there is no such setting.
        """
        option = self.table[key]
        with self._lock:
            return _copy(self._values.get(key, option.default))

    def as_dict(self) -> dict[str, Any]:
        """Every setting with its value in force, as ``GET /sdapi/v1/options`` answers."""
        with self._lock:
            return {**self.table.defaults(), **{k: _copy(v) for k, v in self._values.items()}}

    def changed(self) -> dict[str, Any]:
        """Only the settings that differ from their defaults."""
        with self._lock:
            return {k: _copy(v) for k, v in self._values.items() if v != self.table[k].default}

    def check(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Validate without storing: (clean values of known keys, unknown keys).

        Raises:
            OptionError: a known setting does not take its value.
        """
        clean, unknown = {}, []
        for key, value in values.items():
            if key in self.table:
                clean[key] = self.table[key].check(value)
            else:
                unknown.append(key)
        return clean, unknown

    def set_many(self, values: Mapping[str, Any], *, save: bool = True) -> dict[str, Change]:
        """Validate all, then store all or nothing; returns ``{key: (old, new)}`` of what changed.

        Unknown keys are ignored, as API clients post objects of other programs back. Without
        ``save`` the change lives in memory only, until the key is saved or the program ends.

        Raises:
            OptionError: a value does not fit; nothing was changed.
            OSError: the file could not be written; nothing was changed.
        """
        clean, _unknown = self.check(values)
        with self._lock:
            changes = {}
            for key, new in clean.items():
                old = self.get(key)
                if old != new:
                    changes[key] = (old, new)
            if save:
                self._save({**self._stored, **self._to_store(clean)})
            if not changes:
                return {}
            self._values = {**self._values, **{key: new for key, (_, new) in changes.items()}}
        for subscriber in list(self._subscribers):
            subscriber(dict(changes))
        return changes

    def reset(self, key: str) -> dict[str, Change]:
        """Give one setting its default back."""
        return self.set_many({key: _copy(self.table[key].default)})

    def with_overrides(self, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
        """All settings as one job sees them: those in force with the request's overrides on top.

        ``None`` values and unknown keys are dropped.

        Raises:
            OptionError: an override does not fit its setting.
        """
        effective = self.as_dict()
        given = {k: v for k, v in (overrides or {}).items() if v is not None}
        clean, _unknown = self.check(given)
        effective.update(clean)
        return effective

    def add(self, option: Option) -> None:
        """Append a setting to the table, as extensions do; the file may hold its value already.

        Raises:
            ValueError: the key is taken, or the default does not fit.
        """
        with self._lock:
            self.table.add(option)
            if option.key in self._unknown:
                self._take_stored(option.key, self._unknown.pop(option.key))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call ``subscriber(changes)`` after every stored change, on the thread that made it."""
        self._subscribers.append(subscriber)

    def _read(self) -> None:
        if not self.use_file:
            self.remarks.append(
                f"Safe mode: all settings begin with their defaults; {self.path.name} is left as "
                "it is, and changes last until Easel ends."
            )
            return
        stored = self._read_file(self.path)
        if stored is None and self.path.exists():
            aside = set_aside(self.path)
            stored = self._read_file(self.last_good)
            instead = DEFAULTS if stored is None else LAST_GOOD
            self.damage = Damage(self.path.name, aside.name if aside else "", instead)
            self._damaged(self.damage)
        for key, value in (stored or {}).items():
            self._take_stored(key, value)

    def _take_stored(self, key: str, value: Any) -> None:
        option: Option | None = self.table.get(key)
        if option is None:
            self._unknown[key] = value
            return
        try:
            self._values[key] = self._stored[key] = option.check(value)
        except OptionError as error:
            self.remarks.append(f"{self.path.name}: {error.sentence} The default was taken.")

    def _read_file(self, path: Path) -> dict[str, Any] | None:
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            if path.exists():
                log.warning("settings file %s cannot be read: %s", path.name, error)
            return None
        return stored if isinstance(stored, dict) else None

    def _to_store(self, clean: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the file does not hold yet; a default needs no line of its own."""
        return {
            key: value
            for key, value in clean.items()
            if value != self._stored.get(key, self.table[key].default)
        }

    def _save(self, stored: dict[str, Any]) -> None:
        if stored != self._stored:
            self._write(stored)
            self._stored = stored

    def _write(self, values: Mapping[str, Any]) -> None:
        if not self.use_file:
            return
        stored = {**self._unknown, **values}
        atomic.write_json(self.path, stored)
        try:
            atomic.write_json(self.last_good, stored)
        except OSError as error:
            log.warning("cannot keep a last good copy of %s: %s", self.path.name, error)


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
