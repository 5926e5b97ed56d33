"""The parts of a diffusers folder that all families share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError
from modules.catalog.families import FolderFacts
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.components import ComponentPlan, Source
from modules.engine.checkpoints.layouts import clip_text as clip_text_layout
from modules.engine.checkpoints.layouts import vae as vae_layout
from modules.engine.checkpoints.layouts.names import Names

Told = Mapping[str, Mapping[str, Any]]
"""Configuration values of a sidecar, by component."""


def unet(folder: FolderFacts, told: Told) -> ComponentPlan:
    """Plan the folder's UNet.

    Raises:
        UnreadableModelError, UnsupportedModelError: it is missing or not of the known class.
    """
    config = _config(folder, "unet", "UNet", "UNet2DConditionModel")
    names = names_of(folder, "unet", "UNet")
    return _plan(folder, "unet", "UNet", {**config, **told.get("unet", {})}, names)


def vae(folder: FolderFacts, told: Told) -> ComponentPlan:
    """Plan the folder's VAE; see `unet` for what it raises."""
    if not folder.weights.get("vae"):
        raise UnsupportedModelError(folder.path, "has no VAE; choose a VAE file for it")
    config = _config(folder, "vae", "VAE", "AutoencoderKL")
    names = vae_layout.modern_names(names_of(folder, "vae", "VAE"))
    return _plan(folder, "vae", "VAE", {**config, **told.get("vae", {})}, names)


def clip_text(
    folder: FolderFacts, told: Told, name: str, *, projection: bool = False
) -> ComponentPlan:
    """Plan one CLIP text model of the folder; see `unet` for what it raises.

    `projection`: it is one whose summary is projected (`CLIPTextModelWithProjection`).
    """
    class_name = "CLIPTextModelWithProjection" if projection else "CLIPTextModel"
    config = _config(folder, name, "text encoder", class_name)
    names = clip_text_layout.modern_names(
        names_of(folder, name, "text encoder"), projection=projection
    )
    kind = "clip_text_projection" if projection else "clip_text"
    return _plan(folder, kind, "text encoder", {**config, **told.get(name, {})}, names)


def clip_vision(folder: FolderFacts, told: Told, name: str) -> ComponentPlan:
    """Plan a CLIP vision model of the folder; see `unet` for what it raises."""
    config = _config(folder, name, "vision model", "CLIPVisionModelWithProjection")
    names = names_of(folder, name, "vision model")
    table = {one: one for one in names if not one.endswith("embeddings.position_ids")}
    return _plan(
        folder,
        "clip_vision_projection",
        "vision model",
        {**config, **told.get(name, {})},
        names.renamed(table),
    )


def statistics(folder: FolderFacts, told: Told, name: str) -> ComponentPlan:
    """Plan the statistics of an unCLIP folder; see `unet` for what it raises."""
    part = "embedding's statistics"
    config = _config(folder, name, part, "StableUnCLIPImageNormalizer")
    return _plan(folder, "image_normaliser", part, config, names_of(folder, name, part))


def tokenizer(folder: FolderFacts, name: str, shipped: Path) -> Path:
    """The folder's tokenizer, or the shipped one when it has none."""
    own = folder.path / name
    if (own / "tokenizer.json").is_file():
        return own
    if (own / "vocab.json").is_file() and (own / "merges.txt").is_file():
        return own
    return shipped


def names_of(folder: FolderFacts, name: str, part: str) -> Names:
    """All tensors of one component, over its files.

    Raises:
        UnreadableModelError: a file is damaged, or two files hold the same tensor.
        UnsupportedModelError: there are no weights.
    """
    files = folder.weights.get(name, ())
    if not files:
        raise UnsupportedModelError(folder.path, f"has no {part}")
    sources: dict[str, Source] = {}
    for file in files:
        header = weights_header(file)
        for tensor in header:
            if tensor in sources:
                raise UnreadableModelError(folder.path, f"has {tensor!r} of its {part} twice")
            sources[tensor] = Source(header, tensor)
    return Names(sources)


def _config(folder: FolderFacts, name: str, part: str, class_name: str) -> dict[str, Any]:
    said = folder.classes.get(name)
    if said is not None and said != class_name:
        raise UnsupportedModelError(folder.path, f"has a {part} of the unknown class {said!r}")
    config = folder.configs.get(name)
    if config is None:
        raise UnreadableModelError(folder.path, f"has no configuration for its {part}")
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _plan(
    folder: FolderFacts, kind: str, part: str, config: Mapping[str, Any], names: Names
) -> ComponentPlan:
    return ComponentPlan(kind, config, names, folder.path, part)
