"""Extra networks in a prompt: `<lora:name:0.8>`, `<hypernet:name>`, `<lora:name:te=0.5:unet=1>`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from modules.prompts.notices import PromptWarning, WarningList
from modules.prompts.positions import CutText, cut

KNOWN_KINDS = frozenset({"lora", "lyco", "hypernet"})

_OPENING = re.compile(r"<(\w+):")


@dataclass(frozen=True)
class ExtraNetwork:
    """One `<kind:name:…>`: `args` are the positional values after the name, `kwargs` the named."""

    kind: str
    name: str
    args: tuple[str, ...] = ()
    kwargs: dict[str, str] = field(default_factory=dict)


def cut_networks(text: str) -> tuple[CutText, tuple[ExtraNetwork, ...], list[PromptWarning]]:
    """Take every `<kind:…>` out of `text`; kinds nobody knows are taken out with a warning."""
    spans: list[tuple[int, int]] = []
    networks: list[ExtraNetwork] = []
    warnings = WarningList()
    for start, end, network in find_networks(text):
        spans.append((start, end))
        if network.kind in KNOWN_KINDS:
            networks.append(network)
        else:
            warnings.add("unknown_network", start, end, text=text[start:end][:80])
    return cut(text, spans), tuple(networks), warnings


def find_networks(text: str) -> list[tuple[int, int, ExtraNetwork]]:
    """Start, end and content of every `<kind:…>` in `text`, in order."""
    found: list[tuple[int, int, ExtraNetwork]] = []
    position = 0
    while match := _OPENING.search(text, position):
        end = text.find(">", match.end())
        if end < 0:
            break
        if end > match.end():
            network = _read(match.group(1), text[match.end() : end])
            found.append((match.start(), end + 1, network))
        position = end + 1
    return found


def _read(kind: str, body: str) -> ExtraNetwork:
    name, *items = body.split(":")
    args = tuple(item for item in items if "=" not in item)
    named = (item.split("=", 1) for item in items if "=" in item)
    return ExtraNetwork(kind, name, args, {key.strip(): value.strip() for key, value in named})
