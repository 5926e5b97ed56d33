"""Prompts to text states: tokens in chunks, emphasis, schedules, caching."""

from __future__ import annotations

from modules.engine.conditioning.conditioner import Conditioner, TextOptions
from modules.engine.conditioning.conditioning import Conditioning, stack
from modules.engine.conditioning.schedule import ConditioningSchedule, ScheduledPart

__all__ = [
    "Conditioner",
    "Conditioning",
    "ConditioningSchedule",
    "ScheduledPart",
    "TextOptions",
    "stack",
]
