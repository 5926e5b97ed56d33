"""Prompts from file or textbox: one job for each line.

A line is a prompt, or flags: ``--prompt "a cat" --steps 30 --cfg_scale 5``. The flags are A1111's.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from modules.requests.errors import RequestError, shorten
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import Batch, Plan, PlannedScript, Tools, Unit
from modules.requests.samplers import SAMPLERS
from modules.requests.scripts import ScriptArgument

MOST_LINES = 2000
POSITIONS = ("start", "end")

Change = dict[str, Any]


def _text(value: str) -> str:
    return value


def _boolean(value: str) -> bool:
    if value.lower() in ("true", "yes", "1"):
        return True
    if value.lower() in ("false", "no", "0"):
        return False
    raise ValueError("allowed: true, false")


def _sampler(value: str) -> str:
    number = int(value)
    if not 0 <= number < len(SAMPLERS):
        raise ValueError(f"allowed: 0 to {len(SAMPLERS) - 1}")
    return SAMPLERS[number].name


def _styles(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


FLAGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "sd_model": ("override_settings", lambda value: {"sd_model_checkpoint": value}),
    "outpath_samples": ("output_folder", _text),
    "outpath_grids": ("", _text),
    "prompt_for_display": ("", _text),
    "prompt": ("prompt", _text),
    "negative_prompt": ("negative_prompt", _text),
    "styles": ("styles", _styles),
    "seed": ("seed", int),
    "subseed_strength": ("subseed_strength", float),
    "subseed": ("subseed", int),
    "seed_resize_from_h": ("seed_resize_from_h", int),
    "seed_resize_from_w": ("seed_resize_from_w", int),
    "sampler_index": ("sampler_name", _sampler),
    "sampler_name": ("sampler_name", _text),
    "scheduler": ("scheduler", _text),
    "batch_size": ("batch_size", int),
    "n_iter": ("n_iter", int),
    "steps": ("steps", int),
    "cfg_scale": ("cfg_scale", float),
    "width": ("width", int),
    "height": ("height", int),
    "restore_faces": ("restore_faces", _boolean),
    "tiling": ("tiling", _boolean),
    "do_not_save_samples": ("do_not_save_samples", _boolean),
    "do_not_save_grid": ("do_not_save_grid", _boolean),
}
"""Flag → the request's field (empty: without effect here) and how its value is read."""


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Paint each line's request."""
    iterate, same_random, position, text = values
    if position not in POSITIONS:
        raise RequestError("script_args", position, f"Insert prompts at: {', '.join(POSITIONS)}.")
    lines = [line for line in (line.strip() for line in str(text).splitlines()) if line]
    if not lines or len(lines) > MOST_LINES:
        raise RequestError(
            "script_args", len(lines), f"{len(lines)} lines; allowed: 1 to {MOST_LINES}."
        )
    units = []
    seed = request.seed
    for number, line in enumerate(lines):
        changed = _read(line, number + 1, request, str(position))
        if changed.get("seed", -1) < 0:
            random = tools.seed_was_random and not iterate and not same_random
            changed["seed"] = tools.draw_seed(request, number) if random else seed
        one = _changed(request, changed, number + 1)
        units.append(Unit(one, shorten(line)))
        if iterate:
            seed = min(seed + one.batch_size * one.n_iter, SEED_MAX)
    yield Batch(tuple(units))
    return []


def change_by_flags(request: GenerationRequest, line: str) -> GenerationRequest:
    """The request with what one line of flags changes; the settings that it overrides add up.

    Raises:
        RequestError: a flag is unknown, or its value is not what it takes.
    """
    changed = _flags(line, 1)
    overrides = changed.get("override_settings")
    if overrides:
        changed["override_settings"] = {**request.override_settings, **overrides}
    return _changed(request, changed, 1)


def _read(line: str, number: int, request: GenerationRequest, position: str) -> Change:
    """The fields that a line changes."""
    changed = _flags(line, number) if line.startswith("--") else {"prompt": line}
    for field in ("prompt", "negative_prompt"):
        own, given = getattr(request, field), changed.get(field)
        if given and own:
            changed[field] = f"{given} {own}" if position == "start" else f"{own} {given}"
    if "override_settings" in changed:
        changed["override_settings"] = {
            **request.override_settings,
            **changed["override_settings"],
        }
    return {"do_not_save_grid": True, **changed}


def _flags(line: str, number: int) -> Change:
    """
    Raises:
        RequestError: a flag is unknown, or its value is not what it takes.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise _bad(number, line, f"{error}") from None
    changed: Change = {}
    while words:
        word = words.pop(0)
        name = word.removeprefix("--")
        if not word.startswith("--") or name not in FLAGS:
            raise _bad(number, word, f"unknown; allowed: {', '.join(f'--{one}' for one in FLAGS)}")
        if not words:
            raise _bad(number, word, "a value is missing")
        value = words.pop(0)
        while name in ("prompt", "negative_prompt") and words and not words[0].startswith("--"):
            value = f"{value} {words.pop(0)}"  # texts need no quotes
        field, read = FLAGS[name]
        try:
            found = read(value)
        except (ValueError, OverflowError) as error:
            raise _bad(number, f"{word} {value}", str(error)) from None
        if field:
            changed[field] = found
    return changed


def _changed(request: GenerationRequest, changed: Change, number: int) -> GenerationRequest:
    try:
        read = GenerationRequest.model_validate(changed).model_dump()
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        raise _bad(number, f"{field} {changed.get(field)}", fault["msg"]) from None
    return request.model_copy(update={name: read[name] for name in changed})


def _bad(number: int, what: str, reason: str) -> RequestError:
    return RequestError("script_args", shorten(what), f"Line {number}: {shorten(what)}: {reason}.")


PROMPTS_FROM_FILE = PlannedScript(
    "Prompts from file or textbox",
    (
        ScriptArgument("Iterate seed every line", False),
        ScriptArgument("Use same random seed for all lines", False),
        ScriptArgument("Insert prompts at the", "start", choices=POSITIONS),
        ScriptArgument("List of prompt inputs", ""),
    ),
    plan,
)
