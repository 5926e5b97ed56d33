"""What we say about a picture: that it was generated, by which model and program; never the prompt.

Actions and types as in the C2PA specification 2.x and IPTC's list of digital source types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = IPTC + "trainedAlgorithmicMedia"
MIXED = IPTC + "compositeWithTrainedAlgorithmicMedia"
ENHANCED = IPTC + "algorithmicallyEnhanced"
"""Upscaled or restored: what the picture shows was there before."""
AI_TYPES = (GENERATED, MIXED)
LABEL = "easel.generation"
"""Of our own assertion: which model and version."""
SOURCE = "source"
"""How the actions name the picture that ours was made from."""


@dataclass(frozen=True)
class Making:
    """How a picture came to be."""

    kind: str
    """"txt2img", "img2img" or "extras"."""
    version: str
    model: str = ""
    model_hash: str = ""
    """SHA-256 where it is known, else its beginning."""
    source: bytes | None = None
    """The file of the picture that it was made from."""

    @classmethod
    def of_job(
        cls,
        kind: str,
        facts: Mapping[str, Any],
        options: Mapping[str, Any],
        version: str,
        source: bytes | None = None,
    ) -> Making:
        """From what a job's record tells."""
        short, full = (
            str(facts.get("model_hash") or ""),
            str(options.get("sd_checkpoint_hash") or ""),
        )
        return cls(
            kind=kind,
            version=version,
            model=str(facts.get("model_name") or ""),
            model_hash=full if full.startswith(short) else short,
            source=source,
        )


def manifest_of(making: Making) -> dict[str, Any]:
    """The definition that c2pa's builder takes."""
    agent = {"name": "Easel", "version": making.version.removeprefix("easel ") or "0"}
    told = {"kind": making.kind, "model": making.model, "model_sha256": making.model_hash}
    return {
        "claim_generator_info": [agent],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(making, agent)}},
            {"label": LABEL, "data": {key: value for key, value in told.items() if value}},
        ],
    }


def ingredient_of(making: Making) -> dict[str, Any]:
    """The picture that ours was made from, without its name."""
    return {"title": "Source", "relationship": "parentOf", "label": SOURCE}


def _actions(making: Making, agent: dict[str, str]) -> list[dict[str, Any]]:
    if making.source is None:
        return [{"action": "c2pa.created", "digitalSourceType": GENERATED, "softwareAgent": agent}]
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [SOURCE]}}
    how = ENHANCED if making.kind == "extras" else MIXED
    edited = {"action": "c2pa.edited", "digitalSourceType": how, "softwareAgent": agent}
    return [opened, edited]
