"""Richer scenes of the starter model's training data: hues, pairs, counts and places."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tools.starter.compositor import Compositor
from tools.starter.concepts import Concept
from tools.starter.config import Config
from tools.starter.evaluate import scene_of
from tools.starter.hues import HUES, own_hue, recolour
from tools.starter.layouts import Director, Layout, Placed

CONFIG = Config(picture_size=64)
CONCEPTS = [
    Concept("apple", ("red apple", "apple"), "", 4, common=True, drawn=True),
    Concept("dog", ("dog", "hound"), "", 3, drawn=True),
    Concept("grapes", ("~grapes",), "", 4, drawn=True),
    Concept("later", ("later thing",), "", 4),
]


def disc(colour: tuple[int, int, int], size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    drawing = np.zeros((size, size, 4), np.uint8)
    drawing[x * x + y * y < (0.45 * size) ** 2] = (*colour, 255)
    return drawing


DRAWINGS = np.stack(
    [disc((210, 40, 30)), disc((140, 150, 155)), disc((120, 60, 180)), disc((0,) * 3)]
)


@pytest.fixture
def director() -> Director:
    return Director(CONFIG, CONCEPTS, DRAWINGS, 3)


@pytest.mark.parametrize("hue", HUES, ids=lambda hue: hue.name)
@pytest.mark.parametrize("row", range(3))
def test_a_drawing_gets_the_colour_that_its_caption_names(hue, row) -> None:
    changed = recolour(DRAWINGS[row], hue)
    assert np.array_equal(changed[..., 3], DRAWINGS[row][..., 3])
    red, green, blue = (changed[32, 32, :3] / 255).tolist()
    brightest, darkest = max(red, green, blue), min(red, green, blue)
    assert abs(brightest - hue.value) < 0.12
    if hue.saturation > 0.2:
        assert abs((brightest - darkest) / brightest - hue.saturation) < 0.12


def test_only_a_drawing_of_one_clear_colour_is_called_by_it() -> None:
    assert own_hue(DRAWINGS[0]) == "red"
    assert own_hue(DRAWINGS[1]) is None


def test_outlines_and_other_colours_of_a_drawing_stay() -> None:
    drawing = disc((210, 40, 30))
    drawing[:, :20] = (20, 20, 20, 255)
    drawing[:, 50:] = (40, 180, 60, 255)
    changed = recolour(drawing, next(hue for hue in HUES if hue.name == "blue"))
    assert np.array_equal(changed[:, :20], drawing[:, :20])
    assert np.abs(changed[:, 50:].astype(int) - drawing[:, 50:]).max() <= 6


def test_layouts_are_of_every_kind_and_the_same_for_the_same_seed(director) -> None:
    layouts = [director.layout() for _ in range(300)]
    again = Director(CONFIG, CONCEPTS, DRAWINGS, 3)
    assert layouts == [again.layout() for _ in range(300)]
    assert Counter(layout.kind for layout in layouts).keys() == {"hue", "pair", "count", "place"}


def test_captions_tell_what_the_scene_shows(director) -> None:
    for layout in (director.layout() for _ in range(400)):
        text = layout.caption
        assert "~" not in text
        assert 3 not in {placed.concept for placed in layout.objects}
        ground = CONFIG.backgrounds[layout.background].name
        assert ground == "white" or f"{ground} background" in text
        if layout.kind == "pair":
            assert len({placed.concept for placed in layout.objects}) == 2
        if layout.kind == "count":
            word = {2: ("two", "2", "pair"), 3: ("three", "3"), 4: ("four", "4")}
            assert any(number in text for number in word[len(layout.objects)])
        if layout.kind == "hue" and layout.objects[0].hue:
            assert layout.objects[0].hue in text
            assert "red apple" not in text or layout.objects[0].hue == "red"


def test_the_compositor_paints_what_the_director_paints(director) -> None:
    layouts = [director.layout() for _ in range(40)]
    layouts.append(Layout("plain", 3, (Placed(1, 0.07, 0.07, 0.86),), ""))
    compositor = Compositor(CONFIG, DRAWINGS, [0, 1, 2])
    made = ((compositor.paint(layouts) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    for layout, picture in zip(layouts, made, strict=True):
        wanted = director.paint(layout).astype(float)
        assert np.abs(picture - wanted).mean() < 3, layout
        assert np.abs(picture - wanted).max(axis=-1).mean() < 5, layout


def test_flipped_objects_are_mirrored_on_both_paths(director) -> None:
    half = disc((210, 40, 30))
    half[:, :32] = (30, 40, 210, 255)
    drawings = np.stack([half, half, half])
    layout = Layout("plain", 0, (Placed(0, 0.0, 0.0, 1.0, flipped=True),), "")
    picture = Director(CONFIG, CONCEPTS[:3], drawings, 1).paint(layout)
    assert picture[32, 20, 0] > 150 > picture[32, 44, 0]
    made = (Compositor(CONFIG, drawings, [0]).paint([layout])[0] + 1) * 127.5
    assert made[0, 32, 20] > 150 > made[0, 32, 44]


@pytest.mark.parametrize(
    ("prompt", "things", "objects", "ground", "hue"),
    [
        ("a dog", [1], 1, "white", None),
        ("a red apple on a blue background", [0], 1, "blue", "red"),
        ("a snowman, light blue background", [1], 1, "light blue", None),
        ("a purple dog", [1], 1, "white", "purple"),
        ("a dog and an apple", [1, 0], 2, "white", None),
        ("three apples", [0], 3, "white", None),
    ],
)
def test_the_scene_of_a_prompt_is_the_one_it_asks_for(prompt, things, objects, ground, hue) -> None:
    scene = scene_of(prompt, things, CONFIG)
    assert len(scene.objects) == objects
    assert CONFIG.backgrounds[scene.background].name == ground
    assert scene.objects[0].hue == hue
