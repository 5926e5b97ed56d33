"""The scripts of extensions as the queue and the page know them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownScript:
    """One script of an extension in one tab."""

    title: str
    alwayson: bool
    number: int
    """Its place among the selectable ones, from 0; -1 for the others."""
    start: int
    """Where its arguments begin in the flat list, that of the list itself left out."""
    defaults: tuple[Any, ...]
    labels: tuple[str, ...] = ()
    indices: tuple[tuple[str, ...] | None, ...] = ()
    """Choices of the components whose value is a place in the list."""


class ScriptTable:
    """Filled once the page's components are made; empty before."""

    def __init__(self) -> None:
        self._scripts: dict[str, tuple[KnownScript, ...]] = {}

    def read(self, kind: str, runner: Any) -> None:
        """Note the scripts of a runner whose components are made."""
        found = []
        for script in runner.scripts:
            number = -1 if script.alwayson else runner.selectable_scripts.index(script)
            controls = list(script.controls or [])
            found.append(
                KnownScript(
                    title=runner._title(script),
                    alwayson=script.alwayson,
                    number=number,
                    start=(script.args_from or 1) - 1,
                    defaults=tuple(_plain(value) for value in runner.defaults(script)),
                    labels=tuple(str(getattr(one, "label", "") or "") for one in controls),
                    indices=tuple(_choices(one) for one in controls),
                )
            )
        self._scripts[kind] = tuple(found)

    def find(self, title: str, kind: str, alwayson: bool) -> KnownScript | None:
        """One of them; the case of ``title`` does not matter."""
        wanted = title.strip().lower()
        return next(
            (
                one
                for one in self._scripts.get(kind, ())
                if one.title.lower() == wanted and one.alwayson == alwayson
            ),
            None,
        )

    def always(self, kind: str) -> Iterable[KnownScript]:
        """Those that take part in every job of a kind."""
        return [one for one in self._scripts.get(kind, ()) if one.alwayson]

    def all(self, kind: str) -> tuple[KnownScript, ...]:
        """All of a kind."""
        return self._scripts.get(kind, ())

    def layout(self, kind: str) -> list[dict[str, Any]]:
        """For the page: which of the flat values are whose."""
        return [
            {
                "title": one.title,
                "alwayson": one.alwayson,
                "start": one.start,
                "count": len(one.defaults),
                "indices": [list(names) if names else None for names in one.indices],
            }
            for one in self.all(kind)
        ]


def _choices(control: Any) -> tuple[str, ...] | None:
    if getattr(control, "type", None) != "index":
        return None
    pairs = getattr(control, "choices", None) or []
    return tuple(str(pair[1]) if isinstance(pair, (list, tuple)) else str(pair) for pair in pairs)


def _plain(value: Any) -> Any:
    """A value as JSON has it; None where it has no such thing."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return None
    return value
