"""Tells extensions of each component of the page as A1111 does: before it is made, and after."""

from __future__ import annotations

import functools
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


@contextmanager
def announced() -> Iterator[None]:
    """Every component made meanwhile is announced, and carries A1111's classes."""
    from gradio.blocks import BlockContext, Blocks
    from gradio.components import Component

    originals = [(cls, cls.__init__) for cls in (Component, BlockContext)]

    def announcing(original: Any, cls: type) -> Any:
        @functools.wraps(original)
        def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(self, Blocks):
                original(self, *args, **kwargs)
                return
            announce("before_component", self, **kwargs)
            original(self, *args, **kwargs)
            scripts.add_classes_to_gradio_component(self)
            announce("after_component", self, **kwargs)

        return constructor

    from modules.addons.a1111 import scripts

    for cls, original in originals:
        cls.__init__ = announcing(original, cls)  # type: ignore[misc]
    try:
        yield
    finally:
        for cls, original in originals:
            cls.__init__ = original  # type: ignore[misc]
