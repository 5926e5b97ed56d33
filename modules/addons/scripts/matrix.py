"""Prompt matrix: ``a cat|in a hat|at night`` with each part after the first on and off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules.gallery.labelled_grid import Legend, labelled_grid
from modules.requests.errors import RequestError
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import Batch, Outcome, Plan, PlannedScript, Tools, Unit
from modules.requests.scripts import ScriptArgument

MOST_PARTS = 10
"""After the first: 1024 pictures."""
TYPES = ("positive", "negative")
DELIMITERS = {"comma": ", ", "space": " "}


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Paint all combinations, and one sheet that shows which part is on where."""
    at_start, other_seeds, which, delimiter, margin = values
    if which not in TYPES or delimiter not in DELIMITERS:
        raise RequestError(
            "script_args", which, "Prompt matrix: positive or negative, then comma or space."
        )
    field = "prompt" if which == "positive" else "negative_prompt"
    first, *parts = [part.strip().strip(",") for part in getattr(request, field).split("|")]
    if len(parts) > MOST_PARTS:
        raise RequestError(
            field, len(parts) + 1, f"{len(parts) + 1} parts; allowed: {MOST_PARTS + 1}."
        )
    units = []
    for number in range(1 << len(parts)):
        chosen = [part for place, part in enumerate(parts) if number >> place & 1]
        texts = [*chosen, first] if at_start else [first, *chosen]
        text = DELIMITERS[delimiter].join(filter(None, texts))
        seed = min(request.seed + (number if other_seeds else 0), SEED_MAX)
        changed = {field: text, "seed": seed, "do_not_save_grid": True}
        units.append(Unit(request.model_copy(update=changed), text))
    results = yield Batch(tuple(units))
    shown = [result.pictures[0] if result.pictures else None for result in results]
    painted = [picture for picture in shown if picture is not None]
    if not painted:
        return []
    across = parts[: (len(parts) + 1) // 2]
    down = parts[len(across) :]
    legend = Legend(_labels(across), _labels(down))
    cells = [picture.image() if picture else None for picture in shown]
    sheet = labelled_grid(cells, legend, tools.options, _margin(margin))
    return [Outcome("prompt_matrix", sheet, infotext=painted[0].infotext)]


def _labels(parts: Sequence[str]) -> list[str]:
    """One label per combination of some parts: those that are on, one below the other."""
    return [
        "\n".join(part for place, part in enumerate(parts) if number >> place & 1)
        for number in range(1 << len(parts))
    ]


def _margin(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError("script_args", value, "The margin is a number of pixels.")
    return max(0, min(500, int(value)))


PROMPT_MATRIX = PlannedScript(
    "Prompt matrix",
    (
        ScriptArgument("Put variable parts at start of prompt", False),
        ScriptArgument("Use different seed for each picture", False),
        ScriptArgument("Select prompt", "positive", choices=TYPES),
        ScriptArgument("Select joining char", "comma", choices=tuple(DELIMITERS)),
        ScriptArgument("Grid margins (px)", 0, 0, 500, 2),
    ),
    plan,
)
