"""A1111's ``sd_schedulers``: the schedules by name."""

from __future__ import annotations

import dataclasses
from typing import Any

from modules.requests.samplers import SCHEDULERS


@dataclasses.dataclass
class Scheduler:
    """One schedule; its function is in the engine."""

    name: str
    label: str
    function: Any = None
    default_rho: float = -1
    need_inner_model: bool = False
    aliases: list[str] | None = None


schedulers = [Scheduler(one.name, one.label) for one in SCHEDULERS]
schedulers_map = {**{one.name: one for one in schedulers}, **{o.label: o for o in schedulers}}
