"""Whole pictures against diffusers' StableDiffusionPipeline: same weights, same noise, same image.

The engine runs its own job, from the prompt to the 8-bit picture; only the plan is told diffusers'
noise levels where the two projects space their timesteps differently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from modules.engine.checkpoints import LoadedModel
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.generation.spec import GenerationSpec
from modules.engine.generation.task import PassTask
from modules.engine.sampling import NoiseSource, SamplerParams, SamplingPlan
from tests.engine.generation.conftest import Studio, difference

STEPS = 6
SIZE = 64
PROMPT, NEGATIVE = "a red apple, on a table", "blurry"


@dataclass(frozen=True)
class Match:
    """One of our samplers and the diffusers scheduler it is compared with."""

    sampler: str
    scheduler_class: str
    scheduler_settings: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    schedule: str = "Automatic"
    take_sigmas: bool = False
    """Sample at diffusers' own noise levels."""


MATCHES = [
    Match(
        "DDIM",
        "DDIMScheduler",
        {
            "timestep_spacing": "leading",
            "steps_offset": 1,
            "clip_sample": False,
            "set_alpha_to_one": False,
        },
        {"timestep_spacing": "leading"},
    ),
    Match("Euler", "EulerDiscreteScheduler", {"timestep_spacing": "linspace"}, schedule="Uniform"),
    Match(
        "Euler",
        "EulerDiscreteScheduler",
        {"timestep_spacing": "linspace", "use_karras_sigmas": True},
        schedule="Karras",
    ),
    Match(
        "DPM++ 2M",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"},
        {"sgm_noise_multiplier": True},
        take_sigmas=True,
    ),
    Match(
        "PLMS",
        "PNDMScheduler",
        {"timestep_spacing": "leading", "steps_offset": 1, "skip_prk_steps": True},
        {"timestep_spacing": "leading"},
    ),
    Match(
        "UniPC",
        "UniPCMultistepScheduler",
        {"solver_order": 2, "solver_type": "bh2"},
        {"sgm_noise_multiplier": True, "unipc_variant": "bh2", "unipc_order": 2},
        take_sigmas=True,
    ),
]


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Any) -> Any:
    """diffusers' pipeline on the studio's own model."""
    make_torchvision_importable()
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(
        tiny_checkpoint, safety_checker=None, requires_safety_checker=False, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _scheduler(pipe: Any, match: Match) -> Any:
    import diffusers

    kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    config = {key: pipe.scheduler.config[key] for key in kept if key in pipe.scheduler.config}
    return getattr(diffusers, match.scheduler_class)(**config, **match.scheduler_settings)


def _theirs(pipe: Any, match: Match, seed: int, cfg_scale: float) -> np.ndarray:
    """The pipeline's picture, [height, width, 3] in 8 bits."""
    pipe.scheduler = _scheduler(pipe, match)
    shape = (pipe.unet.config.in_channels, SIZE // 8, SIZE // 8)
    noise = NoiseSource([seed], [0], 0.0, (0, 0), shape=shape, rng="CPU", device="cpu").initial()
    answer = pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        width=SIZE,
        height=SIZE,
        num_inference_steps=STEPS,
        guidance_scale=cfg_scale,
        latents=noise,
        output_type="pil",
    )
    return np.asarray(answer.images[0])


def _matched_plan(
    pipe: Any, match: Match
) -> Callable[[PassTask, GenerationSpec, LoadedModel], SamplingPlan]:
    """A replacement for the job's choice of noise levels."""

    def choose(task: PassTask, spec: GenerationSpec, model: LoadedModel) -> SamplingPlan:
        params = replace(SamplerParams.from_options(spec.options, spec.request), **match.params)
        plan = SamplingPlan.build(
            task.sampler, task.scheduler, task.steps, model.model_sampling, params
        )
        if not match.take_sigmas:
            return plan
        scheduler = _scheduler(pipe, match)
        scheduler.set_timesteps(STEPS)
        return plan.with_sigmas(scheduler.sigmas)

    return choose


@pytest.mark.parametrize("match", MATCHES, ids=lambda m: f"{m.sampler}-{m.schedule}")
def test_the_picture_equals_the_pipelines(
    studio: Studio, pipeline: Any, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PassTask, "plan", _matched_plan(pipeline, match))
    ours = studio.picture(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=SIZE,
        height=SIZE,
        steps=STEPS,
        cfg_scale=6.0,
        seed=11,
        sampler_name=match.sampler,
        scheduler=match.schedule,
        options={"randn_source": "CPU"},
    )
    with torch.inference_mode():
        theirs = _theirs(pipeline, match, seed=11, cfg_scale=6.0)
    assert theirs.std() > 2  # a picture, not a plain colour that anything would equal
    assert difference(ours, theirs) <= 1
