"""Merging two checkpoints of SDXL's size: the memory that the process takes at most, and the time.

The files are random, in fp16, with as many weights of the same sizes as SDXL's (6.9 GB each). The
merge runs in a process of its own, torch and all; its peak is what the system says of it. Three
such files must fit on the disk; where they do not, smaller ones are made, and their size is told.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.plan import Plan

SHAPES: tuple[tuple[int, tuple[int, ...]], ...] = (
    (1, (49_408, 1280)),
    (1, (49_408, 768)),
    (70, (10_240, 1280)),
    (102, (1280, 5120)),
    (32, (5120, 1280)),
    (32, (3840, 1280)),
    (320, (1280, 1280)),
    (140, (1280, 2048)),
    (20, (1280, 1280, 3, 3)),
    (12, (640, 640, 3, 3)),
    (6, (1280, 2560, 3, 3)),
    (1500, (1280,)),
)
"""How many weights of which shape; about 2,500 of them, as in SDXL."""
BLOCK = 8 * 1024 * 1024
SPARE = 4e9


def measure(plan: Plan) -> dict[str, object]:
    """Write the files, merge them, and delete them with the run."""
    folder = plan.data / "merge"
    folder.mkdir(parents=True, exist_ok=True)
    share = min(1.0, (shutil.disk_usage(folder).free - SPARE) / (3 * _size(1.0)))
    if share < 0.01:
        return {"merge": "not enough room on the disk"}
    plan.say(f"writing two files of {_size(share) / 1e9:.1f} GB")
    files = [folder / f"{name}.safetensors" for name in "ab"]
    for seed, file in enumerate(files):
        write_model(file, share, seed)
    plan.say("merging them")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.merge_side", *map(str, files), str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(plan.threads)},
    )
    told = json.loads(done.stdout)
    shutil.rmtree(folder)
    return {
        "merge_file_gb": round(_size(share) / 1e9, 2),
        "merge_peak_mb": told["peak_mb"],
        "merge_seconds": told["seconds"],
        "merge_cpu_s": told["cpu_s"],
        "merge_sha256_matches": told["sha256_matches"],
        "merge_formula_holds": told["formula_holds"],
    }


def _weights(share: float) -> Iterator[tuple[str, tuple[int, ...]]]:
    number = 0
    for count, shape in SHAPES:
        for _ in range(max(1, round(count * share))):
            yield f"model.diffusion_model.input_blocks.0.{number}.weight", shape
            number += 1


def _size(share: float) -> int:
    return 2 * sum(math.prod(shape) for _, shape in _weights(share))


def write_model(path: Path, share: float, seed: int) -> None:
    """A file of random fp16 weights; a block of them comes again and again, which costs less."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in _weights(share):
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    block = np.random.default_rng(seed).standard_normal(BLOCK, np.float32).astype("<f2").tobytes()
    with path.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        for begin in range(0, end, len(block)):
            stream.write(block[: min(len(block), end - begin)])
