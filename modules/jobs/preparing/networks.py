"""Extra networks of a job: the files that its prompts name, and those the settings add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modules.catalog import Catalog
from modules.prompts.comments import strip_comments
from modules.prompts.networks import find_networks
from modules.prompts.plan import parse_prompt

NONE = "None"
ADDED = {"lora": "sd_lora", "hypernet": "sd_hypernetwork"}
"""Kinds that a setting adds to every prompt, and which setting."""


@dataclass(frozen=True)
class NetworkSettler:
    """Finds the files of extra networks."""

    catalog: Catalog

    def added(self, prompts: list[str], options: Mapping[str, Any]) -> list[str]:
        """The prompts with the networks that the settings add, unless they name them already."""
        texts = []
        for kind, key in ADDED.items():
            name = str(options.get(key) or NONE)
            if name != NONE:
                strength = float(options.get("extra_networks_default_multiplier", 1.0))
                texts.append((kind, name, f"<{kind}:{name}:{strength:g}>"))
        if not texts:
            return prompts
        return [prompt + "".join(_missing(prompt, texts)) for prompt in prompts]

    def settle(
        self, positive: Iterable[str], negative: Iterable[str], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Entries of ``PreparedJob.resources``: `loras`, `hypernetworks` and `embeddings`.

        The engine tells of networks that are named but not found.
        """
        positive, negative = dict.fromkeys(positive), dict.fromkeys(negative)
        comments = bool(options.get("enable_prompt_comments", True))
        loras, hypernetworks = _named(positive, comments)
        networks = self.catalog.networks
        found = {
            "loras": {n: {"path": str(i.path)} for n, i in networks.find_loras(loras).items()},
            "hypernetworks": {
                name: {"path": str(info.path)}
                for name, info in networks.find_hypernetworks(hypernetworks).items()
            },
            "embeddings": self._words([*positive, *negative]),
        }
        return {key: value for key, value in found.items() if value}

    def _words(self, prompts: list[str]) -> list[dict[str, str]]:
        """The embeddings whose names may be in the texts."""
        texts = (text for prompt in prompts for text in parse_prompt(prompt, 100).texts())
        found = self.catalog.networks.embeddings_in(texts)
        return [{"name": info.name, "path": str(info.path)} for info in found]


def _named(prompts: Iterable[str], comments: bool) -> tuple[list[str], list[str]]:
    """Names of LoRAs and of hypernetworks in the prompts, in order of first use."""
    loras: dict[str, None] = {}
    hypernetworks: dict[str, None] = {}
    for prompt in prompts:
        for _, _, network in find_networks(strip_comments(prompt) if comments else prompt):
            name = network.name.strip()
            if network.kind in ("lora", "lyco"):
                loras[name] = None
            elif network.kind == "hypernet":
                hypernetworks[name] = None
    return list(loras), list(hypernetworks)


def _missing(prompt: str, texts: list[tuple[str, str, str]]) -> list[str]:
    there = {(network.kind, network.name) for _, _, network in find_networks(prompt)}
    return [text for kind, name, text in texts if (kind, name) not in there]
