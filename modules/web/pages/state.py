"""What the form needs to know of the running program: lists, settings in force, the model's defaults."""

from __future__ import annotations

from typing import Any

from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.samplers import SAMPLERS, SCHEDULERS

AUTOMATIC_VAE = ("Automatic", "None")
FORM_OPTIONS = (
    "sd_model_checkpoint",
    "sd_vae",
    "CLIP_stop_at_last_layers",
    "keyedit_precision_attention",
    "keyedit_precision_extra",
    "keyedit_delimiters",
    "keyedit_move",
    "disable_token_counters",
    "show_progress_in_title",
    "js_modal_lightbox",
    "send_seed",
    "send_size",
    "disable_weights_auto_swap",
    "infotext_skip_pasting",
    "interrupt_after_current",
    "notification_audio",
    "localization",
)
"""Settings that the page's scripts read."""


def sampler_names() -> list[str]:
    """Names of the Sampling method list."""
    return [sampler.name for sampler in SAMPLERS]


def scheduler_labels() -> list[str]:
    """Labels of the Schedule type list."""
    return [scheduler.label for scheduler in SCHEDULERS]


def style_names(context: Any) -> list[str]:
    """Names of all styles."""
    return [style.name for style in context.styles.list()]


def checkpoint_titles(context: Any) -> list[str]:
    """Titles of all checkpoints."""
    return [info.title for info in context.catalog.checkpoints()]


def vae_names(context: Any) -> list[str]:
    """What the VAE list offers: the two words first, then the files."""
    return [*AUTOMATIC_VAE, *(vae.name for vae in context.catalog.vaes())]


def chosen_checkpoint(context: Any) -> Any | None:
    """The checkpoint that the next job will use, if there is any."""
    wanted = context.options.get("sd_model_checkpoint")
    known = context.catalog.checkpoints()
    if wanted:
        try:
            return context.catalog.find_checkpoint(wanted)
        except RequestError:
            return None
    return known[0] if known else None


def form_defaults() -> dict[str, Any]:
    """The form as it is before anybody touched it, without a model's own wishes."""
    request = GenerationRequest.ui_defaults()
    return {
        "prompt": "",
        "negative_prompt": "",
        "styles": [],
        "sampler_name": request.sampler_name,
        "scheduler": request.scheduler,
        "steps": request.steps,
        "width": request.width,
        "height": request.height,
        "n_iter": 1,
        "batch_size": 1,
        "cfg_scale": request.cfg_scale,
        "seed": -1,
        "seed_extra": False,
        "subseed": -1,
        "subseed_strength": 0.0,
        "seed_resize_from_w": 0,
        "seed_resize_from_h": 0,
        "override_settings": [],
    }


def page_state(context: Any) -> dict[str, Any]:
    """One JSON object for the page's start and for each change of models or styles."""
    checkpoint = chosen_checkpoint(context)
    wishes = context.catalog.default_parameters(checkpoint) if checkpoint else {}
    known = form_defaults()
    return {
        "checkpoint": checkpoint.title if checkpoint else None,
        "defaults": known,
        "model_defaults": {k: v for k, v in wishes.items() if k in known},
        "examples": list(wishes.get("examples", ()))[:12],
        "lists": {
            "checkpoints": checkpoint_titles(context),
            "vaes": vae_names(context),
            "styles": style_names(context),
            "samplers": sampler_names(),
            "schedulers": scheduler_labels(),
        },
        "options": _form_options(context),
        "overrides": {
            name: option.key for name, option in context.options.table.by_infotext().items()
        },
    }


def _form_options(context: Any) -> dict[str, Any]:
    values = context.options.as_dict()
    return {key: values[key] for key in FORM_OPTIONS if key in values}
