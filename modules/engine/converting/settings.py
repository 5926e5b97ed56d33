"""The settings file beside a model: a result gets that of one of its parents."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.catalog.folders import read_json
from modules.catalog.sidecar import read_sidecar_leniently, sidecar_path
from modules.engine.checkpoints.families import ModelPlan
from modules.requests.models import MergeRequest
from modules.settings.atomic import write_json

MAX_BYTES = 1024 * 1024
_FLOWS = ("sd3", "flux")
_DYNAMIC = (
    "base_shift",
    "max_shift",
    "base_image_seq_len",
    "max_image_seq_len",
    "time_shift_type",
)
_UNSAID: Mapping[str, Any] = {"time_shift_type": "exponential"}
"""What a schedule means that says nothing of it."""


def copy_settings(parents: Sequence[Path], target: Path, request: MergeRequest) -> str:
    """Copy what cannot be told from weights; the name of the model it came from, or nothing."""
    chosen = {0: parents, 1: parents[1:2], 2: parents[2:3]}.get(request.config_source, ())
    for parent in chosen:
        if copy_notes(parent, target):
            return parent.name
    return ""


def flow_notes(plan: ModelPlan, configs: Path) -> dict[str, dict[str, Any]]:
    """What a folder says about a flow's times that nobody could tell from its weights alone."""
    if plan.family not in _FLOWS:
        return {}
    file = configs / plan.family / "scheduler" / "scheduler_config.json"
    guided = bool(plan.components["unet"].config.get("guidance_embeds"))
    usual = {**read_json(file, file.parent), "use_dynamic_shifting": guided}
    dynamic = bool(plan.scheduler.get("use_dynamic_shifting", False))
    keys = ("use_dynamic_shifting", *(_DYNAMIC if dynamic else ("shift",)))
    said = {key: plan.scheduler[key] for key in keys if plan.scheduler.get(key) is not None}
    odd = {key: value for key, value in said.items() if value != usual.get(key, _UNSAID.get(key))}
    return {"scheduler": odd} if odd else {}


def copy_notes(
    parent: Path, target: Path, told: Mapping[str, Mapping[str, Any]] | None = None
) -> bool:
    """Copy A1111's `.yaml` and the network settings of our own notes, where there are any.

    Args:
        told: settings by component that the target lacks otherwise; the parent's notes win.
    """
    copied = False
    if parent.is_file() and target.is_file():  # a folder says it in its own configurations
        for suffix in (".yaml", ".yml"):
            config = parent.with_suffix(suffix)
            if config.is_file() and config.stat().st_size <= MAX_BYTES:
                shutil.copyfile(config, target.with_suffix(".yaml"))
                copied = True
                break
    noted = read_sidecar_leniently(parent).components
    components = {name: dict(values) for name, values in (told or {}).items()}
    for name, values in noted.items():
        components[name] = {**components.get(name, {}), **values}
    if components and not sidecar_path(target).exists():
        write_json(sidecar_path(target), components)
        copied = True
    return copied
