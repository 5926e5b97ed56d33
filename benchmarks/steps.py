"""Seconds per denoising step: Easel's engine against diffusers' own pipeline.

Same weights, size, steps, DDIM, guidance scale 7, fp32 and threads. All processes live at the same
time and sample in turn, so that a noisy machine disturbs all of them alike; the first step of each
run is left out. The ratio is that of the median step on the clock, `_best` that of the fastest
steps, and `step_cpu_ratio` that of processor time, which other programs disturb less. Three sides:
Easel as it runs, diffusers as a user runs it (glibc's own allocator settings), and diffusers with
Easel's allocator settings.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path

import psutil

from benchmarks.plan import STARTER, Plan
from benchmarks.sides import BareSide, OurSide, Sample, Work, malloc_settings

STARTER_WORK = Work(size=128, steps=20)
SD15_WORK = Work(size=256, steps=5)


def measure_starter(plan: Plan) -> dict[str, object]:
    """The model that ships."""
    return compare(plan, STARTER, STARTER_WORK, "starter", side_gb=1.0)


def measure_sd15(plan: Plan) -> dict[str, object]:
    """A random model of Stable Diffusion 1.5's size at 256x256."""
    return compare(plan, provide_sd15(plan), SD15_WORK, "sd15_256", side_gb=5.5)


def provide_sd15(plan: Plan) -> Path:
    """The random full-size model, made once by a helper process."""
    folder = plan.models / "sd15-random"
    if not (folder / "model_index.json").is_file():
        plan.say(f"making a random full-size model in {folder} (2.1 GB)")
        with BareSide(plan, our_malloc=False) as helper:
            helper.ask(make=str(plan.models))
    return folder


def compare(
    plan: Plan, checkpoint: Path, work: Work, name: str, side_gb: float
) -> dict[str, object]:
    """Ratios and seconds per step for one checkpoint; each side needs ``side_gb`` of memory."""
    with contextlib.ExitStack() as living:
        ours = living.enter_context(OurSide(plan, checkpoint))
        bare = living.enter_context(BareSide(plan, our_malloc=False))
        sides: dict[str, OurSide | BareSide] = {"easel": ours, "diffusers": bare}
        if psutil.virtual_memory().available > 3 * side_gb * 1e9:
            tuned = living.enter_context(BareSide(plan, our_malloc=True))
            sides["diffusers_same_malloc"] = tuned
        else:
            plan.say("too little free memory for the third side: no ratio with the same malloc")
        ours.load()
        for side in sides.values():
            if isinstance(side, BareSide):
                side.ask(load=str(checkpoint))
        samples: dict[str, list[Sample]] = {side: [] for side in sides}
        for number in range(plan.rounds + 1):
            for side, runner in sides.items():
                taken = runner.sample(work)
                if number:  # the first round warms up
                    samples[side].append(taken)
                plan.say(
                    f"{name} round {number} of {plan.rounds}: {side} "
                    f"{statistics.median(taken.step_s):.4f} s per step, "
                    f"{taken.cpu_s:.4f} s of processor time"
                )
        peaks = {side: round(runner.peak_mb()) for side, runner in sides.items()}
        malloc = {
            side: malloc_settings(runner.environment) or "glibc's own"
            for side, runner in sides.items()
        }
    return summary(name, work, samples, peaks, malloc)


def summary(
    name: str,
    work: Work,
    samples: dict[str, list[Sample]],
    peaks: dict[str, int],
    malloc: dict[str, object],
) -> dict[str, object]:
    """Medians over all steps of all rounds, and their ratios."""
    seconds = {side: [s for one in runs for s in one.step_s] for side, runs in samples.items()}
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    best = {side: min(times) for side, times in seconds.items()}
    processor = {
        side: statistics.median(one.cpu_s for one in runs) for side, runs in samples.items()
    }
    same_malloc = medians.get("diffusers_same_malloc")
    return {
        f"step_ratio_{name}": medians["easel"] / medians["diffusers"],
        f"step_ratio_{name}_same_malloc": same_malloc and medians["easel"] / same_malloc,
        f"step_ratio_{name}_best": best["easel"] / best["diffusers"],
        f"step_cpu_ratio_{name}": processor["easel"] / processor["diffusers"],
        f"step_s_{name}": medians,
        f"step_cpu_s_{name}": processor,
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
