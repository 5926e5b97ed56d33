"""Hues: which colour a drawing has, and the same drawing in another colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Hue:
    """A named colour: its hue in degrees, typical saturation and typical value, both 0 to 1."""

    name: str
    degrees: float
    saturation: float
    value: float


HUES: tuple[Hue, ...] = (
    Hue("red", 4, 0.76, 0.88),
    Hue("orange", 28, 0.84, 0.96),
    Hue("yellow", 50, 0.78, 0.98),
    Hue("green", 128, 0.58, 0.66),
    Hue("blue", 214, 0.70, 0.85),
    Hue("purple", 274, 0.54, 0.75),
    Hue("pink", 338, 0.42, 0.97),
    Hue("brown", 24, 0.58, 0.50),
    Hue("black", 0, 0.08, 0.20),
    Hue("white", 0, 0.03, 0.97),
)
_NEAR = 42.0
"""Degrees on each side of the dominant hue that count as the same colour."""
_LEAST = 0.3
"""Share of the opaque pixels that must have the dominant hue."""
_NAMED = 6
"""The first hues that unchanged drawings are named by; the others are judged too easily wrong."""


@dataclass(frozen=True)
class Colouring:
    """What `analyse` finds: opaque pixels' hue (degrees), saturation and value (0 to 1)."""

    hue: np.ndarray
    saturation: np.ndarray
    value: np.ndarray
    opaque: np.ndarray
    dominant: float | None
    """The dominant hue in degrees, or None for grey and many-coloured drawings."""


def analyse(drawing: np.ndarray) -> Colouring:
    """Find the dominant hue of an RGBA drawing `[side, side, 4]`."""
    picture = Image.fromarray(np.ascontiguousarray(drawing[..., :3])).convert("HSV")
    planes = np.asarray(picture).astype(np.float32)
    hue, saturation, value = (
        planes[..., 0] * (360 / 255),
        planes[..., 1] / 255,
        planes[..., 2] / 255,
    )
    opaque = drawing[..., 3] > 127
    coloured = opaque & (saturation > 0.25) & (value > 0.2)
    if not coloured.any():
        return Colouring(hue, saturation, value, opaque, None)
    counts, _ = np.histogram(hue[coloured], 36, (0, 360), weights=saturation[coloured])
    smooth = counts + 0.6 * (np.roll(counts, 1) + np.roll(counts, -1))
    dominant = float(smooth.argmax() * 10 + 5)
    near = coloured & (_distance(hue, dominant) < _NEAR)
    enough = near.sum() >= _LEAST * max(1, opaque.sum())
    return Colouring(hue, saturation, value, opaque, dominant if enough else None)


def _distance(hue: np.ndarray, degrees: float) -> np.ndarray:
    return np.abs((hue - degrees + 180) % 360 - 180)


def own_hue(drawing: np.ndarray) -> str | None:
    """Return the name of the drawing's own colour where it is beyond doubt, else None."""
    found = analyse(drawing)
    if found.dominant is None:
        return None
    near = found.opaque & (_distance(found.hue, found.dominant) < _NEAR) & (found.saturation > 0.45)
    if near.sum() < 0.5 * found.opaque.sum() or found.value[near].mean() < 0.55:
        return None
    best = min(
        HUES[:_NAMED], key=lambda hue: float(_distance(np.array(hue.degrees), found.dominant))
    )
    return best.name if _distance(np.array(best.degrees), found.dominant) < 16 else None


def recolour(drawing: np.ndarray, hue: Hue) -> np.ndarray:
    """Return the RGBA drawing with its dominant colour (or, lacking one, all of it) in `hue`.

    Differences of hue, saturation and value within the drawing stay, dark outlines too.
    """
    found = analyse(drawing)
    if found.dominant is not None:
        distance = _distance(found.hue, found.dominant)
        changed = found.opaque & (found.saturation > 0.2) & (found.value > 0.15)
        changed &= distance < _NEAR
        offset = (found.hue - found.dominant + 180) % 360 - 180
        mean = float(found.saturation[changed].mean())
        saturation = found.saturation * (hue.saturation / max(mean, 0.05))
    else:
        changed = found.opaque & (found.value > 0.3)
        offset = np.zeros_like(found.hue)
        saturation = np.full_like(found.saturation, hue.saturation)
    if not changed.any():
        return drawing
    value = found.value * (hue.value / max(float(found.value[changed].mean()), 0.05))
    planes = np.stack(
        [
            np.where(changed, (hue.degrees + 0.5 * offset) % 360, found.hue) * (255 / 360),
            np.where(changed, saturation.clip(0, 1), found.saturation) * 255,
            np.where(changed, value.clip(0, 1), found.value) * 255,
        ],
        axis=-1,
    )
    picture = Image.fromarray(planes.round().clip(0, 255).astype(np.uint8), "HSV").convert("RGB")
    return np.concatenate([np.asarray(picture), drawing[..., 3:]], axis=-1)
