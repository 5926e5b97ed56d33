"""Seconds per denoising step: Easel's engine against diffusers' own pipeline.

Same weights, size, steps, DDIM, guidance scale 7, fp32 and threads. All processes live at the same
time and sample in turn, so that a noisy machine disturbs all of them alike; the first step of each
run is left out. Three sides: Easel as it runs, diffusers as a user runs it (glibc's own allocator
settings), and diffusers with Easel's allocator settings.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.plan import STARTER, Plan
from benchmarks.sides import BareSide, OurSide, Work, malloc_settings

STARTER_WORK = Work(size=128, steps=20)
SD15_WORK = Work(size=256, steps=5)


def measure_starter(plan: Plan) -> dict[str, object]:
    """The model that ships."""
    return compare(plan, STARTER, STARTER_WORK, "starter")


def measure_sd15(plan: Plan) -> dict[str, object]:
    """A random model of Stable Diffusion 1.5's size at 256x256."""
    return compare(plan, provide_sd15(plan), SD15_WORK, "sd15_256")


def provide_sd15(plan: Plan) -> Path:
    """The random full-size model, made once by a helper process."""
    folder = plan.models / "sd15-random"
    if not (folder / "model_index.json").is_file():
        plan.say(f"making a random full-size model in {folder} (2.1 GB)")
        with BareSide(plan, our_malloc=False) as helper:
            helper.ask(make=str(plan.models))
    return folder


def compare(plan: Plan, checkpoint: Path, work: Work, name: str) -> dict[str, object]:
    """Ratios and seconds per step for one checkpoint."""
    with (
        OurSide(plan, checkpoint) as ours,
        BareSide(plan, our_malloc=False) as bare,
        BareSide(plan, our_malloc=True) as bare_tuned,
    ):
        ours.load()
        bare.ask(load=str(checkpoint))
        bare_tuned.ask(load=str(checkpoint))
        sides = {"easel": ours, "diffusers": bare, "diffusers_same_malloc": bare_tuned}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(plan.rounds + 1):
            for side, runner in sides.items():
                taken = runner.sample(work)
                if number:  # the first round warms up
                    seconds[side] += taken
                plan.say(
                    f"{name} round {number} of {plan.rounds}: {side} "
                    f"{statistics.median(taken):.4f} s per step"
                )
        peaks = {side: round(runner.peak_mb()) for side, runner in sides.items()}
        malloc = {
            side: malloc_settings(runner.environment) or "glibc's own"
            for side, runner in sides.items()
        }
    return summary(name, work, seconds, peaks, malloc)


def summary(
    name: str,
    work: Work,
    seconds: dict[str, list[float]],
    peaks: dict[str, int],
    malloc: dict[str, object],
) -> dict[str, object]:
    """Medians over all steps of all rounds, and their ratios."""
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    best = {side: min(times) for side, times in seconds.items()}
    return {
        f"step_ratio_{name}": medians["easel"] / medians["diffusers"],
        f"step_ratio_{name}_same_malloc": medians["easel"] / medians["diffusers_same_malloc"],
        f"step_ratio_{name}_best": best["easel"] / best["diffusers"],
        f"step_s_{name}": medians,
        f"peak_rss_mb_{name}": peaks["easel"],
        f"comparison_{name}": {
            "size": work.size,
            "steps_per_run": work.steps,
            "steps_counted": len(seconds["easel"]),
            "sampler": "DDIM",
            "precision": "fp32",
            "malloc": malloc,
            "peak_rss_mb": peaks,
        },
    }
