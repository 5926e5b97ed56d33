"""Extras: a photograph of 512x512 enlarged four times, against the bare realesrgan package.

The other side calls `RealESRGANer.enhance` as the package's own script does, with the same
weights, tiles, threads and 32 bits; ours is the whole job, from the picture's file to the finished
bytes, with nothing remembered from the run before. Both processes live at the same time and work
in turn. Ratios are of medians on the clock and of processor time. The pictures must be the same to
the last bit.

Memory: the engine's peak over what it needs when the packages are loaded, for a larger network
with and without tiles.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.photo import provide_photo
from benchmarks.plan import Plan
from benchmarks.sides import BareSide

MODULE = "benchmarks.extras_side"
QUICK = "R-ESRGAN AnimeVideo"
LARGER = "R-ESRGAN 4x+ Anime6B"
SIZE = 512
TILE = 192
OVERLAP = 8


def measure(plan: Plan) -> dict[str, object]:
    """Time, pixels and memory."""
    photo = plan.data / "photo.png"
    provide_photo(SIZE).save(photo)
    return {**_speed(plan, photo), **_memory(plan, photo)}


def _speed(plan: Plan, photo: Path) -> dict[str, object]:
    work = {"picture": str(photo), "upscaler": QUICK, "tile": TILE, "overlap": OVERLAP}
    with contextlib.ExitStack() as living:
        ours = living.enter_context(BareSide(plan, our_malloc=True, module=MODULE))
        bare = living.enter_context(BareSide(plan, our_malloc=False, module=MODULE))
        sides = {"easel": ours, "package": bare}
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for number in range(plan.rounds + 1):
            for name, side in sides.items():
                answer = side.ask(side=name, result=str(plan.data / f"{name}.png"), **work)
                if number:  # the first run loads packages and weights
                    runs[name].append(answer)
                    plan.say(f"{name}: {answer['seconds']:.2f} s")
    seconds = {
        name: statistics.median(run["seconds"] for run in done) for name, done in runs.items()
    }
    cpu = {name: statistics.median(run["cpu_s"] for run in done) for name, done in runs.items()}
    pictures = [Image.open(plan.data / f"{name}.png").tobytes() for name in sides]
    return {
        "extras_s": seconds,
        "extras_ratio": seconds["easel"] / seconds["package"],
        "extras_cpu_ratio": cpu["easel"] / cpu["package"],
        "extras_same_pixels": pictures[0] == pictures[1],
    }


def _memory(plan: Plan, photo: Path) -> dict[str, object]:
    peaks: dict[str, object] = {}
    for label, tile in (("tiles", TILE), ("whole", 0)):
        with BareSide(plan, our_malloc=True, module=MODULE) as side:
            work = {"picture": str(photo), "upscaler": LARGER, "tile": tile, "overlap": OVERLAP}
            answer = side.ask(side="easel", result=str(plan.data / "peak.png"), **work)
            peaks[label] = round(side.peak_mb() - answer["idle_mb"])
            plan.say(f"{LARGER}, {label}: {peaks[label]} MB in {answer['seconds']:.1f} s")
    return {"extras_peak_mb": peaks}
