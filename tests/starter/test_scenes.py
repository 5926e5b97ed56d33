"""Scenes of the starter model's training data."""

from __future__ import annotations

import random

import numpy as np

from tools.starter.config import BACKGROUNDS, Colour
from tools.starter.scenes import all_scenes, paint, random_scene


def _disc(size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    drawing = np.zeros((size, size, 4), np.uint8)
    drawing[x * x + y * y < (size / 2) ** 2] = (200, 30, 30, 255)
    return drawing


def test_scenes_are_the_same_for_the_same_seed() -> None:
    draws = [[random_scene(rng, 30, 12) for _ in range(40)] for rng in map(random.Random, (5, 5))]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 10


def test_every_concept_meets_every_background_once() -> None:
    scenes = all_scenes([3, 8], len(BACKGROUNDS))
    assert len(scenes) == len(set(scenes)) == 2 * len(BACKGROUNDS)


def test_a_painted_scene_has_the_object_centred_on_the_plain_colour() -> None:
    picture = paint(_disc(), Colour("blue", (10, 20, 240)), 128, 0.8)
    assert picture.shape == (128, 128, 3)
    assert tuple(picture[0, 0]) == tuple(picture[-1, -1]) == (10, 20, 240)
    assert tuple(picture[64, 64]) == (200, 30, 30)
    assert np.array_equal(picture, paint(_disc(), Colour("blue", (10, 20, 240)), 128, 0.8))


def test_a_scaled_drawing_keeps_its_colour_at_the_edge() -> None:
    picture = paint(_disc(), Colour("white", (255, 255, 255)), 128, 0.5).astype(int)
    assert (picture[..., 0] >= 195).all(), "transparent black must not bleed into the rim"


def test_background_names_are_unique_and_white_comes_first() -> None:
    names = [colour.name for colour in BACKGROUNDS]
    assert names[0] == "white"
    assert len(names) == len(set(names))
