"""Which parameters an image's text carries: from the engine's facts, the request and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules.gallery.infotext import (
    CHINESE,
    NEGATIVE_CHINESE,
    NEGATIVE_TEMPLATE,
    TEMPLATE,
    compose,
)
from modules.requests.errors import NotFoundInList
from modules.requests.samplers import resolve_sampler


def image_infotext(
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    templates: Sequence[str] | None = None,
    originals: Sequence[str] | None = None,
    version: str = "",
    user: str = "",
) -> str:
    """The infotext of one image.

    `facts` are those of the engine's `ImageDone`; `templates` the prompt and negative prompt before
    wildcards were expanded, `originals` the two before they were translated; both are written only
    where they differ from the result.
    """
    parameters = image_parameters(facts, request, options)
    prompts = (str(facts.get("prompt", "")), str(facts.get("negative_prompt", "")))
    for keys, earlier in (
        ((TEMPLATE, NEGATIVE_TEMPLATE), templates),
        ((CHINESE, NEGATIVE_CHINESE), originals),
    ):
        for key, template, text in zip(keys, earlier or (), prompts, strict=False):
            if template and template != text:
                parameters[key] = template
    if version and options.get("add_version_to_infotext", True):
        parameters["Version"] = version
    if user and options.get("add_user_name_to_info", False):
        parameters["User"] = user
    return compose(*prompts, parameters)


def image_parameters(
    facts: Mapping[str, Any], request: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """A1111's keys and values; what the engine put into `facts["extra"]` wins."""
    extra = dict(facts.get("extra") or {})
    found: dict[str, Any] = {
        "Steps": facts.get("steps"),
        "Sampler": facts.get("sampler_name"),
        "Schedule type": facts.get("schedule_label"),
        "CFG scale": facts.get("cfg_scale"),
        "Seed": facts.get("seed"),
        "Size": f"{facts['width']}x{facts['height']}" if "width" in facts else None,
        **_model(facts, options),
        **_seeds(facts, request),
        **_settings(facts, request, options),
        **_sampler_settings(facts, options),
    }
    for key, value in extra.items():
        if value is not None or key not in found:
            found[key] = value
    return {key: readable(value) for key, value in found.items() if value is not None}


def readable(value: Any) -> Any:
    """Whole floats as A1111's page writes them: 7 instead of 7.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _model(facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        "Model hash": ("model_hash", "add_model_hash_to_info"),
        "Model": ("model_name", "add_model_name_to_info"),
        "VAE hash": ("vae_hash", "add_vae_hash_to_info"),
        "VAE": ("vae_name", "add_vae_name_to_info"),
    }
    return {
        key: facts.get(fact) or None
        for key, (fact, option) in named.items()
        if options.get(option, True)
    }


def _seeds(facts: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    strength = request.get("subseed_strength") or 0
    if strength:
        found["Variation seed"] = facts.get("subseed")
        found["Variation seed strength"] = strength
    width, height = (request.get(f"seed_resize_from_{side}") or 0 for side in "wh")
    if width > 0 and height > 0:
        found["Seed resize from"] = f"{width}x{height}"
    return found


def _settings(
    facts: Mapping[str, Any], request: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    clip_skip = int(facts.get("clip_skip") or options.get("CLIP_stop_at_last_layers") or 1)
    source = options.get("randn_source", "GPU")
    tiling = request.get("tiling")
    if tiling is None:
        tiling = options.get("tiling", False)
    return {
        "Clip skip": clip_skip if clip_skip > 1 else None,
        "RNG": source if source in ("CPU", "NV") else None,
        "Tiling": True if tiling else None,
    }


def _sampler_settings(facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that only some samplers read; A1111 never wrote those of UniPC."""
    try:
        sampler, _ = resolve_sampler(facts.get("sampler_name"), None)
    except NotFoundInList:
        return {}
    found: dict[str, Any] = {}
    delta = options.get("eta_noise_seed_delta") or 0
    if delta and sampler.uses_ensd:
        found["ENSD"] = delta
    if sampler.name == "UniPC":
        for label, key, default in _UNIPC:
            if options.get(key, default) != default:
                found[label] = options[key]
    return found


_UNIPC = (
    ("UniPC variant", "uni_pc_variant", "bh1"),
    ("UniPC skip type", "uni_pc_skip_type", "time_uniform"),
    ("UniPC order", "uni_pc_order", 3),
    ("UniPC lower order final", "uni_pc_lower_order_final", True),
)
