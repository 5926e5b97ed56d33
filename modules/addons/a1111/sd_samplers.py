"""A1111's ``sd_samplers``: the samplers by name."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111.sd_samplers_common import SamplerData
from modules.requests.samplers import SAMPLERS


def _made(name: str) -> Any:
    """A1111's constructor; samplers are made by the engine."""

    def make(model: Any = None) -> Any:
        from modules.addons.a1111.sd_samplers_common import Sampler

        sampler = Sampler(name)
        sampler.config = all_samplers_map.get(name)
        return sampler

    return make


all_samplers: list[SamplerData] = [
    SamplerData(one.name, _made(one.name), [], {}) for one in SAMPLERS
]
all_samplers_map: dict[str, SamplerData] = {one.name: one for one in all_samplers}
samplers = list(all_samplers)
samplers_for_img2img = list(all_samplers)
samplers_map: dict[str, str] = {one.name.lower(): one.name for one in all_samplers}
samplers_hidden: set[str] = set()


def find_sampler_config(name: str | None) -> SamplerData:
    """By name; the first for None."""
    found = all_samplers_map.get(str(name)) if name else None
    return found or all_samplers[0]


def create_sampler(name: str, model: Any) -> Any:
    """A sampler that knows its name."""
    config = find_sampler_config(name)
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


def set_samplers() -> None:
    """The lists are fixed."""


def visible_samplers() -> list[SamplerData]:
    """All that can be chosen."""
    return [one for one in samplers if one.name not in samplers_hidden]


def visible_sampler_names() -> list[str]:
    """Their names."""
    return [one.name for one in visible_samplers()]


def get_sampler_from_infotext(d: dict[str, Any]) -> str:
    """The sampler that a picture's text names."""
    return get_sampler_and_scheduler(d.get("Sampler"), d.get("Schedule type"))[0]


def get_scheduler_from_infotext(d: dict[str, Any]) -> str:
    """The schedule that a picture's text names."""
    return get_sampler_and_scheduler(d.get("Sampler"), d.get("Schedule type"))[1]


def get_hr_sampler_from_infotext(d: dict[str, Any]) -> str:
    """The second pass's sampler."""
    return str(d.get("Hires sampler") or "Use same sampler")


def get_hr_scheduler_from_infotext(d: dict[str, Any]) -> str:
    """The second pass's schedule."""
    return str(d.get("Hires schedule type") or "Use same scheduler")


def get_sampler_and_scheduler(
    sampler_name: str | None, scheduler_name: str | None, *args: Any, **kwargs: Any
) -> tuple[str, str]:
    """Both names, of old combined ones too (``DPM++ 2M Karras``)."""
    from modules.requests.errors import RequestError
    from modules.requests.samplers import resolve_sampler

    try:
        sampler, scheduler = resolve_sampler(sampler_name or samplers[0].name, scheduler_name)
    except RequestError:
        return samplers[0].name, scheduler_name or "Automatic"
    return sampler.name, scheduler.label


def fix_p_invalid_sampler_and_scheduler(p: Any) -> None:
    """Names that are none become ones that are."""
    p.sampler_name, p.scheduler = get_sampler_and_scheduler(p.sampler_name, p.scheduler)
