"""Networks that are told the CFG scale: latent consistency models distilled with guidance.

They have learned what guidance does (Luo et al. 2023, Meng et al. 2023), so that the negative
prompt is not run; the scale reaches them through the embedding of the timestep.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from modules.engine.checkpoints.families.base import ModelPlan, PictureFacts

NAME = "timestep_cond"


def told_guidance(plan: ModelPlan, picture: PictureFacts) -> dict[str, torch.Tensor]:
    """The embedded scale [1, width]; empty for networks that are not told."""
    width = plan.components["unet"].config.get("time_cond_proj_dim")
    if not width:
        return {}
    return {NAME: embedded_scale(float(picture.request.get("cfg_scale") or 1.0), int(width))}


def embedded_scale(scale: float, width: int) -> torch.Tensor:
    """Sines and cosines [1, width] of the guidance `scale - 1`, as for timesteps of 1000 each."""
    half = width // 2
    rates = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = (scale - 1) * 1000.0 * rates
    embedded = torch.cat([angles.sin(), angles.cos()])
    return torch.nn.functional.pad(embedded, (0, width % 2))[None]


def of_step(added: Mapping[str, torch.Tensor] | None, dtype: torch.dtype) -> torch.Tensor | None:
    """What goes to the network beside the timestep, from what was added."""
    return added[NAME].to(dtype) if added and NAME in added else None
