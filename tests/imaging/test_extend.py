"""Growing a picture: plans, edges, noise, seams, and where the subject is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from modules.imaging.extend import SIDES, Canvas, extend_edges, window_size
from modules.imaging.masks import Box
from modules.imaging.seams import Border, seam_score
from modules.imaging.spectrum import shaped_noise
from modules.imaging.subject import cut_sides
from tests.imaging.pictures import noisy, smooth

pixels = st.integers(0, 260)
grown = st.builds(
    lambda size, amounts: Canvas.grown(size, dict(zip(SIDES, amounts, strict=True))),
    st.tuples(st.integers(4, 300), st.integers(4, 300)),
    st.tuples(pixels, pixels, pixels, pixels),
)
processing = st.sampled_from([(128, 128), (64, 64), (128, 64), (64, 192)])


def marked(canvas: Canvas, box: Box, value: int, marks: np.ndarray) -> None:
    assert 0 <= box.left < box.right <= canvas.size[0]
    assert 0 <= box.top < box.bottom <= canvas.size[1]
    marks[box.top : box.bottom, box.left : box.right] += value


@settings(max_examples=60, deadline=None)
@given(grown, processing)
def test_stretches_paint_every_new_pixel_once_and_see_what_exists(canvas, size):
    marks = np.zeros(canvas.size[::-1], int)
    marked(canvas, canvas.original, 1, marks)
    for stretch in canvas.stretches(size):
        for window in stretch.windows:
            box, paint = window.box, window.paint
            assert box.width <= size[0] and box.height <= size[1]
            assert box.left <= paint.left and paint.right <= box.right
            assert box.top <= paint.top and paint.bottom <= box.bottom
            seen = marks[box.top : box.bottom, box.left : box.right]
            assert seen.mean() >= 0.3, "a window must see what it goes on from"
            marked(canvas, paint, 1, marks)
    assert (marks == 1).all()


@settings(max_examples=80, deadline=None)
@given(grown, processing)
def test_tiles_cover_everything_new(canvas, size):
    marks = np.zeros(canvas.size[::-1], int)
    marked(canvas, canvas.original, 1, marks)
    for window in canvas.tiles(size):
        assert window.box.width <= size[0] and window.box.height <= size[1]
        assert window.box.union(window.paint) == window.box
        marked(canvas, window.paint, 2, marks)
    assert set(np.unique(marks)) <= {1, 2, 3}


def test_sides_grow_in_order_and_in_equal_shares():
    canvas = Canvas.grown((128, 128), {"up": 32, "left": 100, "down": 0})
    stretches = canvas.stretches((128, 128))
    assert [stretch.side for stretch in stretches] == ["left", "left", "up"]
    assert [stretch.paint.width for stretch in stretches] == [50, 50, 228]
    assert canvas.size == (228, 160) and canvas.original == Box(100, 32, 228, 160)


def test_a_window_is_the_processing_size_unless_the_canvas_is_smaller():
    assert window_size((1000, 900), (512, 512)) == (512, 512)
    assert window_size((640, 256), (512, 512)) == (256, 256)
    assert window_size((100, 1000), (512, 256)) == (100, 50)


def test_edges_are_extended_from_the_nearest_known_pixels():
    picture = np.asarray(smooth(60, 60)).copy()
    known = np.zeros((60, 60), bool)
    known[20:60, 15:60] = True
    extended = extend_edges(picture, known)
    assert (extended[known] == picture[known]).all()
    beside = extended[40:58, 14].astype(int) - picture[40:58, 15]
    assert np.abs(beside).max() <= 12
    assert np.abs(extended[0, 0].astype(int) - picture[20, 15]).max() <= 40


def test_noise_has_the_picture_s_colours_and_its_seed_s_pixels():
    picture = smooth(64, 48)
    noise = shaped_noise(picture, (100, 40), seed=5)
    assert noise.size == (100, 40)
    for channel in range(3):
        wanted, given_ = (np.asarray(p.getchannel(channel)).ravel() for p in (picture, noise))
        for quantile in (0.1, 0.5, 0.9):
            assert abs(np.quantile(wanted, quantile) - np.quantile(given_, quantile)) <= 3
    assert shaped_noise(picture, (100, 40), seed=5).tobytes() == noise.tobytes()
    assert shaped_noise(picture, (100, 40), seed=6).tobytes() != noise.tobytes()


def roughness(image: Image.Image) -> float:
    values = np.asarray(image.convert("L")).astype(float)
    return float(np.abs(np.diff(values, axis=1)).mean() / values.std())


def test_the_fall_off_leads_from_white_noise_to_the_picture_s_smoothness():
    picture = smooth(128, 128)
    white, shaped, softer = (
        roughness(shaped_noise(picture, (128, 128), 1, fall_off=power)) for power in (0, 1, 2)
    )
    assert white > 0.8 > 0.4 > shaped > softer


def test_stripes_give_noise_with_stripes():
    stripes = Image.fromarray(np.tile(np.arange(128) % 8 * 36, (128, 1)).astype(np.uint8))
    noise = np.asarray(shaped_noise(stripes.convert("RGB"), (128, 128), 3).convert("L"))
    power = np.abs(np.fft.fft2(noise - noise.mean())) ** 2
    assert power[0, 16] + power[0, -16] > 0.2 * power.sum()


def test_colour_variation_makes_the_channels_independent():
    picture = noisy(64, 64)

    def likeness(variation):
        noise = np.asarray(shaped_noise(picture, (64, 64), 1, 0, variation)).reshape(-1, 3)
        return np.corrcoef(noise.T)[0, 1]

    assert likeness(0) > 0.98
    assert abs(likeness(1)) < 0.1


MIDDLE = Border(vertical=True, place=64, start=0, end=128)


@pytest.mark.parametrize("make", [noisy, smooth])
@pytest.mark.parametrize("vertical", [True, False])
def test_no_seam_scores_about_one(make, vertical):
    score = seam_score(make(128, 128), Border(vertical, 64, 0, 128))
    assert 0.7 < score < 1.5


@pytest.mark.parametrize(("make", "step"), [(noisy, 48), (smooth, 8)])
def test_a_step_across_the_border_is_seen_there_alone(make, step):
    values = np.asarray(make(128, 128)).astype(int) * 3 // 4
    values[:, 64:] += step
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    assert seam_score(picture, MIDDLE) > 2
    assert seam_score(picture, Border(True, 40, 0, 128)) < 1.5
    turned = picture.transpose(Image.Transpose.TRANSPOSE)
    assert seam_score(turned, Border(False, 64, 0, 128)) > 2


def test_a_border_at_the_very_edge_has_no_seam():
    for place in (0, 128):
        assert seam_score(smooth(128, 128), Border(True, place, 0, 128)) == 1
    assert seam_score(Image.new("RGB", (2, 2)), Border(True, 1, 0, 2)) == 1
    assert seam_score(Image.new("RGB", (64, 64)), Border(True, 32, 0, 64)) == 1


def portrait(*boxes: tuple[int, int, int, int]) -> Image.Image:
    image = smooth(200, 200, seed=9).point(lambda value: 150 + value // 8)
    draw = ImageDraw.Draw(image)
    for box in boxes:
        draw.ellipse(box, fill=(150, 40, 40))
    return image


@pytest.mark.parametrize(
    ("box", "sides"),
    [
        ((50, 50, 150, 150), []),
        ((50, -40, 150, 140), ["up"]),
        ((50, 60, 150, 240), ["down"]),
        ((-40, 50, 140, 150), ["left"]),
        ((60, 50, 250, 150), ["right"]),
    ],
)
def test_the_side_that_cuts_the_subject_is_found(box, sides):
    assert cut_sides(portrait(box)) == sides


def test_a_subject_cut_at_two_sides_names_both():
    assert set(cut_sides(portrait((60, -60, 140, 260)))) == {"up", "down"}


def test_a_picture_without_a_subject_cuts_nothing():
    assert cut_sides(Image.new("RGB", (300, 100), "#336699")) == []
    assert cut_sides(Image.new("RGB", (1, 1))) == []
