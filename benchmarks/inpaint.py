"""What a mask costs: inpainting against plain img2img, whole jobs with the model that ships.

The same picture, size, steps and strength, in turn in one process, from the picture's file to the
finished bytes. Ratios are of medians on the clock and of processor time.
"""

from __future__ import annotations

import statistics
from typing import Any

from PIL import Image, ImageDraw

from benchmarks.photo import provide_photo
from benchmarks.plan import Plan
from benchmarks.sides import BareSide

MODULE = "benchmarks.inpaint_side"
SIZE = 128
STEPS = 20
WAYS: dict[str, dict[str, Any]] = {
    "img2img": {},
    "whole_picture": {"inpainting_fill": 1, "inpaint_full_res": False},
    "fill": {"inpainting_fill": 0, "inpaint_full_res": False},
    "only_masked": {"inpainting_fill": 1, "inpaint_full_res_padding": 32},
    "soft": {"inpainting_fill": 1, "inpaint_full_res": False, "soft_inpainting": {}},
}


def measure(plan: Plan) -> dict[str, object]:
    """Time of each way, and how much more than img2img that is."""
    picture, mask = plan.data / "picture.png", plan.data / "mask.png"
    provide_photo(SIZE).save(picture)
    drawn = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(drawn).ellipse((SIZE // 4, SIZE // 4, SIZE // 2, SIZE // 2), fill=255)
    drawn.save(mask)
    work = {"picture": str(picture), "mask": str(mask), "size": SIZE, "steps": STEPS}
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with BareSide(plan, our_malloc=True, module=MODULE) as side:
        for number in range(plan.rounds + 1):
            for way, fields in WAYS.items():
                answer = side.ask(fields=fields, **work)
                if number:  # the first round loads the model and measures the batching
                    runs[way].append(answer)
                    plan.say(f"{way}: {answer['seconds']:.3f} s")
    seconds, cpu = _medians(runs, "seconds"), _medians(runs, "cpu_s")
    masked = [way for way in WAYS if way != "img2img"]
    return {
        "inpaint_s": seconds,
        "inpaint_ratio": {way: seconds[way] / seconds["img2img"] for way in masked},
        "inpaint_cpu_ratio": {way: cpu[way] / cpu["img2img"] for way in masked},
        "inpaint_changed_outside": max(run["changed"] for way in masked for run in runs[way]),
    }


def _medians(runs: dict[str, list[dict[str, Any]]], key: str) -> dict[str, float]:
    return {way: statistics.median(run[key] for run in done) for way, done in runs.items()}
