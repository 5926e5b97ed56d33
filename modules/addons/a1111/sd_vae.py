"""A1111's ``sd_vae``: the separate VAEs there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.addons import host
from modules.addons.a1111 import shared
from modules.addons.a1111.paths_internal import models_path

vae_path = str(Path(models_path) / "VAE")
base_vae: Any = None
loaded_vae_file: str | None = None
checkpoint_info: Any = None
unspecified = object()


def __getattr__(name: str) -> Any:
    if name == "vae_dict":
        catalog = host.get().ask("catalog")
        return {} if catalog is None else {one.name: str(one.path) for one in catalog.vaes()}
    raise AttributeError(f"module 'modules.sd_vae' has no attribute {name!r}")


def refresh_vae_list() -> None:
    """Look for VAEs again."""
    catalog = host.get().ask("catalog")
    if catalog is not None:
        catalog.refresh()


def get_loaded_vae_name() -> str | None:
    """Of the model in memory."""
    loaded = getattr(shared.sd_model, "easel", None)
    return None if loaded is None else loaded.vae_name


def get_loaded_vae_hash() -> str | None:
    """Of the model in memory."""
    loaded = getattr(shared.sd_model, "easel", None)
    return None if loaded is None else loaded.vae_hash


def reload_vae_weights(sd_model: Any = None, vae_file: Any = unspecified) -> None:
    """The engine loads what the next job asks for."""


def load_vae_dict(filename: str, map_location: Any = None) -> dict[str, Any]:
    """The tensors of a VAE file."""
    from modules.addons.a1111.sd_models import read_state_dict

    return read_state_dict(filename, map_location=map_location)
