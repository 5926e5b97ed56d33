"""From what a network predicts to the denoised latents, and the input scaling that goes with it.

Everywhere ``x = x0 + sigma * noise``. Variance preserving models (``epsilon``, ``v_prediction``,
``sample``) see ``x / sqrt(sigma² + 1)``; flow matching models (``flow``: SD3, FLUX) see
``x / (1 + sigma) = (1 - s) x0 + s noise`` with ``s = sigma / (1 + sigma)`` and predict noise - x0.
Every function takes sigma as a number, or as a tensor [batch] when images differ.
"""

from __future__ import annotations

import torch
from torch import Tensor

KINDS = ("epsilon", "v_prediction", "sample", "flow")


def scale_input(x: Tensor, sigma: Tensor | float, kind: str) -> Tensor:
    """What the network is fed: ``x`` [batch, ...] at unit variance; for ``flow`` the mixture."""
    sigma = _broadcast(sigma, x)
    if kind == "flow":
        return x / (1 + sigma)
    return x * (sigma**2 + 1) ** -0.5


def to_denoised(model_output: Tensor, x: Tensor, sigma: Tensor | float, kind: str) -> Tensor:
    """The prediction of x0 that a network's output at noise level ``sigma`` stands for.

    Args:
        model_output: [batch, channels, height, width], of ``scale_input(x, sigma, kind)``.
        x: the unscaled noisy latents, same shape.
        sigma: noise level, a number or [batch].
        kind: ``epsilon``: x - sigma e. ``v_prediction`` (Salimans & Ho 2022, appendix D):
            x / (sigma² + 1) - sigma / sqrt(sigma² + 1) v. ``sample``: the output itself.
            ``flow``: (x - sigma v) / (1 + sigma).

    Raises:
        ValueError: unknown kind.
    """
    if kind == "sample":
        return model_output
    if kind == "epsilon":
        if isinstance(sigma, float):
            return torch.add(x, model_output, alpha=-sigma)
        return x - model_output * _broadcast(sigma, x)
    if kind == "flow":
        sigma = _broadcast(sigma, x)
        return (x - model_output * sigma) / (1 + sigma)
    if kind == "v_prediction":
        sigma = _broadcast(sigma, x)
        variance = sigma**2 + 1
        return x * (1 / variance) + model_output * (-sigma * variance**-0.5)
    raise ValueError(f"prediction kind {kind!r} is not one of {', '.join(KINDS)}")


def to_model_output(denoised: Tensor, x: Tensor, sigma: Tensor | float, kind: str) -> Tensor:
    """The inverse of ``to_denoised``: what the network would have to say to mean ``denoised``.

    Raises:
        ValueError: unknown kind.
    """
    if kind == "sample":
        return denoised
    sigma = _broadcast(sigma, x)
    if kind == "epsilon":
        return (x - denoised) / sigma
    if kind == "flow":
        return (x - denoised * (1 + sigma)) / sigma
    if kind == "v_prediction":
        variance = sigma**2 + 1
        return (x * (1 / variance) - denoised) * (variance**0.5 / sigma)
    raise ValueError(f"prediction kind {kind!r} is not one of {', '.join(KINDS)}")


def _broadcast(sigma: Tensor | float, x: Tensor) -> Tensor | float:
    if isinstance(sigma, Tensor) and sigma.ndim:
        return sigma.view(-1, *([1] * (x.ndim - 1)))
    return sigma
