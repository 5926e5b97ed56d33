"""Changing settings with what follows from it: a checkpoint is checked before and loaded after."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from modules.imaging.watermark import check_text
from modules.jobs.folders import check_output_folder
from modules.jobs.models import LoadFailed
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.settings.tables import extensions
from modules.web.context import AppContext
from modules.web.exposure import is_open

log = logging.getLogger("easel.api")

CHECKPOINT = "sd_model_checkpoint"
VAE = "sd_vae"
WATERMARK = "watermark_text"
RELOADING = frozenset({CHECKPOINT, VAE})
DERIVED = frozenset({"sd_checkpoint_hash"})
"""Shown with the settings but never set from outside."""


@dataclass(frozen=True)
class Applied:
    """What a change did."""

    changed: dict[str, tuple[Any, Any]]
    unknown: list[str] = field(default_factory=list)
    loading: Future[Any] | None = None
    """Done when the engine has the new checkpoint; raises LoadFailed after undoing the change."""


def apply_settings(context: AppContext, values: Mapping[str, Any]) -> Applied:
    """Check and store settings, all or nothing, and have the engine load what changed.

    Raises:
        OptionError, RequestError: a value does not fit; nothing was changed.
    """
    clean, unknown = _checked(context, values)
    changed = context.options.set_many(clean)
    loading = None
    if RELOADING & changed.keys():
        loading = context.jobs.between_jobs(lambda: _load(context, changed))
    return Applied(changed, unknown, loading)


def overrides_to_stay(context: AppContext, request: GenerationRequest) -> dict[str, Any]:
    """The request's overrides that stay in force after it, checked like any other change.

    Raises:
        OptionError, RequestError: a value does not fit, or the settings are frozen.
    """
    given = {key: v for key, v in request.override_settings.items() if v is not None}
    if request.override_settings_restore_afterwards or not given:
        return {}
    return _checked(context, given)[0]


def _checked(context: AppContext, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values that differ from those in force, as they are stored, and the unknown keys."""
    if context.flags.freeze_settings:
        raise RequestError("settings", "", "they are frozen (--freeze-settings).")
    wanted = {key: value for key, value in values.items() if key not in DERIVED}
    clean, unknown = context.options.check(wanted)
    clean = {key: value for key, value in clean.items() if value != context.options.get(key)}
    for key in extensions.KEYS & clean.keys():
        raise RequestError(key, clean[key], "extensions are switched in the tab Extensions alone.")
    if clean.get(CHECKPOINT):
        clean[CHECKPOINT] = context.catalog.find_checkpoint(clean[CHECKPOINT]).title
    if VAE in clean:
        context.catalog.find_vae(clean[VAE], None)
    if WATERMARK in clean:
        _check_watermark(str(clean[WATERMARK]))
    for key, value in clean.items():
        if key.startswith("outdir_"):
            confined = is_open(context.flags)
            check_output_folder(context.paths, key, str(value), confined=confined)
    return clean, unknown


def _check_watermark(text: str) -> None:
    try:
        check_text(text)
    except ValueError as error:
        raise RequestError(WATERMARK, text, f"{error}.") from None


def _load(context: AppContext, changed: Mapping[str, tuple[Any, Any]]) -> None:
    """On the worker's thread: load what the settings name now, or undo the change."""
    try:
        context.jobs.models.load_chosen()
    except LoadFailed as error:
        undo = {
            key: old
            for key, (old, new) in changed.items()
            if key in RELOADING and context.options.get(key) == new
        }
        context.options.set_many(undo)
        message = f"{error} The one before stays."
        context.jobs.fanout.publish({"type": "warning", "job": None, "message": message})
        raise LoadFailed(message) from error


def options_object(context: AppContext) -> dict[str, Any]:
    """All settings as A1111 answers them, with the checkpoint that is really meant."""
    values = context.options.as_dict()
    info = context.catalog.default_checkpoint()
    values[CHECKPOINT] = info.title if info is not None else values.get(CHECKPOINT) or None
    values["sd_checkpoint_hash"] = (info.sha256 or "") if info is not None else ""
    return values
