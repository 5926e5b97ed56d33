"""The settings file beside a model: a result gets that of one of its parents."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from modules.catalog.sidecar import read_sidecar_leniently, sidecar_path
from modules.requests.models import MergeRequest
from modules.settings.atomic import write_json

MAX_BYTES = 1024 * 1024


def copy_settings(parents: Sequence[Path], target: Path, request: MergeRequest) -> str:
    """Copy what cannot be told from weights; the name of the model it came from, or nothing."""
    chosen = {0: parents, 1: parents[1:2], 2: parents[2:3]}.get(request.config_source, ())
    for parent in chosen:
        if copy_notes(parent, target):
            return parent.name
    return ""


def copy_notes(parent: Path, target: Path) -> bool:
    """Copy A1111's `.yaml` and the network settings of our own notes, where there are any."""
    copied = False
    if parent.is_file() and target.is_file():  # a folder says it in its own configurations
        for suffix in (".yaml", ".yml"):
            config = parent.with_suffix(suffix)
            if config.is_file() and config.stat().st_size <= MAX_BYTES:
                shutil.copyfile(config, target.with_suffix(".yaml"))
                copied = True
                break
    components = read_sidecar_leniently(parent).components
    if components and not sidecar_path(target).exists():
        write_json(sidecar_path(target), components)
        copied = True
    return copied
