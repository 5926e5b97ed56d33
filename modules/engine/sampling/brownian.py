"""Brownian-tree noise for the SDE samplers: a path per image, the same whatever the steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

SeededNoise = Callable[[int, Sequence[int]], Tensor]
"""``noise(seed, shape)``: standard normal numbers from a generator of that seed."""


class BrownianNoise:
    """Noise sampler: increments of a Brownian motion over sigma, divided by sqrt of their length.

    A virtual Brownian tree (Li et al. 2020, torchsde) makes the path a function of the seed alone,
    so that more steps refine the same picture, and an image in a batch equals the image alone.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Sequence[int],
        sigma_min: float,
        sigma_max: float,
        *,
        device: torch.device,
        path_device: torch.device,
        source: SeededNoise | None = None,
    ) -> None:
        """
        Args:
            seeds: one per image.
            shape: of one image's latents.
            sigma_min, sigma_max: ends of the path; every request lies between them.
            device: where the noise is wanted.
            path_device: where the random numbers are drawn.
            source: replaces torch's generator on ``path_device``.
        """
        import torchsde

        self.device = device
        self.source = source
        start = torch.zeros(tuple(shape), device=path_device)
        low, high = _float32(sigma_min), _float32(sigma_max)
        if not low < high:  # one step only: any interval that holds the point will do
            high = low + 1.0
        with self._drawing():
            self.trees = [
                # SeedSequence takes no negative numbers.
                torchsde.BrownianTree(low, start, high, entropy=seed & 0xFFFFFFFFFFFFFFFF)
                for seed in seeds
            ]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Unit noise [batch, ...] of the way from ``sigma`` to ``sigma_next``."""
        sigma, sigma_next = _float32(sigma), _float32(sigma_next)
        low, high = min(sigma, sigma_next), max(sigma, sigma_next)
        with self._drawing():
            increments = torch.stack([tree(low, high) for tree in self.trees])
        sign = 1.0 if sigma < sigma_next else -1.0
        return (increments * (sign / math.sqrt(high - low))).to(self.device)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        with warnings.catch_warnings():
            # torchsde rounds the ends of the path, then warns of requests a hair outside.
            warnings.simplefilter("ignore", UserWarning)
            with self._source():
                yield

    @contextmanager
    def _source(self) -> Iterator[None]:
        if self.source is None:
            yield
            return
        # torchsde has no parameter for the source of its random numbers.
        from torchsde._brownian import brownian_interval

        source, kept = self.source, brownian_interval._randn
        brownian_interval._randn = lambda size, dtype, device, seed: source(int(seed), size).to(
            device, dtype
        )
        try:
            yield
        finally:
            brownian_interval._randn = kept


def _float32(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))
