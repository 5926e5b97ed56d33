"""What the form needs to know: lists, settings in force, the model's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.catalog.families import flux
from modules.catalog.restorers import list_restorers
from modules.requests.latent_upscaling import LATENT_UPSCALINGS
from modules.requests.samplers import SAMPLERS, SCHEDULERS
from modules.web.pages import assets, defaults
from modules.web.pages.keeping import can_open_folders

GUIDED = (flux.KEY, flux.DEV)
"""Family and variant that take the distilled CFG scale."""
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
    "include_styles_into_token_counters",
    "hidden_tabs",
    "show_progressbar",
    "do_not_show_images",
    "js_modal_lightbox_initially_zoomed",
    "prevent_screen_sleep_during_generation",
    "use_model_defaults",
    "interrupt_after_current",
    "hires_fix_show_sampler",
    "hires_fix_show_prompts",
)
"""Settings that the page's scripts read."""


def sampler_names(context: Any) -> list[str]:
    """Names of the Sampling method list, without those that a setting hides."""
    hidden = set(context.options.get("hide_samplers"))
    return [sampler.name for sampler in SAMPLERS if sampler.name not in hidden]


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


LATENT_UPSCALERS = tuple(entry.name for entry in LATENT_UPSCALINGS)


def upscaler_names(context: Any) -> list[str]:
    """Names of all upscalers of pictures, "None" first."""
    return [info.name for info in context.catalog.upscalers() if not info.hidden]


def form_lists(context: Any) -> dict[str, list[str]]:
    """What the lists of all tabs offer."""
    checkpoints, samplers = checkpoint_titles(context), sampler_names(context)
    schedulers, upscalers = scheduler_labels(), upscaler_names(context)
    vaes = [vae.name for vae in context.catalog.vaes()]
    return {
        "checkpoints": checkpoints,
        "vaes": vae_names(context),
        "styles": style_names(context),
        "samplers": samplers,
        "schedulers": schedulers,
        "upscalers": upscalers,
        "latent_upscalers": list(LATENT_UPSCALERS),
        "hires_upscalers": [*LATENT_UPSCALERS, *upscalers],
        "hires_checkpoints": [defaults.SAME_CHECKPOINT, *checkpoints],
        "optional_checkpoints": [defaults.NO_MODEL, *checkpoints],
        "baked_vaes": [defaults.NO_MODEL, *vaes],
        "convertible": [*checkpoints, *vaes],
        "hires_samplers": [defaults.SAME_SAMPLER, *samplers],
        "hires_schedulers": [defaults.SAME_SCHEDULER, *schedulers],
        "restorers": [info.name for info in list_restorers(context.paths)],
    }


def page_state(context: Any) -> dict[str, Any]:
    """One JSON object for the page's start and for each change of models or styles."""
    checkpoint = context.catalog.default_checkpoint()
    sidecar = context.catalog.sidecar(checkpoint) if checkpoint else None
    welcome = checkpoint and context.options.get("use_model_defaults")
    wished = context.catalog.default_parameters(checkpoint) if welcome else {}
    by_tab = defaults.by_tab()
    return {
        "assets": assets.version(),
        "checkpoint": checkpoint.title if checkpoint else None,
        "defaults": by_tab["txt2img"],
        "defaults_by_tab": by_tab,
        "model_defaults_by_tab": _wishes(wished, by_tab),
        "description": sidecar.description if sidecar else "",
        "variant": checkpoint.variant if checkpoint else "",
        "guided": bool(checkpoint) and (checkpoint.family, checkpoint.variant) == GUIDED,
        "examples": list(sidecar.example_prompts)[:24] if sidecar else [],
        "lists": form_lists(context),
        "options": _form_options(context),
        "overrides": {
            name: option.key for name, option in context.options.table.by_infotext().items()
        },
    }


def _wishes(
    parameters: Mapping[str, Any], by_tab: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The model's own defaults for each tab; a second pass, and its denoising strength, is meant
    for new pictures only: img2img's strength of the same name stays the user's."""
    second_pass = defaults.hires()
    return {
        tab: {
            name: value
            for name, value in parameters.items()
            if name in known and (tab == "txt2img" or name not in second_pass)
        }
        for tab, known in by_tab.items()
    }


def _form_options(context: Any) -> dict[str, Any]:
    values = context.options.as_dict()
    wanted = dict.fromkeys((*FORM_OPTIONS, *quick_keys(context), *_in_infotext(context)))
    found = {key: values[key] for key in wanted if key in values}
    return {**found, "can_open_folder": can_open_folders(context.flags)}


def quick_keys(context: Any) -> list[str]:
    """Settings of the bar above the tabs: the known ones of ``quicksettings_list``."""
    table = context.options.table
    return [key for key in context.options.get("quicksettings_list") if key in table]


def _in_infotext(context: Any) -> list[str]:
    """Settings that a picture's parameters may name; the page tells which differ."""
    return [option.key for option in context.options.table.by_infotext().values()]
