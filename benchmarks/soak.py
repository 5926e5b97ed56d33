"""Two hundred pictures and thirty changes of checkpoint: do memory, handles, threads grow?"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.plan import STARTER, Plan
from benchmarks.server import Server, serving

GENERATIONS, SWITCHES = 200, 30
WARM = 0.2
"""The first part of the run, in which caches fill; growth is counted from its end."""


@dataclass(frozen=True)
class Use:
    """What one process holds."""

    rss_mb: float
    handles: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> Use:
        """Now."""
        with process.oneshot():
            handles = process.num_fds() if psutil.POSIX else process.num_handles()
            return cls(process.memory_info().rss / 2**20, handles, process.num_threads())


def measure(plan: Plan) -> dict[str, object]:
    """The whole run."""
    return soak(plan, GENERATIONS, SWITCHES)


def soak(plan: Plan, generations: int, switches: int) -> dict[str, object]:
    """Paint and switch; what both processes held after the warming up and at the end."""
    data = plan.data / "soak"
    names = _checkpoints(data)
    every = max(1, generations // switches)
    with serving(data, plan, "--test-mode") as server:
        pid = server.engine.pid
        seen: list[tuple[Use, Use]] = []
        for number in range(generations):
            _paint(server, names[number // every % len(names)], number)
            if (number + 1) % (2 * every) == 0 or number + 1 == generations:
                server_use = Use.of(psutil.Process(server.pid))
                seen.append((server_use, Use.of(server.engine)))
                plan.say(f"{number + 1} pictures: server {seen[-1][0]}, engine {seen[-1][1]}")
        same = server.engine.pid == pid
    warm = seen[int(WARM * len(seen))]
    return {
        "soak_generations": generations,
        "soak_switches": (generations - 1) // every,
        "soak_same_engine": same,
        **_growth("server", warm[0], [one[0] for one in seen]),
        **_growth("engine", warm[1], [one[1] for one in seen]),
    }


def _growth(name: str, warm: Use, seen: list[Use]) -> dict[str, object]:
    last = seen[-1]
    return {
        f"soak_{name}_rss_mb": round(last.rss_mb, 1),
        f"soak_{name}_rss_growth": round(last.rss_mb / warm.rss_mb - 1, 4),
        f"soak_{name}_handles": last.handles,
        f"soak_{name}_handles_growth": last.handles - warm.handles,
        f"soak_{name}_threads": last.threads,
        f"soak_{name}_threads_growth": last.threads - warm.threads,
    }


def _checkpoints(data: Path) -> list[str]:
    """The starter model under two names more: a switch loads all of it."""
    folder = data / "models" / "Stable-diffusion"
    names = [STARTER.name]
    for number in (1, 2):
        shutil.copytree(STARTER, folder / f"soak-{number}", dirs_exist_ok=True)
        names.append(f"soak-{number}")
    return names


def _paint(server: Server, checkpoint: str, number: int) -> None:
    kinds = (
        {},
        {"batch_size": 2},
        {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent"},
        {"sampler_name": "DPM++ 2M SDE", "prompt": "a [red:blue:0.5] (apple:1.2)"},
    )
    body = {"prompt": "a red apple", "steps": 4, "width": 128, "height": 128, "seed": number}
    override = {"sd_model_checkpoint": checkpoint}
    body |= {"save_images": True, "override_settings": override, **kinds[number % len(kinds)]}
    answer = server.post("/sdapi/v1/txt2img", body)
    if not answer["images"]:
        raise RuntimeError(f"picture {number} is missing")
