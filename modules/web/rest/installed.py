"""What a picture's text names and this installation does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules.gallery.infotext import ParsedInfotext
from modules.gallery.obstacles import CANNOT
from modules.requests.errors import RequestError
from modules.requests.latent_upscaling import find_latent_upscaling
from modules.web.context import AppContext


def leave_out_missing(
    context: AppContext,
    parsed: ParsedInfotext,
    fields: dict[str, Any],
    overrides: dict[str, Any],
) -> list[str]:
    """Take out fields and settings that name files which are not here; one sentence for each.

    ``fields`` and ``overrides`` are changed.
    """
    catalog = context.catalog
    chosen, model = overrides.get("sd_model_checkpoint"), parsed.parameters.get("Model")
    if chosen and model and not _there(catalog.find_checkpoint, str(chosen)):
        overrides["sd_model_checkpoint"] = model
    checks: list[tuple[dict[str, Any], str, str, Callable[[str], Any]]] = [
        (overrides, "sd_model_checkpoint", "checkpoint", catalog.find_checkpoint),
        (overrides, "sd_vae", "VAE", catalog.find_vae),
        (fields, "refiner_checkpoint", "refiner checkpoint", catalog.find_checkpoint),
        (fields, "hr_checkpoint_name", "checkpoint", catalog.find_checkpoint),
        (fields, "hr_upscaler", "upscaler", lambda name: _find_upscaler(context, name)),
    ]
    notes = []
    for values, key, what, find in checks:
        name = values.get(key)
        if name and not _there(find, str(name)):
            del values[key]
            notes.append(_sentence(what, _shown(parsed, key, str(name))))
    # A file's hash may not be known yet: its name is an answer too.
    named = [parsed.parameters[key] for key in ("Model hash", "Model") if key in parsed.parameters]
    if named and not any(_there(catalog.find_checkpoint, name) for name in named):
        notes.append(_sentence("checkpoint", _shown(parsed, "sd_model_checkpoint", named[0])))
    return list(dict.fromkeys(notes))


def _find_upscaler(context: AppContext, name: str) -> Any:
    return find_latent_upscaling(name) or context.catalog.find_upscaler(name)


def _there(find: Callable[[str], Any], name: str) -> bool:
    try:
        find(name)
    except RequestError:
        return False
    return True


def _shown(parsed: ParsedInfotext, key: str, name: str) -> str:
    """A checkpoint that is named by its hash alone says little to people."""
    model = parsed.parameters.get("Model")
    if key == "sd_model_checkpoint" and model and model != name:
        return f"{model} [{name}]"
    return name


def _sentence(what: str, name: str) -> str:
    return f"{CANNOT} the {what} {name[:100]!r} is not here."
