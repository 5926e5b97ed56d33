"""Separate VAEs: one file in diffusers' or the original layout, or a diffusers VAE folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.folders import read_json, weight_files
from modules.catalog.kinds import decoder_prefix
from modules.catalog.sidecar import Sidecar
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.vae import modern_names, read_vae


def plan_vae(path: Path, defaults: Mapping[str, Any], sidecar: Sidecar) -> ComponentPlan:
    """Plan a separate VAE; `defaults` hold what tensors do not tell, the sidecar's values win.

    Raises:
        UnreadableModelError, UnsupportedModelError: it cannot be loaded; says why.
    """
    told = sidecar.components.get("vae", {})
    if path.is_dir():
        return _plan_folder(path, told)
    header = weights_header(path)
    prefix = decoder_prefix(header)
    if prefix is None:
        raise UnsupportedModelError(path, "is not a VAE")
    return plan_names(path, Names.below(header, prefix), {**defaults, **told})


def plan_names(path: Path, names: Names, defaults: Mapping[str, Any]) -> ComponentPlan:
    """Plan a VAE from its tensors alone.

    Raises:
        UnsupportedModelError: the tensors do not form one.
    """
    try:
        config, weights = read_vae(names, defaults)
    except ValueError as error:
        raise UnsupportedModelError(path, f"has an odd VAE: {error}") from error
    return ComponentPlan("vae", config, weights, path, "VAE")


def _plan_folder(path: Path, told: Mapping[str, Any]) -> ComponentPlan:
    files = weight_files(path, path)
    if len(files) != 1:
        raise UnsupportedModelError(path, "is not a VAE folder with one file of weights")
    config = read_json(path / "config.json", path)
    if config.get("_class_name") not in (None, "AutoencoderKL"):
        raise UnsupportedModelError(path, f"is a {config['_class_name']}, not an AutoencoderKL")
    plain = {key: value for key, value in config.items() if not key.startswith("_")}
    names = modern_names(Names.below(weights_header(files[0]), ""))
    return ComponentPlan("vae", {**plain, **told}, names, path, "VAE")
