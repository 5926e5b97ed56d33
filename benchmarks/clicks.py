"""From a click on Generate to the saved picture, with the starter model, part by part."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.plan import ROOT, Plan
from benchmarks.startup import end_server, seconds_until

SIZES = (128, 256)
STEPS = 20
PROMPT = "a red apple on a blue background"
PARTS = ("text", "sample", "decode")
WAIT_SECONDS = 600.0


def measure(plan: Plan) -> dict[str, object]:
    """Ask a real server for single pictures; the first one of each size does not count."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = plan.data / "clicks"
    command = [sys.executable, str(ROOT / "launch.py"), "serve", "--skip-install", "--api"]
    command += ["--port", str(port), "--data-dir", str(data), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(plan.threads)}
    started = time.perf_counter()
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    address = f"http://127.0.0.1:{port}"
    try:
        seconds_until(f"{address}/internal/ready", started, server)
        return {f"click_starter_{size}": _clicks(plan, address, data, size) for size in SIZES}
    finally:
        end_server(server)


def _clicks(plan: Plan, address: str, data: Path, size: int) -> dict[str, object]:
    rounds = [_click(address, data, size, seed) for seed in range(plan.rounds + 1)][1:]
    found = {part: median(one[part] for one in rounds) for part in rounds[0]}
    plan.say(f"{size} x {size}: {found['total_s']:.2f} s from click to file")
    return {key: round(value, 3) for key, value in found.items()}


def _click(address: str, data: Path, size: int, seed: int) -> dict[str, float]:
    before = _files(data)
    begun = time.perf_counter()
    asked = {"prompt": PROMPT, "steps": STEPS, "width": size, "height": size, "seed": seed}
    asked |= {"sampler_name": "DDIM", "cfg_scale": 3, "save_images": True}
    _send(f"{address}/sdapi/v1/txt2img", asked)
    total = time.perf_counter() - begun
    if len(_files(data)) <= len(before):
        raise RuntimeError("the picture was not saved")
    job = _send(f"{address}/easel/v1/jobs?limit=1")["jobs"][0]
    timings = _send(f"{address}/easel/v1/jobs/{job['id']}")["timings"]
    parts = {f"{part}_s": float(timings.get(part, 0.0)) for part in PARTS}
    return {"total_s": total, **parts, "rest_with_saving_s": total - sum(parts.values())}


def _files(data: Path) -> set[Path]:
    return set(data.rglob("*.png"))


def _send(address: str, body: dict[str, Any] | None = None) -> Any:
    """Ask and answer in JSON; POST when there is a body."""
    request = urllib.request.Request(
        address,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        return json.load(answer)
