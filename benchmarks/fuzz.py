"""Fuzzing of everything that reads foreign content, for as long as one likes.

    python3 launch.py bench fuzz            # 60 s for each of the targets
    EASEL_FUZZ_SECONDS=600 EASEL_FUZZ_TARGETS="picture,pickle" python3 launch.py bench fuzz

The targets, and what must hold for them, are in ``tests/fuzz/targets.py``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from benchmarks.plan import Plan

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

SECONDS = 60.0
SLOW = 2.0
"""Seconds of processor time for one example that count as a finding."""


class Slow(AssertionError):  # noqa: N818 - reads as what happened
    """An example took too long."""


def measure(plan: Plan) -> dict[str, object]:
    """Examples tried and findings of each target; the smallest example of a finding is told."""
    from tests.fuzz.rest import rest_target, rest_without_engine
    from tests.fuzz.targets import TARGETS

    seconds = float(os.environ.get("EASEL_FUZZ_SECONDS", SECONDS))
    wanted = [name for name in os.environ.get("EASEL_FUZZ_TARGETS", "").split(",") if name]
    found: dict[str, object] = {}
    with rest_without_engine(plan.data / "fuzz") as rest:
        for target in (*TARGETS, rest_target(rest)):
            if wanted and target.name not in wanted:
                continue
            plan.say(f"{target.name}: {seconds:g} s")
            found[target.name] = _fuzzed(target, seconds, plan)
    return {"fuzz": found}


def _fuzzed(target: Target, seconds: float, plan: Plan) -> dict[str, object]:
    from hypothesis import HealthCheck, Phase, given, seed, settings

    end = time.monotonic() + seconds
    tried, slowest, finding, round_number = 0, 0.0, "", 0
    while time.monotonic() < end and not finding:
        round_number += 1

        @seed(round_number + int(time.time()))
        @settings(
            max_examples=200,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
        )
        @given(target.given)
        def examples(content: object) -> None:
            nonlocal tried, slowest
            tried += 1
            begin = time.process_time()
            target.act(content)
            spent = time.process_time() - begin
            slowest = max(slowest, spent)
            if spent > SLOW:
                raise Slow(f"{spent:.1f} s")

        try:
            examples()
        except Exception as error:
            notes = " | ".join(getattr(error, "__notes__", []))
            finding = f"{type(error).__name__}: {error} {notes}"[:2000]
            plan.say(f"  FOUND: {finding}")
    return {"examples": tried, "slowest_s": round(slowest, 3), "finding": finding or "none"}
