"""The other side of the comparison: diffusers' own pipeline, as its documentation uses it.

A process of its own: it reads one JSON object per line from stdin, does what it says, and answers
with one JSON object per line on stdout. `{"make": FOLDER}` makes the random full-size model,
`{"load": FOLDER}` loads a pipeline in fp32, `{"run": {...}}` samples and times each step.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import Any, TextIO


def main() -> int:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    side: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            _make(request["make"])
            _answer(answers, {"ok": True})
        elif "load" in request:
            _import()
            started = time.perf_counter()
            side["pipeline"] = _load(request["load"])
            _answer(answers, {"load_s": time.perf_counter() - started})
        else:
            _answer(answers, _run(side["pipeline"], **request["run"]))
    return 0


def _answer(stream: TextIO, value: dict[str, Any]) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()


def _make(folder: str) -> None:
    from pathlib import Path

    from benchmarks.random_model import provide

    provide(Path(folder))


def _import() -> None:
    """Keep the seconds of the imports out of those of loading."""
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextModel, CLIPTokenizer

    assert all((DDIMScheduler, StableDiffusionPipeline, CLIPTextModel, CLIPTokenizer))


def _load(folder: str) -> Any:
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _run(pipeline: Any, prompt: str, size: int, steps: int, scale: float) -> dict[str, Any]:
    """Sample without decoding; wall and processor seconds of the steps but the first."""
    import torch

    stamps: list[float] = []
    processor: list[float] = []

    def stamp(_pipe: Any, _step: int, _time: Any, kept: dict[str, Any]) -> dict[str, Any]:
        stamps.append(time.perf_counter())
        processor.append(time.process_time())
        return kept

    pipeline(
        prompt,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=scale,
        generator=torch.Generator().manual_seed(1),
        output_type="latent",
        callback_on_step_end=stamp,
    )
    return {
        "step_s": [after - before for before, after in itertools.pairwise(stamps)],
        "cpu_s": (processor[-1] - processor[0]) / (steps - 1),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    sys.exit(main())
