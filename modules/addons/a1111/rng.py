"""A1111's ``rng``: noise of seeds."""

from __future__ import annotations

from typing import Any


def randn(seed: int, shape: Any, generator: Any = None) -> Any:
    """Noise of a seed."""
    from modules.addons.a1111 import devices

    return devices.randn(seed, shape)


def randn_local(seed: int, shape: Any) -> Any:
    """Noise of a seed."""
    return randn(seed, shape)


def randn_like(x: Any) -> Any:
    """Noise of the same shape."""
    import torch

    return torch.randn_like(x)


def randn_without_seed(shape: Any, generator: Any = None) -> Any:
    """Noise."""
    from modules.addons.a1111 import devices

    return devices.randn_without_seed(shape)


def create_generator(seed: int) -> Any:
    """A generator on the processor."""
    import torch

    return torch.Generator("cpu").manual_seed(int(seed))


def slerp(val: float, low: Any, high: Any) -> Any:
    """Between two tensors on a sphere."""
    import torch

    low_norm = low / torch.norm(low, dim=1, keepdim=True)
    high_norm = high / torch.norm(high, dim=1, keepdim=True)
    dot = (low_norm * high_norm).sum(1)
    if dot.mean() > 0.9995:
        return low * (1 - val) + high * val
    omega = torch.acos(dot)
    so = torch.sin(omega)
    one, other = torch.sin((1.0 - val) * omega) / so, torch.sin(val * omega) / so
    return one.unsqueeze(1) * low + other.unsqueeze(1) * high


class ImageRNG:
    """Noise of a batch: ``first()`` to begin with, ``next()`` for each step."""

    def __init__(
        self,
        shape: Any,
        seeds: list[int],
        subseeds: list[int] | None = None,
        subseed_strength: float = 0.0,
        seed_resize_from_h: int = 0,
        seed_resize_from_w: int = 0,
    ) -> None:
        self.shape = tuple(int(one) for one in shape)
        self.seeds = seeds
        self.subseeds = subseeds
        self.subseed_strength = subseed_strength
        self.seed_resize_from_h = seed_resize_from_h
        self.seed_resize_from_w = seed_resize_from_w
        self.generators = [create_generator(seed) for seed in seeds]
        self.is_first = True

    def first(self) -> Any:
        """(B, C, h, w) from the seeds."""
        import torch

        found = []
        for place, generator in enumerate(self.generators):
            noise = torch.randn(self.shape, generator=generator)
            if self.subseeds and self.subseed_strength:
                other = torch.randn(self.shape, generator=create_generator(self.subseeds[place]))
                noise = slerp(self.subseed_strength, noise, other)
            found.append(noise)
        return self._there(found)

    def next(self) -> Any:
        """The next (B, C, h, w)."""
        import torch

        if self.is_first:
            self.is_first = False
            return self.first()
        return self._there([torch.randn(self.shape, generator=one) for one in self.generators])

    def _there(self, rows: list[Any]) -> Any:
        import torch

        from modules.addons.a1111 import devices

        return torch.stack(rows).to(devices.get_optimal_device())
