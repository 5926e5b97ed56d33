"""`python -m benchmarks.merge_side A B FOLDER`: merge two files and say what it took."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import torch

from benchmarks.machine import peak_resident_mb
from modules.engine.checkpoints.tensor_file import TensorFile
from modules.engine.generation.control import JobControl
from modules.engine.merging.job import MergeJob
from modules.requests.models import MergeRequest
from modules.requests.prepared import PreparedJob

M = 0.3
CHECKED = 40


def main(arguments: list[str]) -> int:
    """Merge, check some weights against the formula, print one JSON object."""
    a, b, folder = map(Path, arguments)
    target = folder / "merged.safetensors"
    request = MergeRequest(primary_model_name="a", secondary_model_name="b", multiplier=M)
    prepared = PreparedJob(
        id="bench",
        kind="merge",
        request=request.model_dump(mode="json"),
        options={},
        all_prompts=[""],
        all_negative_prompts=[""],
        all_seeds=[-1],
        all_subseeds=[-1],
        resources={
            "models": [{"name": path.name, "path": str(path), "sha256": ""} for path in (a, b)],
            "target": str(target),
            "part": str(folder / ".merged.part"),
        },
    )
    paths = SimpleNamespace(cache=folder / "cache", configs=Path("configs"))
    begun, cpu = time.perf_counter(), sum(psutil.Process().cpu_times()[:2])
    job = MergeJob(prepared, JobControl("bench"), lambda event: None, paths, True)
    written = job.run()
    told = {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_s": round(sum(psutil.Process().cpu_times()[:2]) - cpu, 1),
        "peak_mb": round(peak_resident_mb(os.getpid())),
    }
    told["sha256_matches"] = _sha256(target) == written.facts["sha256"]
    told["formula_holds"] = _formula_holds(a, b, target)
    sys.stdout.write(json.dumps(told))
    return 0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _formula_holds(*paths: Path) -> bool:
    a, b, merged = map(TensorFile.open, paths)
    with a, b, merged:
        names = list(merged.header)
        for name in names[:: max(1, len(names) // CHECKED)]:
            wanted = (1 - M) * a.get(name).float() + M * b.get(name).float()
            if not torch.equal(merged.get(name), wanted.half()):
                return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
