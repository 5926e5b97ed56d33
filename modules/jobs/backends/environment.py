"""How an engine process is started: its command line and environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modules.settings.flags import Flags
from modules.settings.paths import Paths

ENGINE_FLAGS = (
    "device_id",
    "use_cpu",
    "lowvram",
    "medvram",
    "medvram_sdxl",
    "no_half",
    "no_half_vae",
    "precision",
    "upcast_sampling",
    "disable_nan_check",
    "opt_channelslast",
    "no_hashing",
)
"""The flags that the engine sees. Command lines are public on most systems: no secrets here."""

_MALLOC_THRESHOLD = str(4 * 2**30)
"""Blocks up to this size come from glibc's heap and are kept when freed, instead of a fresh mapping
each time: first touches of fresh pages cost more than the arithmetic (1.2 to 1.4 times per step,
bit-exact, same peak memory)."""

_WAIT_POLICY = "PASSIVE"
"""OpenMP threads that wait for each other sleep instead of spinning. Beside one other busy program,
spinning made a picture of 128 pixels take 18 s instead of 0.4 (two cores); on an idle machine there
is no difference."""


SECRETS = ("COMMANDLINE_ARGS", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "CIVITAI_TOKEN")
"""What may hold passwords; the process that opens strangers' model files needs none of them."""


def engine_command(
    paths: Paths, flags: Flags, options: Mapping[str, Any], plugins: Sequence[str] = ()
) -> list[str]:
    """The command line of an engine process; ``plugins`` are modules that it installs."""
    return [
        sys.executable,
        "-m",
        "modules.engine.process",
        "--paths-json",
        json.dumps(_plain(asdict(paths))),
        "--flags-json",
        json.dumps({name: _plain(getattr(flags, name)) for name in ENGINE_FLAGS}),
        "--options-json",
        json.dumps(dict(options)),
        *(word for name in plugins for word in ("--plugin", name)),
    ]


def engine_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of an engine process; what the user has set himself stays."""
    environment = dict(os.environ if inherited is None else inherited)
    defaults = {
        "MALLOC_MMAP_THRESHOLD_": _MALLOC_THRESHOLD,
        "MALLOC_TRIM_THRESHOLD_": _MALLOC_THRESHOLD,
        "OMP_WAIT_POLICY": _WAIT_POLICY,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DIFFUSERS_VERBOSITY": "error",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }
    if not sys.platform.startswith("linux"):
        for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
            del defaults[name]
        del defaults["PYTORCH_CUDA_ALLOC_CONF"]
    for secret in SECRETS:
        environment.pop(secret, None)
    return {**defaults, **environment}


def _plain(value: Any) -> Any:
    """Paths and tuples as JSON has them."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
