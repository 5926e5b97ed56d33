"""The infotext of a picture that ``p`` describes, from the facts that are known."""

from __future__ import annotations

import inspect
from typing import Any

from modules.addons.a1111 import shared


def infotext_of(
    p: Any,
    *,
    prompt: str,
    negative: str,
    seed: int,
    subseed: int,
    facts: dict[str, Any] | None = None,
) -> str:
    """Composed as the program composes all of them."""
    from modules.addons.a1111.processing import program_version
    from modules.gallery import image_infotext

    known = {**(getattr(p, "_model_facts", None) or {}), **(facts or {})}
    told = {
        "width": int(p.width),
        "height": int(p.height),
        "steps": int(p.steps),
        "sampler_name": p.sampler_name,
        "schedule_label": p.scheduler,
        "cfg_scale": p.cfg_scale,
        **known,
        "seed": seed,
        "subseed": subseed,
        "prompt": prompt,
        "negative_prompt": negative,
        "extra": {**(known.get("extra") or {}), **extra_params(p)},
    }
    told = {key: value for key, value in told.items() if value is not None}
    settled = p._settled[1].request if p._settled else {}
    request = {**settled, "subseed_strength": p.subseed_strength}
    return image_infotext(told, request, dict(shared.opts.data), version=program_version())


def extra_params(p: Any) -> dict[str, Any]:
    """``p.extra_generation_params`` with functions called and nothing empty."""
    found = {}
    for key, value in dict(p.extra_generation_params or {}).items():
        if callable(value):
            try:
                value = value(**_wanted(value, p))
            except Exception:
                continue
        if value is not None:
            found[str(key)] = value if isinstance(value, (str, int, float, bool)) else str(value)
    return found


def _wanted(function: Any, p: Any) -> dict[str, Any]:
    """A1111 gives such functions what it knows, by name."""
    known = {"p": p, "index": 0, "prompts": p.prompts, "seeds": p.seeds}
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return known
    return {name: known.get(name) for name in parameters}
