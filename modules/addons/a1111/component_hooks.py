"""Tells extensions of each component of the page as A1111 does: before it is made, and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modules.addons.a1111 import script_callbacks

_script: list[Any] = []


@contextmanager
def inside(script: Any) -> Iterator[None]:
    """Components made meanwhile are those of ``script``."""
    _script.append(script)
    try:
        yield
    finally:
        _script.pop()


def announce(method: str, component: Any, **kwargs: Any) -> None:
    """Call ``before_component`` or ``after_component`` of callbacks and of the current runner."""
    from modules.addons.a1111 import scripts

    getattr(script_callbacks, f"{method}_callback")(component, **kwargs)
    if scripts.scripts_current is not None:
        getattr(scripts.scripts_current, method)(component, **kwargs)
