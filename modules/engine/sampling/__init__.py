"""Noise, noise levels, samplers and guidance: pure functions over latents.

``SamplingPlan.build`` chooses the noise levels, ``plan.run`` walks them and yields after each step.
Nothing here knows about prompts, images or jobs.
"""

from __future__ import annotations

from modules.engine.sampling.guidance import CfgPlan, GuidanceSettings, cfg_plan, combine
from modules.engine.sampling.model_sampling import ModelSampling
from modules.engine.sampling.noise import NoiseSource
from modules.engine.sampling.params import SamplerParams
from modules.engine.sampling.plan import SamplingPlan
from modules.engine.sampling.step import Denoiser, Resume, SamplerStep

__all__ = [
    "CfgPlan",
    "Denoiser",
    "GuidanceSettings",
    "ModelSampling",
    "NoiseSource",
    "Resume",
    "SamplerParams",
    "SamplerStep",
    "SamplingPlan",
    "cfg_plan",
    "combine",
]
