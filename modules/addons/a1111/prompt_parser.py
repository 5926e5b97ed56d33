"""A1111's ``prompt_parser``: weights in brackets, and prompt editing over the steps."""

from __future__ import annotations

import re
from collections import namedtuple
from typing import Any

from modules.prompts.attention import parse_attention
from modules.prompts.schedule import Timing, build_schedule

re_AND = re.compile(r"\bAND\b")  # noqa: N816 - A1111's name
re_weight = re.compile(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")
ScheduledPromptConditioning = namedtuple("ScheduledPromptConditioning", ["end_at_step", "cond"])


def parse_prompt_attention(text: str) -> list[list[Any]]:
    """``[[text, weight], …]``; BREAK has the weight -1."""
    return [
        ["BREAK", -1] if one.is_break else [one.text, one.weight] for one in parse_attention(text)
    ]


def get_learned_conditioning_prompt_schedules(
    prompts: list[str],
    base_steps: int,
    hires_steps: int | None = None,
    use_old_scheduling: bool = False,
) -> list[list[list[Any]]]:
    """For each prompt ``[[last step, text], …]``."""
    first = 0 if hires_steps is None else base_steps
    timing = Timing(
        base_steps if hires_steps is None else hires_steps,
        first,
        0.0 if hires_steps is None else 1.0,
        use_old_scheduling,
    )
    return [
        [[one.end_step, one.text] for one in build_schedule(text, timing).entries]
        for text in prompts
    ]


class SdConditioning(list):  # type: ignore[type-arg]
    """Prompts with the size of the picture they are for."""

    def __init__(
        self,
        prompts: Any,
        is_negative_prompt: bool = False,
        width: int | None = None,
        height: int | None = None,
        copy_from: Any = None,
        distilled_cfg_scale: float | None = None,
    ) -> None:
        super().__init__(prompts)
        source = prompts if copy_from is None else copy_from
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)
        self.distilled_cfg_scale = distilled_cfg_scale


class ComposableScheduledPromptConditioning:
    """A part of a prompt with its weight."""

    def __init__(self, schedules: Any, weight: float = 1.0) -> None:
        self.schedules = schedules
        self.weight = weight


class MulticondLearnedConditioning:
    """All parts of all prompts."""

    def __init__(self, shape: Any, batch: Any) -> None:
        self.shape = shape
        self.batch = batch


def get_learned_conditioning(
    model: Any, prompts: Any, steps: int, hires_steps: Any = None, use_old_scheduling: bool = False
) -> list[list[Any]]:
    """Encoded prompts over the steps."""
    plans = get_learned_conditioning_prompt_schedules(
        list(prompts), steps, hires_steps, use_old_scheduling
    )
    return [
        [
            ScheduledPromptConditioning(end, model.get_learned_conditioning([text])[0])
            for end, text in plan
        ]
        for plan in plans
    ]
