"""How long a checkpoint takes from the disk into the engine."""

from __future__ import annotations

from benchmarks.plan import STARTER, Plan
from benchmarks.sides import BareSide, OurSide
from benchmarks.steps import provide_sd15


def measure(plan: Plan) -> dict[str, object]:
    """Load the random full-size model in place of the starter, and swap back and forth.

    The starter is loaded first, so that no side's number has the imports in it.
    """
    model = provide_sd15(plan)
    with OurSide(plan, model) as ours:
        with_imports = ours.load(STARTER)
        first = ours.load(model)
        starter = ours.load(STARTER)
        again = ours.load(model)
    plan.say(f"full-size model: {first:.2f} s, then {again:.2f} s")
    with BareSide(plan, our_malloc=False) as bare:
        bare_seconds = bare.ask(load=str(model))["load_s"]
    return {
        "load_s": first,
        "load_again_s": again,
        "load_s_diffusers": bare_seconds,
        "load_starter_s": starter,
        "load_starter_with_imports_s": with_imports,
    }
