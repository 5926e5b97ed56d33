"""Data distributions whose best denoiser is known, and noise that needs no random numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Gaussian:
    """Data N(mean, std²): denoised = (std² x + sigma² mean) / (std² + sigma²)."""

    mean: float = 0.3
    std: float = 0.8
    calls: list[float] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.calls.append(float(sigma.max()))
        variance = sigma.view(-1, *([1] * (x.ndim - 1))) ** 2
        denoised = (self.std**2 * x + variance * self.mean) / (self.std**2 + variance)
        self.uncond_denoised = denoised
        return denoised

    def flow(self, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
        """The exact solution of the probability flow from ``sigma`` to ``sigma_next``."""
        ratio = math.sqrt((self.std**2 + sigma_next**2) / (self.std**2 + sigma**2))
        return self.mean + (x - self.mean) * ratio


@dataclass
class TwoPeaks:
    """Data at -1 and +1, equally likely, each spread by ``std``: a denoiser that is not linear."""

    std: float = 0.5
    calls: int = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.calls += 1
        variance = sigma.view(-1, *([1] * (x.ndim - 1))) ** 2
        total = self.std**2 + variance
        peak = torch.tanh(x / total)
        return (self.std**2 * x + variance * peak) / total


def start(sigma: float) -> Tensor:
    """Latents [2, 1, 2, 3] in float64 at noise level ``sigma``."""
    return torch.linspace(-1.7, 1.9, 12, dtype=torch.float64).view(2, 1, 2, 3) * sigma


class Waves:
    """A noise sampler of fixed numbers: call ``k`` gives sqrt(2) sin(1 + k + i²)."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: object) -> Tensor:
        self.calls += 1
        places = torch.arange(12, dtype=torch.float64).view(2, 1, 2, 3)
        return math.sqrt(2) * torch.sin(self.calls + places**2)


def karras_levels(n: int, low: float = 0.03, high: float = 14.6) -> list[float]:
    """Karras et al. (2022), equation 5, and a final 0."""
    a, b = high ** (1 / 7), low ** (1 / 7)
    return [(a + i / (n - 1) * (b - a)) ** 7 for i in range(n)] + [0.0]
