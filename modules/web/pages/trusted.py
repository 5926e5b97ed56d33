"""The page's event scripts as a file of its own, so that its policy needs no ``unsafe-eval``.

Gradio sends the text of every ``js=`` event to the browser, which makes functions of the texts.
Here the same texts are written into a script that we serve; ``static/trusted.js`` gives Gradio the
functions from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from modules.web.pages import assets

if TYPE_CHECKING:
    import gradio

PATH = "/easel/trusted.js"
ON_LOAD = "element,trigger,props,server,upload,watch"
"""The arguments that Gradio gives to the ``js_on_load`` of a ``gr.HTML``."""
PLAIN_TEMPLATES = ("${value}", "", None)


@dataclass(frozen=True)
class TrustedScripts:
    """The scripts of one page."""

    events: tuple[str, ...]
    """Texts of ``js=``, each an expression that gives a function."""
    loads: tuple[str, ...] = ()
    """Texts of ``js_on_load``."""
    foreign: tuple[str, ...] = ()
    """Templates with expressions, which only a browser that may evaluate text can show."""

    @classmethod
    def of(cls, blocks: gradio.Blocks, without: Iterable[str] = ()) -> TrustedScripts:
        """Everything that a page would evaluate; ``without`` are events that have own scripts."""
        foreign = {_trimmed(text) for text in without}
        events = (_trimmed(function.js) for function in blocks.fns.values())
        return cls(
            events=_once(event for event in events if event not in foreign),
            loads=_once(getattr(block, "js_on_load", None) for block in blocks.blocks.values()),
            foreign=_once(_templates(blocks)),
        )

    @cached_property
    def text(self) -> str:
        """The script."""
        lines = [(assets.STATIC / "trusted.js").read_text(encoding="utf-8")]
        for event in self.events:
            lines.append(f"Easel.scripts.set({json.dumps(event)}, () => (\n{event}\n));")
        for load in self.loads:
            key = json.dumps(f"({ON_LOAD}){load}")
            lines.append(f"Easel.scripts.set({key}, () => (({ON_LOAD}) => {{\n{load}\n}}));")
        return "\n".join(lines) + "\n"

    @cached_property
    def version(self) -> str:
        """Changes with the script."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()[:12]

    @property
    def url(self) -> str:
        """Where the page finds it, relative to the program's root."""
        return f"{PATH}?v={self.version}"


def _templates(blocks: gradio.Blocks) -> Iterator[str | None]:
    for block in blocks.blocks.values():
        for name in ("html_template", "css_template"):
            template = getattr(block, name, None)
            if template not in PLAIN_TEMPLATES and "{" in str(template):
                yield str(template)


def _trimmed(script: str | bool | None) -> str | None:
    # As Gradio's page trims it before it makes a function of it.
    return script.strip().rstrip(";") if isinstance(script, str) else None


def _once(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
