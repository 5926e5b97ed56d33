"""A1111's ``extra_networks``: ``<kind:name:…>`` in prompts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from modules.prompts.networks import find_networks

extra_network_registry: dict[str, ExtraNetwork] = {}
extra_network_aliases: dict[str, ExtraNetwork] = {}
re_extra_net = re.compile(r"<(\w+):([^>]+)>")


class ExtraNetworkParams:
    """The parts of one tag: all, those without a name, and those with one."""

    def __init__(self, items: list[str] | None = None) -> None:
        self.items = items or []
        self.positional: list[str] = []
        self.named: dict[str, str] = {}
        for item in self.items:
            parts = item.split("=", 2)
            if len(parts) == 2:
                self.named[parts[0]] = parts[1]
            else:
                self.positional.append(item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExtraNetworkParams) and self.items == other.items

    __hash__ = None  # type: ignore[assignment]


class ExtraNetwork:
    """A kind of network that an extension adds."""

    def __init__(self, name: str) -> None:
        self.name = name

    def activate(self, p: Any, params_list: list[ExtraNetworkParams]) -> None:
        """Bring them into force."""
        raise NotImplementedError

    def deactivate(self, p: Any) -> None:
        """Take them away."""
        raise NotImplementedError


def initialize() -> None:
    """Forget what is registered."""
    extra_network_registry.clear()
    extra_network_aliases.clear()


def register_extra_network(extra_network: ExtraNetwork) -> None:
    """Add a kind."""
    extra_network_registry[extra_network.name] = extra_network


def register_extra_network_alias(extra_network: ExtraNetwork, alias: str) -> None:
    """Add a further name of a kind."""
    extra_network_aliases[alias] = extra_network


def register_default_extra_networks() -> None:
    """The program has them."""


def parse_prompt(prompt: str) -> tuple[str, dict[str, list[ExtraNetworkParams]]]:
    """The prompt without its tags, and what they say by kind."""
    found: dict[str, list[ExtraNetworkParams]] = defaultdict(list)

    def read(match: re.Match[str]) -> str:
        found[match[1]].append(ExtraNetworkParams(items=match[2].split(":")))
        return ""

    return re_extra_net.sub(read, prompt), found


def parse_prompts(
    prompts: Iterable[str],
) -> tuple[list[str], dict[str, list[ExtraNetworkParams]] | None]:
    """All without their tags; those of the first count, as in A1111."""
    texts: list[str] = []
    first: dict[str, list[ExtraNetworkParams]] | None = None
    for prompt in prompts:
        text, found = parse_prompt(prompt)
        if first is None:
            first = found
        texts.append(text)
    return texts, first


def tags_of(prompt: str) -> str:
    """All tags of a prompt, one behind the other."""
    return "".join(prompt[start:end] for start, end, _ in find_networks(prompt))


def activate(p: Any, extra_network_data: dict[str, list[ExtraNetworkParams]] | None) -> None:
    """Kinds of extensions; the program brings its own into force."""
    for name, network in extra_network_registry.items():
        network.activate(p, (extra_network_data or {}).get(name, []))


def deactivate(p: Any, extra_network_data: dict[str, list[ExtraNetworkParams]] | None) -> None:
    """The same at the end of a job."""
    for network in extra_network_registry.values():
        network.deactivate(p)


def get_user_metadata(filename: str | None, lister: Any = None) -> dict[str, Any]:
    """What is written beside a network's file."""
    import json
    from pathlib import Path

    if filename is None:
        return {}
    path = Path(filename).with_suffix(".json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
