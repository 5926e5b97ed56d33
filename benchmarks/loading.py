"""How long a checkpoint takes from the disk into the engine."""

from __future__ import annotations

from benchmarks.plan import STARTER, Plan
from benchmarks.sides import BareSide, OurSide
from benchmarks.steps import provide_sd15


def measure(plan: Plan) -> dict[str, object]:
    """Load the random full-size model twice (cold and warm file cache) and the starter once."""
    model = provide_sd15(plan)
    with OurSide(plan, model) as ours:
        first = ours.load()
    with OurSide(plan, model) as ours:
        again = ours.load()
    plan.say(f"full-size model: {first:.2f} s, then {again:.2f} s")
    with BareSide(plan, our_malloc=False) as bare:
        bare_seconds = bare.ask(load=str(model))["load_s"]
    with OurSide(plan, STARTER) as ours:
        starter = ours.load()
    return {
        "load_s": again,
        "load_first_s": first,
        "load_s_diffusers": bare_seconds,
        "load_starter_s": starter,
    }
