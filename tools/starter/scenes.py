"""Scenes: which concept stands on which background, and the picture of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tools.starter.config import Colour


@dataclass(frozen=True)
class Scene:
    """One object, centred, on one flat background."""

    concept: int
    """Index into the concepts."""
    background: int
    """Index into the configured backgrounds; 0 is white."""


def all_scenes(concepts: list[int], backgrounds: int) -> list[Scene]:
    """Return every pairing of the given concepts and backgrounds, in a fixed order."""
    return [Scene(concept, place) for concept in concepts for place in range(backgrounds)]


def random_scene(rng: random.Random, concepts: int, backgrounds: int) -> Scene:
    """Draw a scene; half of them are on white."""
    background = 0 if rng.random() < 0.3 else rng.randrange(backgrounds)
    return Scene(rng.randrange(concepts), background)


def paint(
    drawing: np.ndarray,
    colour: Colour,
    size: int,
    object_size: float,
    corner: tuple[int, int] | None = None,
) -> np.ndarray:
    """Put an RGBA drawing on a flat colour: `[size, size, 3]` uint8, centred unless `corner`."""
    side = max(1, round(size * object_size))
    scaled = Image.fromarray(np.ascontiguousarray(drawing))
    if scaled.width != side:
        scaled = resize_premultiplied(scaled, side)
    canvas = Image.new("RGBA", (size, size), (*colour.rgb, 255))
    left, top = corner if corner is not None else ((size - side) // 2, (size - side) // 2)
    canvas.alpha_composite(scaled, (left, top))
    return np.asarray(canvas.convert("RGB"))


def resize_premultiplied(picture: Image.Image, side: int) -> Image.Image:
    """Return an RGBA picture resized to `side` x `side` without dark fringes."""
    return picture.convert("RGBa").resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
