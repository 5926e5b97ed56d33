"""Extensions' settings as rows of our own table, and our settings as extensions see them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.settings.options import Option, OptionError
from modules.settings.store import OptionStore

LARGEST = 100_000
"""Characters of JSON that a setting of an extension may have."""


@dataclass(frozen=True)
class ExtensionOption(Option):
    """A setting of an extension; besides what its row says it takes what is like its default."""

    def check(self, value: Any) -> Any:
        """The value as stored.

        Raises:
            OptionError: it does not fit and is nothing like the default.
        """
        try:
            return super().check(value)
        except OptionError:
            if type(value) is not type(self.default) and value is not None:
                raise
            try:
                if len(json.dumps(value)) <= LARGEST:
                    return value
            except (TypeError, ValueError):
                pass
            raise


class OptionBridge:
    """What ``shared.opts`` reads and writes in the server."""

    def __init__(self, store: OptionStore) -> None:
        self._store = store

    def add(self, key: str, info: Any) -> Any:
        """Put an extension's setting into the table; one of ours stays as it is.

        Returns the value in force.
        """
        if key not in self._store.table:
            self._store.add(option_of(key, info))
        return self._store[key]

    def set(self, values: Mapping[str, Any]) -> None:
        """Change settings.

        Raises:
            OptionError: a value does not fit.
            OSError: they cannot be written.
        """
        self._store.set_many(values)

    def as_dict(self) -> dict[str, Any]:
        """All settings."""
        return self._store.as_dict()


def option_of(key: str, info: Any) -> ExtensionOption:
    """A row for an ``OptionInfo``; what is not understood becomes a hidden one."""
    given = info.arguments()
    component = getattr(info.component, "__name__", "") if info.component else ""
    default = info.default
    kind, choices = _kind(component, given, default)
    section = info.section[1] if info.section and len(info.section) > 1 else "Extensions"
    row = {
        "key": key,
        "label": _text(info.label) or key,
        "group": str(section),
        "default": list(default) if isinstance(default, tuple) else default,
        "help": _text(f"{info.comment_before} {info.comment_after}"),
        "restart": "requires restart" in info.comment_after,
        "infotext": info.infotext or "",
        "hidden": given.get("visible") is False,
    }
    if kind in ("int", "float"):
        bounds = {name: given.get(name) for name in ("minimum", "maximum", "step")}
        row |= {name: one for name, one in bounds.items() if isinstance(one, (int, float))}
    option = ExtensionOption(kind=kind, choices=choices, **row)
    try:
        option.check(option.default)
    except OptionError:
        return ExtensionOption(kind="label", **{**row, "hidden": True})
    return option


def _kind(component: str, given: Mapping[str, Any], default: Any) -> tuple[str, tuple[str, ...]]:
    choices = given.get("choices") or ()
    choices = tuple(one for one in choices if isinstance(one, str)) if choices else ()
    if component == "ColorPicker":
        return "color", ()
    if isinstance(default, (list, tuple)):
        return "multi", choices
    if isinstance(default, bool):
        return "bool", ()
    if component in ("Dropdown", "Radio") and choices and isinstance(default, str):
        return "choice", choices if default in choices else (default, *choices)
    if isinstance(default, (int, float)):
        whole = isinstance(default, int) and float(given.get("step", 1) or 1).is_integer()
        return ("int" if whole else "float"), ()
    return "text", ()


def _text(markup: Any) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", str(markup or ""))).strip()
