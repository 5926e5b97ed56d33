"""Noise that has the spectrum and the colours of a picture, to begin new parts of it with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.colour import match_histogram


def shaped_noise(
    picture: Image.Image,
    size: tuple[int, int],
    seed: int,
    fall_off: float = 1.0,
    colour_variation: float = 0.05,
) -> Image.Image:
    """An RGB picture of noise, ``size`` (width, height) pixels, that resembles ``picture``.

    White noise takes the picture's amplitude at every frequency and keeps its own phases; then its
    histogram is matched to the picture's in each channel.

    Args:
        seed: of the noise; the same seed gives the same pixels.
        fall_off: exponent of the amplitudes; 0 leaves the noise white, 1 takes the picture's
            spectrum, more makes it smoother.
        colour_variation: 0 for noise in the picture's brightness alone, 1 for three independent
            channels.
    """
    width, height = size
    random = np.random.default_rng(seed % 2**64)
    grey = random.standard_normal((height, width, 1)).astype(np.float32)
    coloured = random.standard_normal((height, width, 3)).astype(np.float32)
    noise = grey * (1 - colour_variation) + coloured * colour_variation
    pixels = np.asarray(picture.convert("RGB"))
    gains = amplitudes(pixels, (height, width)) ** fall_off
    shaped = np.fft.irfft2(np.fft.rfft2(noise, axes=(0, 1)) * gains, (height, width), axes=(0, 1))
    levels = _as_bytes(shaped)
    matched = [match_histogram(levels[..., c], pixels[..., c]) for c in range(3)]
    return Image.fromarray(np.stack(matched, axis=-1))


def amplitudes(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Amplitude at each frequency of a grid of ``shape``: [height, width // 2 + 1, 3], mean 1.

    The picture is tapered to its borders first, which would count as edges otherwise.
    """
    height, width = pixels.shape[:2]
    taper = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])[..., None]
    centred = pixels.astype(np.float32) - pixels.mean(axis=(0, 1), dtype=np.float32)
    found = np.abs(np.fft.fft2(centred * taper, axes=(0, 1)))
    rows = _nearest(shape[0], height)
    columns = _nearest(shape[1], width)[: shape[1] // 2 + 1]
    taken = found[rows[:, None], columns[None, :]]
    mean = taken.mean(axis=(0, 1))
    return (np.where(mean > 0, taken / np.maximum(mean, 1e-9), 1)).astype(np.float32) + 1e-6


def _nearest(wanted: int, available: int) -> NDArray[np.intp]:
    """For each frequency of a grid of ``wanted`` points, the nearest of one of ``available``."""
    frequencies = np.fft.fftfreq(wanted)
    return np.rint(frequencies * available).astype(np.intp) % available


def _as_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Each channel stretched over 0 … 255."""
    low = values.min(axis=(0, 1))
    span = np.maximum(values.max(axis=(0, 1)) - low, 1e-12)
    return np.rint((values - low) / span * 255).astype(np.uint8)
