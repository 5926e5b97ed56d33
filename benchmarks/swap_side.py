"""The other side of the swap: diffusers' `from_single_file`, in a process of its own.

Reads one JSON object per line from stdin and answers each with one line. `{"make": [paths]}` writes
random full-size files, `{"load": PATH, "config": FOLDER, "free_first": false}` replaces the
pipeline in memory; the former one stays until the new one is there, or is let go first.
`{"convert": NUMBERS}` answers what it costs at least to make so many numbers of 16 bits, which are
in memory, into 32 bits in memory that has been touched before.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

SAMPLE = 128 * 1024 * 1024
"""Numbers that are converted to see what that costs: far more than any cache holds."""


def main() -> int:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    side: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            answer = _make(request["make"], request.get("family", "sd15"))
        elif "convert" in request:
            answer = _convert(request["convert"])
        else:
            answer = _load(side, request["load"], request["config"], request["free_first"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _make(paths: list[str], family: str) -> dict[str, Any]:
    from benchmarks.full_size import provide_single

    for seed, path in enumerate(paths):
        provide_single(Path(path), seed, family)
    return {"ok": True}


def _convert(numbers: int) -> dict[str, Any]:
    import torch

    source = torch.ones(SAMPLE, dtype=torch.float16)
    destination = torch.ones(SAMPLE, dtype=torch.float32)
    costs = []
    for _ in range(10):
        begun = time.process_time()
        destination.copy_(source)
        costs.append(time.process_time() - begun)
    return {"cpu_s": min(costs) * numbers / SAMPLE}


def _load(side: dict[str, Any], path: str, config: str, free_first: bool) -> dict[str, Any]:
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    import torch
    from diffusers import StableDiffusionPipeline

    if free_first:
        side.clear()
        gc.collect()
    begun, started = time.process_time(), time.perf_counter()
    side["pipeline"] = StableDiffusionPipeline.from_single_file(
        path,
        config=config,
        torch_dtype=torch.float32,
        local_files_only=True,
        safety_checker=None,
    )
    return {"cpu_s": time.process_time() - begun, "s": time.perf_counter() - started}


if __name__ == "__main__":
    sys.exit(main())
