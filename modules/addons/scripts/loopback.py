"""Loopback: each picture is the next one's beginning, with a denoising strength that changes."""

from __future__ import annotations

import math
from typing import Any

from modules.gallery.grid import make_grid
from modules.requests.errors import RequestError
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import Batch, Outcome, Plan, PlannedScript, Tools, Unit
from modules.requests.scripts import ScriptArgument

CURVES = ("Aggressive", "Linear", "Lazy")
APPENDED = ("None", "CLIP", "DeepBooru")
MOST_LOOPS = 128


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Paint the loops one after another; with several batches, each begins anew."""
    loops, final, curve, append = _checked(values, tools)
    runs = request.n_iter
    left = runs * loops
    history = []
    for run in range(runs):
        refs, prompt = list(request.init_images), request.prompt
        for loop in range(loops):
            changed = {
                "init_images": refs,
                "prompt": prompt,
                "n_iter": 1,
                "seed": min(request.seed + run * loops + loop, SEED_MAX),
                "denoising_strength": strength_of(
                    loop, loops, request.denoising_strength, final, curve
                ),
                "do_not_save_grid": True,
            }
            if loop:
                changed["inpainting_fill"] = 1  # what was painted stays below the next layer
            left -= 1
            unit = Unit(request.model_copy(update=changed), f"{loop + 1}/{loops}")
            (result,) = yield Batch((unit,), left)
            if not result.pictures:
                return _sheet(history, tools)
            history += result.pictures
            refs = [tools.keep_picture(picture.image()) for picture in result.pictures]
            if append != "None" and tools.interrogate is not None:
                found = tools.interrogate(result.pictures[0].image(), append.lower())
                prompt = ", ".join(filter(None, (request.prompt, found)))
    return _sheet(history, tools)


def strength_of(loop: int, loops: int, first: float, last: float, curve: str) -> float:
    """Denoising strength of one loop, from 0, on its way from ``first`` to ``last``."""
    if loops == 1:
        return first
    progress = loop / (loops - 1)
    if curve == "Aggressive":
        progress = math.sin(progress * math.pi / 2)
    elif curve == "Lazy":
        progress = 1 - math.cos(progress * math.pi / 2)
    return first + (last - first) * progress


def _checked(values: list[Any], tools: Tools) -> tuple[int, float, str, str]:
    loops, final, curve, append = values
    try:
        loops, final = int(loops), float(final)
    except (TypeError, ValueError, OverflowError):
        loops, final = 0, 0.0
    if not 1 <= loops <= MOST_LOOPS or not 0 <= final <= 1:
        sentence = f"Loopback: 1 to {MOST_LOOPS} loops, final denoising strength 0 to 1."
        raise RequestError("script_args", values[:2], sentence)
    if curve not in CURVES or append not in APPENDED:
        sentence = f"Loopback: {', '.join(CURVES)}; append {', '.join(APPENDED)}."
        raise RequestError("script_args", [curve, append], sentence)
    if append != "None" and tools.interrogate is None:
        raise RequestError("script_args", append, "Loopback: no model for interrogating is here.")
    return loops, final, curve, append


def _sheet(history: list, tools: Tools) -> list[Outcome]:
    if len(history) < 2:
        return []
    sheet = make_grid([picture.image() for picture in history], 1, tools.options)
    return [Outcome("grid", sheet, infotext=history[0].infotext)]


LOOPBACK = PlannedScript(
    "Loopback",
    (
        ScriptArgument("Loops", 4, 1, 32, 1),
        ScriptArgument("Final denoising strength", 0.5, 0, 1, 0.01),
        ScriptArgument("Denoising strength curve", "Linear", choices=CURVES),
        ScriptArgument("Append interrogated prompt at each iteration", "None", choices=APPENDED),
    ),
    plan,
    kinds=("img2img",),
)
