"""The order of callbacks: as registered, but for what ``metadata.ini`` says of before and after."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeVar

from modules.addons.extension import Extension


class Named(Protocol):
    """Anything with a callback's name, ``extension/file.py/category``."""

    name: str


One = TypeVar("One", bound=Named)


def ordered(callbacks: list[One], extensions: Sequence[Extension]) -> list[One]:
    """``callbacks`` in the order in which they are called; unchanged where the rules contradict."""
    rules = {
        name: order
        for extension in extensions
        for name, order in extension.metadata.callback_orders().items()
    }
    if len(callbacks) < 2 or not rules:
        return callbacks
    by_name = {one.name.lower(): one for one in callbacks}
    after: dict[str, list[str]] = {name: [] for name in by_name}
    for name in by_name:
        before_these, after_these = rules.get(name, ((), ()))
        after[name] += [other for other in after_these if other in by_name]
        for other in before_these:
            if other in by_name:
                after[other].append(name)
    try:
        tuple(TopologicalSorter(after).static_order())
    except CycleError:
        return callbacks
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name in placed:
            return
        for other in after[name]:
            place(other)
        placed[name] = None

    for name in after:
        place(name)
    return [by_name[name] for name in placed]
