"""Brownian-tree noise for the SDE samplers: a path per image, the same whatever the steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SeededNoise = Callable[[int, Sequence[int]], Tensor]
"""``noise(seed, shape)``: standard normal numbers from a fresh generator of that seed."""

# torchsde's BrownianTree, whose paths these are: times have six digits, seeds a pool of 24 words.
_DIGITS = 6
_POOL = 24


@dataclass(frozen=True)
class _Node:
    """An interval of the tree that has been halved."""

    start: float
    middle: float
    end: float
    at_middle: Tensor
    """[batch, ...] value of the path in the middle."""


class BrownianPaths:
    """Brownian motions over [low, high], one per seed; each value is a function of seed and time.

    A virtual Brownian tree (Li et al. 2020): the interval is halved again and again around the
    wanted time, and every middle is drawn from the Brownian bridge between its ends, with noise
    whose seed is the place in the tree. Gives the paths of torchsde's ``BrownianTree`` for the same
    entropy, from one descent per new time instead of a walk over all pieces in between.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Sequence[int],
        low: float,
        high: float,
        noise: SeededNoise,
    ) -> None:
        # SeedSequence takes no negative numbers.
        self._seeds = [seed & 0xFFFFFFFFFFFFFFFF for seed in seeds]
        self._shape = tuple(shape)
        self._noise = noise
        self._start, self._end = round(low, _DIGITS), round(high, _DIGITS)
        self._at_end = self._draw(None) * math.sqrt(high - low)
        self._at_start = torch.zeros_like(self._at_end)
        self._path: list[_Node] = []
        self._values: dict[float, Tensor] = {}

    def __call__(self, time: float) -> Tensor:
        """Value [batch, ...] of the paths at ``time`` (clamped to their ends)."""
        time = min(max(round(time, _DIGITS), self._start), self._end)
        if time not in self._values:
            if len(self._values) >= 3:  # a step asks for its begin, its middle and its end
                del self._values[next(iter(self._values))]
            self._values[time] = self._descend(time)
        return self._values[time]

    def _descend(self, time: float) -> Tensor:
        start, end, at_start, at_end = self._start, self._end, self._at_start, self._at_end
        key = depth = 0
        while True:
            if time == start:
                return at_start
            if time == end:
                return at_end
            node = self._node(depth, key, start, end, at_start, at_end)
            if node.middle in (start, end):  # finer than the digits of time
                return at_start
            if time <= node.middle:
                end, at_end, key = node.middle, node.at_middle, 2 * key
            else:
                start, at_start, key = node.middle, node.at_middle, 2 * key + 1
            depth += 1

    def _node(
        self, depth: int, key: int, start: float, end: float, at_start: Tensor, at_end: Tensor
    ) -> _Node:
        if depth < len(self._path):
            known = self._path[depth]
            if known.start == start and known.end == end:
                return known
            del self._path[depth:]
        middle = round(0.5 * (end + start), _DIGITS)
        left, right, length = middle - start, end - middle, end - start
        at_middle = torch.lerp(at_start, at_end, left / length)
        at_middle.add_(self._draw((key, depth)), alpha=math.sqrt(left * right / length))
        self._path.append(_Node(start, middle, end, at_middle))
        return self._path[-1]

    def _draw(self, place: tuple[int, int] | None) -> Tensor:
        """Noise of the tree's node ``place`` = (number, depth), or of the whole interval."""
        spawn = {} if place is None else {"spawn_key": place}
        return torch.stack(
            [
                self._noise(
                    int(
                        np.random.SeedSequence(seed, pool_size=_POOL, **spawn).generate_state(1)[0]
                    ),
                    self._shape,
                )
                for seed in self._seeds
            ]
        )


class BrownianNoise:
    """Noise sampler: increments of Brownian paths over sigma, at unit variance."""

    def __init__(
        self,
        seeds: Sequence[int],
        shape: Sequence[int],
        sigma_min: float,
        sigma_max: float,
        noise: SeededNoise,
        device: torch.device | str = "cpu",
    ) -> None:
        """
        Args:
            seeds: one per image.
            shape: of one image's latents.
            sigma_min, sigma_max: ends of the paths; every request lies between them.
            noise: source of random numbers.
            device: where the result is wanted.
        """
        low, high = _float32(sigma_min), _float32(sigma_max)
        if not low < high:  # a single step: any interval that holds the point will do
            high = low + 1.0
        self._paths = BrownianPaths(seeds, shape, low, high, noise)
        self._device = torch.device(device)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Unit noise [batch, ...] of the way from ``sigma`` to ``sigma_next``."""
        sigma, sigma_next = _float32(sigma), _float32(sigma_next)
        increments = self._paths(sigma_next) - self._paths(sigma)
        return increments.mul_(abs(sigma_next - sigma) ** -0.5).to(self._device)


def _float32(value: float) -> float:
    """``value`` in single precision: times have always been that, and paths are rough."""
    return float(np.float32(value))
