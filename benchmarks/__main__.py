"""Run groups of measurements and print one table, or one JSON object with `--json`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    adapters,
    cards,
    clicks,
    extras,
    fuzz,
    inpaint,
    load,
    loading,
    machine,
    memory,
    merge,
    soak,
    startup,
    steps,
    swap,
)
from benchmarks.plan import Plan

GROUPS: dict[str, Callable[[Plan], dict[str, object]]] = {
    "startup": startup.measure,
    "starter": steps.measure_starter,
    "clicks": clicks.measure,
    "sd15": steps.measure_sd15,
    "loading": loading.measure,
    "extras": extras.measure,
    "inpaint": inpaint.measure,
    "swap": swap.measure,
    "swap_sdxl": swap.measure_sdxl,
    "memory": memory.measure,
    "merge": merge.measure,
    "adapters": adapters.measure,
    "cards": cards.measure,
    "soak": soak.measure,
    "load": load.measure,
}
ON_REQUEST: dict[str, Callable[[Plan], dict[str, object]]] = {"fuzz": fuzz.measure}
"""Not part of "all": they measure no speed."""


def main(arguments: list[str]) -> int:
    """Measure what was asked for; progress goes to stderr, results to stdout."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    for group in asked.groups:
        if group not in GROUPS | ON_REQUEST:
            parser.error(f"there is no group {group!r}; there are: {_names()}")
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="easel-bench-data-") as data:
        plan = Plan(
            data=Path(data),
            models=asked.models_dir,
            threads=asked.threads or len(_usable_cores()),
            rounds=asked.rounds,
            say=_say,
        )
        results: dict[str, object] = {"machine": machine.describe(plan.threads)}
        for name in asked.groups or GROUPS:
            _say(f"== {name}")
            results.update((GROUPS | ON_REQUEST)[name](plan))
    text = json.dumps(results, indent=2) if asked.json else table(results)
    sys.stdout.write(text + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py bench", description=__doc__)
    parser.add_argument(
        "groups",
        nargs="*",
        metavar="group",
        help=f"any of: {_names()}; by default all but {', '.join(ON_REQUEST)}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, help="threads of both sides; all cores by default")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=Path(tempfile.gettempdir()) / "easel-bench-models",
        help="where the random full-size model is made once (2.1 GB)",
    )
    return parser


def _names() -> str:
    return ", ".join(GROUPS | ON_REQUEST)


def _usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def table(results: dict[str, object]) -> str:
    """One line per number; nested objects are indented below their name."""
    lines: list[str] = []

    def add(entries: dict[str, object], indent: str) -> None:
        for key, value in entries.items():
            if isinstance(value, dict):
                lines.append(f"{indent}{key}")
                add(value, indent + "  ")
            else:
                shown = f"{value:.4g}" if isinstance(value, float) else str(value)
                lines.append(f"{indent}{key:<{44 - len(indent)}}{shown}")

    add(results, "")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
