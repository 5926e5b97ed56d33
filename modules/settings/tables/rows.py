"""Short constructors for the rows of the option table."""

from __future__ import annotations

from typing import Any

from modules.settings.options import Option


class Section:
    """Builds the rows of one section of the Settings page."""

    def __init__(self, group: str, *, hidden: bool = False) -> None:
        self.group = group
        self.hidden = hidden

    def _row(self, key: str, label: str, default: Any, kind: str, **more: Any) -> Option:
        more.setdefault("hidden", self.hidden)
        return Option(key=key, label=label, group=self.group, default=default, kind=kind, **more)

    def flag(self, key: str, label: str, default: bool, **more: Any) -> Option:
        """A checkbox."""
        return self._row(key, label, default, "bool", **more)

    def text(self, key: str, label: str, default: str = "", **more: Any) -> Option:
        """A line of text."""
        return self._row(key, label, default, "text", **more)

    def color(self, key: str, label: str, default: str, **more: Any) -> Option:
        """A colour picker."""
        return self._row(key, label, default, "color", **more)

    def choice(
        self, key: str, label: str, default: str | None, choices: str = "", **more: Any
    ) -> Option:
        """A dropdown; ``choices`` are separated by ``|``."""
        return self._row(key, label, default, "choice", choices=_split(choices), **more)

    def multi(
        self, key: str, label: str, default: list[str], choices: str = "", **more: Any
    ) -> Option:
        """Several of a list."""
        return self._row(key, label, default, "multi", choices=_split(choices), **more)

    def whole(
        self, key: str, label: str, default: int, low: int, high: int, step: int = 1, **more: Any
    ) -> Option:
        """A slider of whole numbers."""
        return self._row(key, label, default, "int", minimum=low, maximum=high, step=step, **more)

    def number(
        self,
        key: str,
        label: str,
        default: float,
        low: float,
        high: float,
        step: float,
        **more: Any,
    ) -> Option:
        """A slider of fractions."""
        return self._row(key, label, default, "float", minimum=low, maximum=high, step=step, **more)


def _split(choices: str) -> tuple[str, ...]:
    return tuple(choices.split("|")) if choices else ()
