"""Seed travel and prompt travel: pictures on the way from one seed or prompt to the next.

The noise stays the same on the way: between two seeds it is their spherical mixture (A1111's
variation seed), between two prompts the seed does not change and what the prompts ask for is mixed
(``A :0.7 AND B :0.3``), so each frame's infotext gives that frame again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modules.addons.scripts.values import whole_numbers
from modules.gallery.animation import FASTEST, FORMATS, SLOWEST, encode_animation
from modules.prompts.composition import split_and
from modules.requests.errors import RequestError
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import Batch, Outcome, Plan, PlannedScript, Tools, Unit, UnitPicture
from modules.requests.scripts import ScriptArgument

MOST_FRAMES = 1000
EASINGS: dict[str, Callable[[float], float]] = {
    "Linear": lambda t: t,
    "Slow at both ends": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "Slow at the start": lambda t: t * t,
    "Slow at the end": lambda t: t * (2 - t),
}


@dataclass(frozen=True)
class Journey:
    """The controls that both scripts have."""

    steps: int
    """Frames of each leg, its end left out."""
    loop: bool
    """Go back to the beginning."""
    easing: Callable[[float], float]
    format: str
    per_second: float
    reverse: bool
    """Play forwards, then backwards."""

    @classmethod
    def read(cls, values: Sequence[Any]) -> Journey:
        """
        Raises:
            RequestError: a value is outside of what the control allows.
        """
        steps, loop, easing, kind, per_second, reverse = values
        try:
            steps, per_second = int(steps), float(per_second)
        except (TypeError, ValueError, OverflowError):
            steps, per_second = 0, 0.0
        if not 1 <= steps <= 500 or not SLOWEST <= per_second <= FASTEST:
            sentence = f"1 to 500 frames from one to the next, {SLOWEST} to {FASTEST:g} a second."
            raise RequestError("script_args", values, sentence)
        if easing not in EASINGS or kind not in (*FORMATS, "none"):
            sentence = f"{', '.join(EASINGS)}; {', '.join(FORMATS)}, none."
            raise RequestError("script_args", [easing, kind], sentence)
        return cls(steps, bool(loop), EASINGS[easing], kind, per_second, bool(reverse))

    def places(self, stations: int) -> list[tuple[int, int, float]]:
        """(from, to, share of the way) of each frame; the last station is a frame of its own."""
        legs = stations if self.loop else stations - 1
        frames = [
            (leg, (leg + 1) % stations, self.easing(number / self.steps))
            for leg in range(legs)
            for number in range(self.steps)
        ]
        if not self.loop:
            frames.append((stations - 1, stations - 1, 0.0))
        if len(frames) > MOST_FRAMES:
            sentence = f"{len(frames)} frames; allowed: {MOST_FRAMES}."
            raise RequestError("script_args", len(frames), sentence)
        return frames

    def outcomes(self, pictures: Sequence[UnitPicture], name: str) -> list[Outcome]:
        """The film: as asked for, and where that is a video, a WebP that the page can show."""
        if len(pictures) < 2 or self.format == "none":
            return []
        frames = [picture.image() for picture in pictures]
        if self.reverse:
            frames += frames[-2:0:-1]
        text = pictures[0].infotext
        kinds = [self.format] if self.format != "mp4" else ["mp4", "webp"]
        return [
            Outcome(
                name,
                data=encode_animation(frames, kind, self.per_second),
                suffix=f".{kind}",
                size=frames[0].size,
                infotext=text,
            )
            for kind in kinds
        ]


def seed_plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """From the form's seed to each of the destinations."""
    destinations, count, *rest = values
    journey = Journey.read(rest)
    seeds = [request.seed, *(seed for seed in whole_numbers(str(destinations)))]
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 100:
        raise RequestError("script_args", count, "Random destinations: 0 to 100.")
    seeds += [-1] * count
    seeds = [
        tools.draw_seed(request, "destination", place) if seed < 0 else min(seed, SEED_MAX)
        for place, seed in enumerate(seeds)
    ]
    if len(seeds) < 2:
        raise RequestError("script_args", destinations, "Seed travel: at least one destination.")
    units = []
    for start, end, share in journey.places(len(seeds)):
        changed = {"seed": seeds[start], "subseed": seeds[end], "subseed_strength": share}
        label = f"{seeds[start]} → {seeds[end]}: {share:.0%}"
        units.append(_frame(request, changed, label))
    results = yield Batch(tuple(units))
    return journey.outcomes([r.pictures[0] for r in results if r.pictures], "seed_travel")


def prompt_plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """From the form's prompt through each line of the list; a line ``a cat --neg blurry`` also
    changes the negative prompt."""
    text, *rest = values
    journey = Journey.read(rest)
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    own = [(request.prompt, request.negative_prompt)] if request.prompt.strip() else []
    stations = [*own, *(_station(line, request.negative_prompt) for line in lines)]
    if len(stations) < 2:
        raise RequestError(
            "script_args", text, "Prompt travel: the form's prompt and a line, or two lines."
        )
    units = []
    for start, end, share in journey.places(len(stations)):
        before, after = stations[start], stations[end]
        changed = {
            "prompt": mixed(before[0], after[0], share),
            "negative_prompt": before[1] if share < 0.5 else after[1],
        }
        units.append(_frame(request, changed, f"{start + 1} → {end + 1}: {share:.0%}"))
    results = yield Batch(tuple(units))
    return journey.outcomes([r.pictures[0] for r in results if r.pictures], "prompt_travel")


def mixed(before: str, after: str, share: float) -> str:
    """The prompt that asks for both, ``share`` of the second; each keeps its own AND parts."""
    if before == after or share <= 0:
        return before
    if share >= 1:
        return after
    parts = []
    for text, weight in ((before, 1 - share), (after, share)):
        parts += [f"{part.text.strip()} :{part.weight * weight:.4g}" for part in split_and(text)[0]]
    return " AND ".join(parts)


def _station(line: str, negative: str) -> tuple[str, str]:
    prompt, mark, own = line.partition("--neg ")
    return prompt.strip(), own.strip() if mark else negative


def _frame(request: GenerationRequest, changed: dict[str, Any], label: str) -> Unit:
    fixed = {"n_iter": 1, "batch_size": 1, "do_not_save_grid": True}
    return Unit(request.model_copy(update={**changed, **fixed}), label)


_JOURNEY = (
    ScriptArgument("Frames from one to the next", 12, 1, 500, 1),
    ScriptArgument("Return to the beginning", False),
    ScriptArgument("Speed", "Linear", choices=tuple(EASINGS)),
    ScriptArgument("Film", "mp4", choices=(*FORMATS, "none")),
    ScriptArgument("Frames a second", 12, 1, 60, 1),
    ScriptArgument("Forwards, then backwards", False),
)

SEED_TRAVEL = PlannedScript(
    "Seed travel",
    (
        ScriptArgument("Destination seeds (1, 2, 3)", ""),
        ScriptArgument("Random destinations", 1, 0, 100, 1),
        *_JOURNEY,
    ),
    seed_plan,
)
PROMPT_TRAVEL = PlannedScript(
    "Prompt travel", (ScriptArgument("One prompt a line", ""), *_JOURNEY), prompt_plan
)
