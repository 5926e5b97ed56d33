"""A/B compare: the form as it is against the form with some fields changed, and what differs."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from PIL import Image

from modules.addons.scripts.from_file import change_by_flags
from modules.gallery.labelled_grid import Legend, labelled_grid
from modules.requests.errors import RequestError, shorten
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Batch, Outcome, Plan, PlannedScript, Tools, Unit, UnitPicture
from modules.requests.scripts import ScriptArgument


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Paint A and B with the same seeds; show both, their difference enlarged, and figures."""
    text, gain = str(values[0]).strip(), values[1]
    if isinstance(gain, bool) or not isinstance(gain, (int, float)) or not 1 <= gain <= 64:
        raise RequestError("script_args", gain, "The difference is enlarged 1 to 64 times.")
    if not text.startswith("--"):
        raise RequestError(
            "script_args", shorten(text), "What changes is given as flags: --steps 30 --seed 7."
        )
    common = request.model_copy(update={"do_not_save_grid": True})
    other = change_by_flags(common, text)
    results = yield Batch((Unit(common, "A"), Unit(other, f"B: {shorten(text)}")))
    first, second = (result.pictures for result in results)
    pairs = list(zip(first, second, strict=False))
    if not pairs:
        return []
    rows = [figures(*pair) for pair in pairs]
    outcomes = [
        _sheet(pair, row, text, float(gain), tools) for pair, row in zip(pairs, rows, strict=True)
    ]
    return [*outcomes, Outcome("ab_compare", data=_table(pairs, rows), suffix=".csv")]


def figures(first: UnitPicture, second: UnitPicture) -> dict[str, float]:
    """Mean difference and PSNR of two pictures in grey levels, and the share of changed pixels."""
    a, b = _alike(first.image(), second.image())
    difference = np.abs(a - b)
    error = float((difference**2).mean())
    return {
        "mean difference": round(float(difference.mean()), 3),
        "largest difference": float(difference.max()),
        "changed pixels %": round(100 * float((difference.max(axis=2) > 0).mean()), 2),
        "PSNR dB": 99.0 if error == 0 else round(10 * float(np.log10(255**2 / error)), 2),
    }


def _alike(first: Image.Image, second: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Both in the first one's size, as numbers."""
    other = second.convert("RGB").resize(first.size, Image.Resampling.LANCZOS)
    return (
        np.asarray(first.convert("RGB"), np.float32),
        np.asarray(other, np.float32),
    )


def _sheet(
    pair: tuple[UnitPicture, UnitPicture],
    row: dict[str, float],
    text: str,
    gain: float,
    tools: Tools,
) -> Outcome:
    a, b = _alike(pair[0].image(), pair[1].image())
    shown = np.clip(np.abs(a - b) * gain, 0, 255).astype(np.uint8)
    told = "\n".join(f"{name}: {value:g}" for name, value in row.items())
    legend = Legend(["A", f"B: {text}", f"difference x{gain:g}\n{told}"], [""])
    cells = [Image.fromarray(pixels.astype(np.uint8)) for pixels in (a, b)]
    sheet = labelled_grid([*cells, Image.fromarray(shown)], legend, tools.options, 8)
    return Outcome("ab_compare", sheet, infotext=pair[0].infotext)


def _table(pairs: list[tuple[UnitPicture, UnitPicture]], rows: list[dict[str, float]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["seed A", "seed B", *rows[0]])
    for (first, second), row in zip(pairs, rows, strict=True):
        writer.writerow([first.seed, second.seed, *row.values()])
    return stream.getvalue().encode("utf-8-sig")


AB_COMPARE = PlannedScript(
    "A/B compare",
    (
        ScriptArgument("What B changes (--steps 30 --sampler_name Euler)", "--steps 30"),
        ScriptArgument("Enlarge the difference", 4, 1, 64, 1),
    ),
    plan,
)
