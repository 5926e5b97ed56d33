"""Outpainting's geometry and promises, with a painter whose every pixel is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.engine.generation.control import StopSampling
from modules.engine.generation.outpaint import count_windows, outpaint
from modules.imaging.extend import extend_edges
from modules.imaging.overlay import paste_back
from modules.requests.errors import RequestError
from modules.requests.generation import Outpaint

REQUEST = {
    "width": 64,
    "height": 64,
    "denoising_strength": 0.8,
    "prompt": "a field",
    "negative_prompt": "a fence",
}


def picture(width: int = 64, height: int = 64, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(40, 216, (4, 4, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


class PlainPainter:
    """Goes on with the colours around, all a little too bright, as a VAE's shift would be."""

    def __init__(self, shift: int = 12, stop_at: int | None = None) -> None:
        self.calls: list[dict] = []
        self.shift = shift
        self.stop_at = stop_at
        self.bad_seeds: set[int] = set()

    def repaint(self, image, mask, **how):
        if len(self.calls) == self.stop_at:
            raise StopSampling
        self.calls.append({**how, "image": image.copy(), "mask": mask})
        assert image.size == mask.size == (how["width"], how["height"])
        assert mask.getbbox() is not None
        painted = extend_edges(np.asarray(image), np.asarray(mask) == 0).astype(int) + self.shift
        if how["seed"] in self.bad_seeds:
            painted = painted * 0 + 255 * (np.indices(painted.shape[:2]).sum(0) % 2)[..., None]
        result = Image.fromarray(painted.clip(0, 255).astype(np.uint8))
        return paste_back(image, result, mask)


def grow(image=None, painter=None, seed=5, request=REQUEST, **spec):
    painter = painter or PlainPainter()
    notes = []
    result = outpaint(image or picture(), Outpaint(**spec), painter, request, seed, notes.append)
    return result, painter, notes


@pytest.mark.parametrize("method", ["noise", "tiled", "edge"])
def test_the_picture_grows_by_the_pixels_of_each_side_and_stays_in_it(method):
    image = picture(70, 50)
    result, painter, _ = grow(image, method=method, left=16, right=40, up=8, down=24)
    assert result.image.size == (126, 82)
    assert result.original == (16, 8, 86, 58)
    assert result.image.crop(result.original).tobytes() == image.tobytes()
    assert result.changed == result.facts["Pixels changed outside the mask"] == 0
    assert set(result.seam_scores) == {"left", "right", "up", "down"}
    assert len(painter.calls) >= 4
    assert all(call["prompt"] == "a field" for call in painter.calls)
    assert all(call["negative_prompt"] == "a fence" for call in painter.calls)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["noise", "tiled", "edge"]),
    st.tuples(st.integers(16, 80), st.integers(16, 80)),
    st.tuples(*[st.integers(0, 40)] * 4),
    st.integers(0, 12),
)
def test_the_original_s_bytes_survive_every_geometry(method, size, amounts, blur):
    left, right, up, down = amounts
    if not any(amounts):
        right = 8
    image = picture(*size, seed=left)
    result, painter, _ = grow(
        image, method=method, left=left, right=right, up=up, down=down, mask_blur=blur
    )
    assert result.image.size == (size[0] + left + right, size[1] + up + down)
    assert result.image.crop(result.original).tobytes() == image.tobytes()
    spec = Outpaint(method=method, left=left, right=right, up=up, down=down)
    assert len(painter.calls) <= count_windows(image, spec, (64, 64))


def test_sides_come_in_the_order_of_outpainting_mk2_with_a_seed_each():
    _, painter, _ = grow(left=16, right=16, up=16, down=16)
    assert [call["label"] for call in painter.calls] == [
        "Outpaint left",
        "Outpaint right",
        *(f"Outpaint {side} {number}/2" for side in ("up", "down") for number in (1, 2)),
    ]
    assert [call["seed"] for call in painter.calls] == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(("method", "fill"), [("noise", 1), ("edge", 1), ("tiled", 0)])
def test_the_method_decides_what_the_new_part_begins_with(method, fill):
    _, painter, _ = grow(method=method, right=24)
    (call,) = painter.calls
    assert (call["fill"], call["full_res"], call["strength"]) == (fill, False, 0.8)


def test_a_window_sees_the_picture_at_its_own_scale():
    image = picture(64, 64)
    _, painter, _ = grow(image, right=24, mask_blur=4)
    (call,) = painter.calls
    seen = np.asarray(call["image"])[:, :40]
    assert (seen == np.asarray(image)[:, 24:]).all()
    mask = np.asarray(call["mask"])
    assert (mask[:, 40:] == 255).all()
    assert (mask[:, 28:40] == 255).all() and (mask[:, :26] == 0).all()


def test_a_picture_smaller_than_a_window_is_enlarged_for_it():
    _, painter, _ = grow(picture(64, 20), right=8)
    assert {call["image"].size for call in painter.calls} == {(64, 64)}


def test_a_picture_larger_than_a_window_takes_several():
    image = picture(64, 300)
    result, painter, _ = grow(image, right=24)
    assert [call["label"] for call in painter.calls][:2] == [
        "Outpaint right 1/6",
        "Outpaint right 2/6",
    ]
    assert result.image.crop(result.original).tobytes() == image.tobytes()
    assert result.seam_scores["right"] < 3


@pytest.mark.parametrize("method", ["noise", "edge", "tiled"])
def test_feathering_bends_a_colour_shift_away_at_the_seam(method):
    stripes = picture(1, 64).resize((64, 64))
    feathered, _, _ = grow(stripes, method=method, right=30, mask_blur=8)
    hard, _, _ = grow(stripes, method=method, right=30, mask_blur=0)
    assert hard.seam_scores["right"] > 4
    assert feathered.seam_scores["right"] < 1.5


def test_growing_twice_keeps_the_first_picture():
    image = picture()
    first, _, _ = grow(image, left=20, up=12)
    second, _, _ = grow(first.image, right=20, left=8)
    x, y = first.original.left + second.original.left, first.original.top
    assert second.image.crop((x, y, x + 64, y + 64)).tobytes() == image.tobytes()


def test_the_worst_side_is_tried_again_and_the_better_outcome_stays():
    painter = PlainPainter(shift=0)
    painter.bad_seeds = {5}
    bad, _, _ = grow(painter=painter, right=24, mask_blur=0)
    painter = PlainPainter(shift=0)
    painter.bad_seeds = {5}
    good, _, _ = grow(painter=painter, right=24, mask_blur=0, retries=3)
    assert good.seam_scores["right"] < bad.seam_scores["right"]
    assert 2 <= len(painter.calls) <= 4
    painter = PlainPainter(shift=0)
    painter.bad_seeds = set(range(5, 50))
    same, _, _ = grow(painter=painter, right=24, mask_blur=0, retries=2)
    assert same.seam_scores["right"] <= bad.seam_scores["right"]
    assert len(painter.calls) == 3


def test_a_good_seam_is_not_tried_again():
    flat = Image.new("RGB", (64, 64), "#446688")
    result, painter, _ = grow(flat, painter=PlainPainter(shift=0), method="edge", up=16, retries=8)
    assert len(painter.calls) == 1
    assert result.seam_scores["up"] <= 1.15


def test_tiles_come_in_an_order_in_which_each_sees_something_settled():
    _, painter, _ = grow(picture(40, 40), method="tiled", right=150, down=150)
    assert len(painter.calls) > 4
    assert all(np.asarray(call["mask"]).min() == 0 for call in painter.calls)
    assert (np.asarray(painter.calls[0]["image"])[:40, :40] == np.asarray(picture(40, 40))).all()


def test_uncrop_grows_where_the_subject_is_cut_and_says_so():
    image = Image.new("RGB", (96, 96), "#d0d8d0")
    image.paste("#802020", (30, 0, 66, 60))
    result, _, notes = grow(image, uncrop=True, uncrop_pixels=16)
    assert result.image.size == (96, 112) and result.original.top == 16
    assert notes == ["Uncrop: up 16 pixels."]
    plain, _, _ = grow(Image.new("RGB", (64, 64)), uncrop=True, uncrop_pixels=24)
    assert plain.image.size == (64, 88)


def test_a_growth_of_nothing_or_of_too_much_is_refused():
    with pytest.raises(RequestError, match="no side grows"):
        grow()
    with pytest.raises(RequestError, match="16384"):
        grow(Image.new("RGB", (16000, 16)), left=4096)
    with pytest.raises(RequestError, match="300x2"):
        grow(Image.new("RGB", (300, 2)), left=16)


def test_an_interrupt_keeps_the_sides_that_are_finished():
    with pytest.raises(StopSampling):
        grow(painter=PlainPainter(stop_at=0), left=16, up=16)
    image = picture()
    result, _, _ = grow(image, painter=PlainPainter(stop_at=1), left=16, up=16)
    assert not result.complete
    assert result.image.size == (80, 64)
    assert list(result.seam_scores) == ["left"]
    assert result.image.crop(result.original).tobytes() == image.tobytes()


def test_the_infotext_tells_how_it_was_made():
    result, _, _ = grow(left=16, up=8, retries=1)
    facts = result.facts
    assert facts["Outpaint"] == "noise"
    assert (facts["Outpaint left"], facts["Outpaint up"]) == (16, 8)
    assert "Outpaint right" not in facts
    assert (facts["Outpaint mask blur"], facts["Outpaint fall-off"]) == (8, 1.0)
    assert facts["Outpaint seam score"].startswith("left ")
    edge, _, _ = grow(method="edge", left=16)
    assert "Outpaint fall-off" not in edge.facts


def test_the_same_seed_gives_the_same_picture():
    one, two = (grow(left=24, seed=9)[0].image for _ in range(2))
    assert one.tobytes() == two.tobytes()
