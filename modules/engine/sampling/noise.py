"""Noise from seeds: one generator per image, so that an image in a batch equals the image alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modules.engine.sampling.brownian import BrownianNoise
from modules.engine.sampling.philox import PhiloxGenerator

SOURCES = ("CPU", "GPU", "NV")


class SeededGenerator:
    """A stream of normal noise for one seed, drawn on the CPU, on the device, or as CUDA would."""

    def __init__(self, seed: int, rng: str, device: torch.device) -> None:
        self._device = device
        self._philox = PhiloxGenerator(seed) if rng == "NV" else None
        self._torch = None
        if self._philox is None:
            self._torch = torch.Generator(drawing_device(rng, device))
            self._torch.manual_seed(torch_seed(seed))

    def randn(self, shape: Sequence[int]) -> Tensor:
        """The next standard normal numbers of the stream, float32 on the device."""
        if self._philox is not None:
            return torch.from_numpy(self._philox.randn(shape)).to(self._device)
        generator = self._torch
        noise = torch.randn(tuple(shape), generator=generator, device=generator.device)
        return noise.to(self._device)

    def state(self) -> int | Tensor:
        """Where the stream is; give it to ``restore``."""
        return self._philox.offset if self._philox is not None else self._torch.get_state()

    def restore(self, state: int | Tensor) -> None:
        """Go on where ``state`` was taken."""
        if self._philox is not None:
            self._philox.offset = int(state)
        else:
            self._torch.set_state(state)


class SeededDraws:
    """``draw(seed, shape)``: the first normal noise of a seed, drawn where ``rng`` says."""

    def __init__(self, rng: str, device: torch.device) -> None:
        self._nv = rng == "NV"
        self._generator = torch.Generator(drawing_device(rng, device))

    def __call__(self, seed: int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, float32."""
        if self._nv:
            return torch.from_numpy(PhiloxGenerator(seed).randn(shape))
        generator = self._generator.manual_seed(seed)
        return torch.randn(tuple(shape), generator=generator, device=generator.device)


class NoiseSource:
    """All noise of a batch: the initial latents, then what samplers add, drawn in A1111's order."""

    def __init__(
        self,
        seeds: Sequence[int],
        subseeds: Sequence[int] | None = None,
        subseed_strength: float = 0.0,
        seed_resize_from: tuple[int, int] = (0, 0),
        *,
        shape: Sequence[int],
        rng: str = "GPU",
        ensd: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """
        Args:
            seeds: one per image.
            subseeds: variation seeds, one per image (missing ones are 0).
            subseed_strength: 0: the seed's noise, 1: the variation seed's.
            seed_resize_from: (height, width) in latent units that the noise is made for and then
                pasted into the middle of the real size; (0, 0): off.
            shape: (channels, height, width) of one image's latents.
            rng: ``CPU``, ``GPU`` (the device's own generator; the CPU's on "cpu" and "mps"),
                or ``NV`` (CUDA's numbers anywhere).
            ensd: eta noise seed delta, added to the seeds of the noise after the initial one.
            device: where the noise is wanted.

        Raises:
            ValueError: unknown ``rng``.
        """
        if rng not in SOURCES:
            raise ValueError(f"rng {rng!r} is not one of {', '.join(SOURCES)}")
        self.seeds = [int(seed) for seed in seeds]
        self.subseeds = [int(seed) for seed in subseeds or ()]
        self.subseed_strength = float(subseed_strength)
        self.shape = tuple(shape)
        self.rng = rng
        self.ensd = int(ensd)
        self.device = torch.device(device)
        height, width = seed_resize_from
        resized = (self.shape[0], height, width) if height > 0 and width > 0 else self.shape
        self.noise_shape = resized
        self.generators = [self._generator(seed) for seed in self.seeds]

    def initial(self) -> Tensor:
        """Noise the images start from, [batch, channels, height, width]. Call it once, first."""
        noise = torch.stack([self._first(i) for i in range(len(self.seeds))])
        if self.ensd:
            self.generators = [self._generator(seed + self.ensd) for seed in self.seeds]
        return noise

    def next(self, images: Sequence[int] | None = None) -> Tensor:
        """The next noise of every image, or of the listed: [images, channels, height, width]."""
        wanted = self.generators if images is None else [self.generators[i] for i in images]
        return torch.stack([generator.randn(self.shape) for generator in wanted])

    def sampler(self, sigma: float, sigma_next: float) -> Tensor:
        """``next`` as a noise sampler."""
        return self.next()

    def brownian(self, sigma_min: float, sigma_max: float) -> BrownianNoise:
        """Brownian paths of the seeds (variation and ENSD do not matter), as a noise sampler."""
        source = SeededDraws(self.rng, self.device)
        return BrownianNoise(self.seeds, self.shape, sigma_min, sigma_max, source, self.device)

    def state(self) -> list[Any]:
        """Where every image's stream is; ``restore`` of an equal source goes on from there."""
        return [generator.state() for generator in self.generators]

    def restore(self, states: Sequence[Any]) -> None:
        """Go on where ``state`` was taken (after ``initial``)."""
        self.generators = [self._generator(seed + self.ensd) for seed in self.seeds]
        for generator, state in zip(self.generators, states, strict=True):
            generator.restore(state)

    def _generator(self, seed: int) -> SeededGenerator:
        return SeededGenerator(seed, self.rng, self.device)

    def _first(self, i: int) -> Tensor:
        resized = self.noise_shape != self.shape
        # A resized image draws its small noise apart, and the frame around it from its own stream.
        source = self._generator(self.seeds[i]) if resized else self.generators[i]
        noise = source.randn(self.noise_shape)
        if self.subseed_strength:
            subseed = self.subseeds[i] if i < len(self.subseeds) else 0
            noise = slerp(
                noise, self._generator(subseed).randn(self.noise_shape), self.subseed_strength
            )
        if resized:
            noise = paste_centred(noise, self.generators[i].randn(self.shape))
        return noise


def drawing_device(rng: str, device: torch.device) -> torch.device:
    """Device whose generator ``rng`` means. Apple's has none of its own that could be repeated."""
    return device if rng == "GPU" and device.type != "mps" else torch.device("cpu")


def torch_seed(seed: int) -> int:
    """``seed`` as torch takes it: 64 bits."""
    return seed & 0xFFFFFFFFFFFFFFFF


def slerp(low: Tensor, high: Tensor, share: float) -> Tensor:
    """Spherical interpolation of noise [channels, height, width], by columns as A1111 does it.

    Linear when both are nearly parallel (mean cosine above 0.9995).
    """
    cosine = (low / low.norm(dim=1, keepdim=True) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if cosine.mean() > 0.9995:
        # A1111 swaps the ends here; nobody sees it, since both are the same by then.
        return low * share + high * (1 - share)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    start = (((1 - share) * angle).sin() / sine).unsqueeze(1)
    end = ((share * angle).sin() / sine).unsqueeze(1)
    return start * low + end * high


def paste_centred(small: Tensor, frame: Tensor) -> Tensor:
    """``frame`` [channels, height, width] with the middle of ``small`` over its middle."""
    result = frame.clone()
    spans = []
    for size, inner in zip(frame.shape[1:], small.shape[1:], strict=True):
        shift = (size - inner) // 2
        length = inner if shift >= 0 else inner + 2 * shift
        spans.append((max(shift, 0), max(-shift, 0), length))
    (top, from_top, height), (left, from_left, width) = spans
    result[:, top : top + height, left : left + width] = small[
        :, from_top : from_top + height, from_left : from_left + width
    ]
    return result
