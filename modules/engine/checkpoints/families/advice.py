"""What settings suit distilled models, for a note when a request asks for something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Distillation:
    """A way of making a model need few steps, told by the name of its file."""

    label: str
    pattern: re.Pattern[str]
    steps: tuple[int, int]
    cfg: tuple[float, float]
    samplers: tuple[str, ...]
    """Samplers that suit it, the best first; empty: any."""
    schedulers: tuple[str, ...] = ()
    """Schedule types that suit it; empty: any."""


DISTILLATIONS = (
    Distillation(
        "Lightning", re.compile(r"lightning"), (1, 12), (1, 2), ("Euler", "Euler a"), ("sgm",)
    ),
    Distillation(
        "Hyper", re.compile(r"hyper[-_ ]?sd|hyper"), (1, 12), (1, 2), ("Euler", "Euler a", "DDIM")
    ),
    Distillation("Turbo", re.compile(r"turbo"), (1, 10), (1, 3), ()),
    Distillation("LCM", re.compile(r"(?<![a-z])lcm(?![a-z])"), (2, 12), (1, 2), ("LCM",)),
)
_STEPS_IN_NAME = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?")


def distilled_advice(name: str, request: Mapping[str, Any], *, guided: bool = False) -> str:
    """One sentence for a distilled model that is asked for other than few steps; else empty.

    Args:
        name: the model's; distilled models carry their method in it, their tensors do not tell.
        guided: it takes the CFG scale as an input, so that any is fine.
    """
    lowered = name.lower()
    kind = next((one for one in DISTILLATIONS if one.pattern.search(lowered)), None)
    if kind is None:
        return ""
    wrong = _misfits(kind, lowered, request, guided)
    if not wrong:
        return ""
    return f"{name} looks like a {kind.label} model: try {', '.join(wrong)}."


def _misfits(kind: Distillation, name: str, request: Mapping[str, Any], guided: bool) -> list[str]:
    wrong = []
    low, high = kind.steps
    said = _STEPS_IN_NAME.search(name)
    if not low <= int(request.get("steps") or 0) <= high:
        wrong.append(f"{said[1]} steps" if said else f"{max(low, 4)} to {high - 2} steps")
    low_cfg, high_cfg = kind.cfg
    if not guided and not float(request.get("cfg_scale") or 0) <= high_cfg:
        wrong.append(f"a CFG scale of {low_cfg:g} to {high_cfg:g}")
    sampler = str(request.get("sampler_name") or "")
    if kind.samplers and sampler and sampler.lower() not in map(str.lower, kind.samplers):
        wrong.append(f"the sampler {kind.samplers[0]}")
    schedule = str(request.get("scheduler") or "Automatic").lower()
    if kind.schedulers and not any(one in schedule for one in kind.schedulers):
        wrong.append("the schedule type SGM Uniform")
    return wrong
