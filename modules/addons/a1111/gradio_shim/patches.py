"""Makes Gradio's classes take what Gradio 3 and 4 took. Applied once, and only with extensions.

Everything here only adds: calls that Gradio takes anyway do what they did.
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio
from gradio import blocks, component_meta, events

log = logging.getLogger("easel.addons")

_state = {"applied": False, "building": 0}
_told: set[tuple[str, str]] = set()
_foreign: list[str] = []


def apply() -> None:
    """Patch Gradio; a second call does nothing."""
    if _state["applied"]:
        return
    _state["applied"] = True
    component_meta.create_or_modify_pyi = lambda *args: None  # it writes beside the extension
    blocks.Block.get_component_class_id = classmethod(  # type: ignore[method-assign]
        _class_id(blocks.Block.get_component_class_id.__func__)  # type: ignore[attr-defined]
    )
    blocks.Block.style = _style  # type: ignore[attr-defined]
    blocks.Block.update = classmethod(_update_of)  # type: ignore[attr-defined]
    for cls in _classes(blocks.Block):
        if "__init__" in vars(cls):
            cls.__init__ = _lax(cls.__init__, cls)  # type: ignore[method-assign]
        for event in getattr(cls, "EVENTS", ()):
            listener = vars(cls).get(str(event))
            if callable(listener):
                setattr(cls, str(event), _lax_event(listener))
    setup = events.EventListener._setup
    events.EventListener._setup = staticmethod(  # type: ignore[method-assign]
        lambda *args, **kwargs: _lax_event(setup(*args, **kwargs))
    )
    _sketches()


@contextmanager
def building() -> Iterator[None]:
    """Components made meanwhile are those of extensions."""
    _state["building"] += 1
    try:
        yield
    finally:
        _state["building"] -= 1


def foreign_scripts() -> list[str]:
    """Texts of ``js=`` that extensions gave."""
    return list(dict.fromkeys(_foreign))


def update(*args: Any, **kwargs: Any) -> Any:
    """``gr.update``; what is hidden stays in the page, where scripts look for it."""
    if kwargs.get("visible") is False:
        kwargs["visible"] = "hidden"
    for old, new in (("grid", "columns"),):
        if old in kwargs:
            kwargs[new] = kwargs.pop(old)
    return gradio.update(*args, **kwargs)


def _update_of(cls: type, *args: Any, **kwargs: Any) -> Any:
    return update(*args, **kwargs)


def _style(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self


def _classes(cls: type) -> Iterator[type]:
    yield cls
    for below in cls.__subclasses__():
        yield from _classes(below)


def _class_id(original: Callable[..., str]) -> Callable[..., str]:
    def get_component_class_id(cls: type) -> str:
        try:
            return original(cls)
        except TypeError:  # the class's module is not in sys.modules under its name
            return f"{cls.__module__}.{cls.__qualname__}"

    return get_component_class_id


def _lax(original: Callable[..., None], cls: type) -> Callable[..., None]:
    """A constructor that translates old keywords and leaves out unknown ones."""
    # Gradio's own wrapper takes anything; what it wraps tells what is known.
    signature = inspect.signature(inspect.unwrap(original))
    known = set(signature.parameters)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    @functools.wraps(original)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        if "tooltip" in kwargs and "tooltip" not in known:
            self.webui_tooltip = kwargs.pop("tooltip")
        if not open_ended:
            kwargs = {k: v for k, v in _translated(kwargs, known, cls).items() if v is not _GONE}
        if _state["building"] and kwargs.get("visible") is False and kwargs.get("elem_id"):
            kwargs["visible"] = "hidden"
        original(self, *args, **kwargs)

    return constructor


_GONE = object()


def _translated(kwargs: dict[str, Any], known: set[str], cls: type) -> dict[str, Any]:
    found = dict(kwargs)
    if "source" in found and "source" not in known:
        source = found.pop("source")
        if "sources" in known and source in ("upload", "webcam", "clipboard", "microphone"):
            found["sources"] = [source]
    if "grid" in found and "columns" in known:
        found["columns"] = found.pop("grid")
    if cls is gradio.File and found.get("type") in ("file", "bytes"):
        found["type"] = "filepath" if found["type"] == "file" else "binary"
    for name in set(found) - known:
        del found[name]
        if (cls.__name__, name) not in _told:
            _told.add((cls.__name__, name))
            log.debug("gradio.%s has no %s any more; it is left out", cls.__name__, name)
    return found


def _lax_event(original: Callable[..., Any]) -> Callable[..., Any]:
    """An event that takes ``_js`` and leaves out what is gone."""
    known = set(inspect.signature(original).parameters)

    @functools.wraps(original)
    def event_trigger(*args: Any, **kwargs: Any) -> Any:
        if "_js" in kwargs:
            kwargs["js"] = kwargs.pop("_js") or kwargs.get("js")
        if _state["building"] and isinstance(kwargs.get("js"), str):
            _foreign.append(kwargs["js"])
        if isinstance(kwargs.get("show_progress"), bool):
            kwargs["show_progress"] = "full" if kwargs["show_progress"] else "hidden"
        return original(*args, **{k: v for k, v in kwargs.items() if k in known})

    return event_trigger


def _sketches() -> None:
    from modules.addons.a1111.gradio_shim.sketch import SketchImage

    def make(cls: type, *args: Any, tool: str | None = None, **kwargs: Any) -> Any:
        if cls is gradio.Image and tool in ("sketch", "color-sketch"):
            return SketchImage(*args, **kwargs)
        return object.__new__(cls)

    gradio.Image.__new__ = make  # type: ignore[method-assign,assignment]


def decode_base64_to_image(encoding: str) -> Any:
    """A PIL image from base64, with or without its ``data:`` head."""
    from PIL import Image

    content = encoding.split(",", 1)[1] if encoding.startswith("data:") else encoding
    return Image.open(io.BytesIO(base64.b64decode(content)))


def encode_pil_to_base64(image: Any) -> str:
    """A PIL image as a ``data:`` address of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
