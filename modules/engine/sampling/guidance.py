"""Classifier-free guidance: which passes a step needs, and how their predictions are combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class GuidanceSettings:
    """What decides about the negative pass."""

    scale: float = 7.0
    """CFG scale as the user gave it."""
    s_min_uncond: float = 0.0
    """NGMS: below this sigma the negative pass is left out; 0: off."""
    s_min_uncond_all: bool = False
    """NGMS at every step instead of every other one."""
    skip_early_cond: float = 0.0
    """Share of the model calls at the beginning that leave the negative prompt out, 0 to 1."""
    rescale: float = 0.0
    """Guidance rescale, 0 (off) to 1."""
    factor: float = 1.0
    """Factor on ``scale`` that the sampler asks for (``SamplingPlan.guidance_factor``)."""
    needs_uncond: bool = False
    """Whether the sampler itself looks at the negative prediction (CFG++)."""

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], request: Mapping[str, Any], plan: Any = None
    ) -> GuidanceSettings:
        """From the effective options, the request's own fields, and the sampler's plan."""
        requested = request.get("s_min_uncond")
        rescale = options.get("guidance_rescale", 0.0)
        return cls(
            scale=float(request.get("cfg_scale", 7.0)),
            s_min_uncond=float(options.get("s_min_uncond", 0) if requested is None else requested),
            s_min_uncond_all=bool(options.get("s_min_uncond_all", False)),
            skip_early_cond=float(options.get("skip_early_cond", 0)),
            rescale=float(rescale or 0.0),
            factor=plan.guidance_factor if plan is not None else 1.0,
            needs_uncond=plan.needs_uncond if plan is not None else False,
        )


@dataclass(frozen=True)
class CfgPlan:
    """What one model call has to do."""

    uncond: bool
    """Whether the negative prompt is run."""
    scale: float
    """Scale for ``combine``; 1 without the negative pass, which the first part then stands for."""
    reason: str = ""
    """Why the negative pass is left out: ``cfg``, ``early`` or ``ngms``; empty when it is run."""


def cfg_plan(
    call: int,
    total_calls: int,
    sigma: float,
    settings: GuidanceSettings,
    weights: Sequence[float] = (1.0,),
) -> CfgPlan:
    """Which passes the model call number ``call`` (from 0) of ``total_calls`` runs.

    Args:
        call: counts model calls, not steps; A1111 alternates NGMS and measures "early" by them.
        total_calls: ``SamplingPlan.total_calls``.
        sigma: noise level of the call (of the first image).
        weights: of the parts joined by AND; where they do not add up to 1, the negative prompt
            counts even at scale 1.
    """
    scale = settings.scale * settings.factor
    if settings.skip_early_cond > 0 and call / max(total_calls, 1) <= settings.skip_early_cond:
        return CfgPlan(False, 1.0, "early")
    if (
        (settings.s_min_uncond_all or call % 2)
        and settings.s_min_uncond > 0
        and sigma < settings.s_min_uncond
    ):
        return CfgPlan(False, 1.0, "ngms")
    if scale == 1.0 and abs(sum(weights) - 1) < 1e-6 and not settings.needs_uncond:
        return CfgPlan(False, 1.0, "cfg")
    return CfgPlan(True, scale)


def combine(
    cond: Sequence[Tensor], weights: Sequence[float], uncond: Tensor | None, scale: float
) -> Tensor:
    """``uncond + sum(weight * scale * (cond - uncond))`` over the AND parts of a prompt.

    Liu et al. (2022), "Compositional Visual Generation", equation 11; with one part of weight 1 it
    is Ho & Salimans' guidance. Works on predictions of x0, of noise or of v alike.

    Args:
        cond: one prediction [batch, channels, height, width] per part.
        weights: one per part.
        uncond: prediction for the negative prompt; None: the first part stands in for it.
    """
    if uncond is None:
        if len(cond) == 1:
            return cond[0]
        uncond = cond[0]
    if len(cond) == 1:
        return torch.lerp(uncond, cond[0], weights[0] * scale)
    total = uncond.clone()
    for part, weight in zip(cond, weights, strict=True):
        total.add_(part - uncond, alpha=weight * scale)
    return total


def rescale_guidance(guided: Tensor, cond: Tensor, share: float) -> Tensor:
    """Bring the contrast of a guided prediction back towards that of the positive one.

    Lin et al. (2023), "Common Diffusion Noise Schedules and Sample Steps are Flawed", equations 15
    and 16: scale ``guided`` to the standard deviation of ``cond`` per image, then mix by ``share``
    (0 to 1). They apply it to the model's output; see ``rescale_denoised``.
    """
    if not share:
        return guided
    dims = tuple(range(1, guided.ndim))
    ratio = cond.std(dim=dims, keepdim=True) / guided.std(dim=dims, keepdim=True).clamp(min=1e-12)
    return guided * (share * ratio + (1 - share))


def rescale_denoised(
    guided: Tensor, cond: Tensor, x: Tensor, sigma: float | Tensor, kind: str, share: float
) -> Tensor:
    """``rescale_guidance`` of the model output behind predictions of x0.

    Args:
        guided, cond: predictions of x0 at noise level ``sigma`` of the latents ``x``.
        kind: prediction kind of the model, see ``modules.engine.sampling.prediction``.
    """
    if not share:
        return guided
    from modules.engine.sampling.prediction import to_denoised, to_model_output

    output = rescale_guidance(
        to_model_output(guided, x, sigma, kind), to_model_output(cond, x, sigma, kind), share
    )
    return to_denoised(output, x, sigma, kind)
