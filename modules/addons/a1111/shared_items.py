"""A1111's ``shared_items``: lists for drop-downs."""

from __future__ import annotations

from typing import Any

from modules.addons import host


def _names(what: str) -> list[str]:
    return list(host.get().ask(what, []))


def list_checkpoint_tiles(use_short: bool = False) -> list[str]:
    """Titles of all checkpoints."""
    return _names("checkpoint_titles")


def refresh_checkpoints() -> None:
    """Look for checkpoints again."""
    host.get().ask("refresh_checkpoints")


def list_samplers() -> list[Any]:
    """All samplers."""
    from modules.addons.a1111 import sd_samplers  # type: ignore[attr-defined]

    return sd_samplers.all_samplers


def list_sd_vae() -> list[str]:
    """What the VAE list offers."""
    return ["Automatic", "None", *_names("vae_names")]


sd_vae_items = list_sd_vae


def refresh_vae_list() -> None:
    """Look for VAEs again."""
    host.get().ask("refresh_vaes")


def realesrgan_models_names() -> list[str]:
    """Names of Real-ESRGAN upscalers."""
    return [name for name in _names("upscaler_names") if "ESRGAN" in name]


def dat_models_names() -> list[str]:
    """Names of DAT upscalers."""
    return [name for name in _names("upscaler_names") if "DAT" in name]


def postprocessing_scripts() -> list[Any]:
    """Steps of the Extras tab."""
    from modules.addons.a1111 import scripts

    return list(scripts.postprocessing_scripts_data)


def list_crossattention(diffusers: bool = False) -> list[str]:
    """Attention optimizations; the program chooses itself."""
    return ["Automatic"]


cross_attention_optimizations = list_crossattention


def sd_unet_items() -> list[str]:
    """UNet replacements."""
    return ["Automatic", "None"]


refresh_unet_list = list


def get_infotext_names() -> list[str]:
    """Labels of infotext that the settings have."""
    return []


def ui_reorder_categories() -> list[str]:
    """A1111's parts of the form in its order."""
    return [
        "sampler",
        "checkboxes",
        "dimensions",
        "cfg",
        "denoising",
        "seed",
        "batch",
        "override_settings",
        "scripts",
    ]


def callbacks_order_settings() -> dict[str, Any]:
    """Settings for the order of callbacks; ``metadata.ini`` decides here."""
    return {}
