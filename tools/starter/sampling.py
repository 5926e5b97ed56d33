"""Sampling while training: the noise schedule and a small guided DDIM loop."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.starter.config import REPOSITORY, Config
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from diffusers import DDIMScheduler, UNet2DConditionModel  # noqa: E402

PROMPTS = Path(__file__).with_name("prompts.txt")
FORTY = REPOSITORY / "benchmarks" / "starter_prompts.txt"


def read_prompts(path: Path = PROMPTS) -> list[str]:
    """Read one prompt a line, without comments and without what follows "|"."""
    return [line.partition("|")[0].strip() for line in _lines(path)]


def read_judged_prompts(path: Path = FORTY) -> list[tuple[str, tuple[str, ...]]]:
    """Read prompts with the labels of the concepts that must be seen."""
    parted = (line.partition("|") for line in _lines(path))
    return [
        (p.strip(), tuple(label.strip() for label in wanted.split(","))) for p, _, wanted in parted
    ]


def _lines(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def build_scheduler() -> DDIMScheduler:
    """SD's noise schedule, rescaled to end in pure noise, with v-prediction.

    Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed".
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


@torch.no_grad()
def sample(
    unet: UNet2DConditionModel,
    contexts: torch.Tensor,
    empty: torch.Tensor,
    config: Config,
    seed: int = 0,
) -> torch.Tensor:
    """Return latents `[prompts, 4, 16, 16]` for contexts `[prompts, 77, width]`."""
    scheduler = build_scheduler()
    scheduler.set_timesteps(config.sampling_steps)
    side = config.picture_size // 2 ** (len(config.vae_channels) - 1)
    generator = torch.Generator().manual_seed(seed)
    shape = (len(contexts), config.latent_channels, side, side)
    latents = torch.randn(shape, generator=generator).to(contexts)
    both = torch.cat([contexts, empty.expand_as(contexts)])
    for timestep in scheduler.timesteps:
        with_text, without = unet(torch.cat([latents, latents]), timestep, both).sample.chunk(2)
        guided = without + config.guidance_scale * (with_text - without)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return latents
