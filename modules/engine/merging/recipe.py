"""What a merged file says about itself, in A1111's words: `sd_merge_recipe`, `sd_merge_models`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.header import open_regular
from modules.requests.models import CONFIG_SOURCES, MergeRequest

RECIPE, MODELS = "sd_merge_recipe", "sd_merge_models"
MAX_TEXT = 1_000_000
"""Of one inherited entry; longer ones (thumbnails, say) are not passed on."""
_LEGACY_PLACE, _LEGACY_SIZE = 0x100000, 0x10000


@dataclass(frozen=True)
class Ingredient:
    """One of the models that were merged."""

    name: str
    path: Path
    sha256: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def merge_metadata(
    request: MergeRequest, ingredients: Sequence[Ingredient], kind: str
) -> dict[str, str]:
    """The entries that go into the file's header.

    Args:
        ingredients: A, then B and C as far as they took part.
        kind: "inpainting", "instruct-pix2pix" or nothing.
    """
    if not request.save_metadata:
        return {"format": "pt"}
    metadata: dict[str, str] = {}
    if request.copy_metadata_fields:
        for ingredient in ingredients:
            metadata |= _passed_on(ingredient.metadata)
    for key, value in request.metadata_json.items():
        metadata[key] = value if isinstance(value, str) else json.dumps(value)
    if request.add_merge_recipe:
        metadata[RECIPE] = json.dumps(_recipe(request, ingredients, kind))
        metadata[MODELS] = json.dumps(_models(ingredients))
    return {**metadata, "format": "pt"}


def _passed_on(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if len(value) <= MAX_TEXT}


def _recipe(request: MergeRequest, ingredients: Sequence[Ingredient], kind: str) -> dict[str, Any]:
    hashes: list[str | None] = [ingredient.sha256 or None for ingredient in ingredients]
    hashes += [None] * (3 - len(hashes))
    recipe: dict[str, Any] = {
        "type": "webui",
        "primary_model_hash": hashes[0],
        "secondary_model_hash": hashes[1],
        "tertiary_model_hash": hashes[2],
        "interp_method": request.interp_method,
        "multiplier": request.multiplier,
        "save_as_half": request.save_as_half,
        "custom_name": request.custom_name,
        "config_source": request.config_source,
        "bake_in_vae": request.bake_in_vae,
        "discard_weights": request.discard_weights,
        "is_inpainting": kind == "inpainting",
        "is_instruct_pix2pix": kind == "instruct-pix2pix",
    }
    if request.block_weights:
        recipe["block_weights"] = request.block_weights
    assert request.config_source < len(CONFIG_SOURCES)
    return recipe


def _models(ingredients: Sequence[Ingredient]) -> dict[str, Any]:
    """Every model that took part by its hash, and those that took part in making it."""
    models: dict[str, Any] = {}
    for ingredient in ingredients:
        models[ingredient.sha256] = {
            "name": ingredient.name,
            "legacy_hash": legacy_hash(ingredient.path),
            RECIPE: _json(ingredient.metadata.get(RECIPE)),
        }
        inherited = _json(ingredient.metadata.get(MODELS))
        if isinstance(inherited, dict):
            models |= inherited
    return models


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text and len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        return None


def legacy_hash(path: Path) -> str | None:
    """A1111's first short hash: of 64 KB behind the first megabyte; None for a folder."""
    if path.is_dir():
        return None
    try:
        with open_regular(path) as stream:
            stream.seek(_LEGACY_PLACE)
            return hashlib.sha256(stream.read(_LEGACY_SIZE) or b"").hexdigest()[:8]
    except OSError:
        return None
