"""Inpainting: what is masked changes, what is not keeps its bytes, and the job counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from modules.imaging.masks import prepare_mask
from modules.imaging.overlay import overlay_mask
from tests.engine.generation.conftest import Result, Studio, difference
from tests.support.tiny_models import TinyShape, tiny_sd

CHANGED = "Pixels changed outside the mask"
INPAINT = {
    "kind": "img2img",
    "denoising_strength": 0.7,
    "inpainting_fill": 1,
    "inpaint_full_res": False,
}


def outside(mask: Image.Image, blur: float = 4, *, whole: bool = True) -> np.ndarray:
    """Where nothing may change: beyond the blurred mask."""
    blurred = prepare_mask(mask, mask.size, False, blur, blur)
    return np.asarray(overlay_mask(blurred) if whole else blurred) == 0


def check_kept(result: Result, photo: Image.Image, kept: np.ndarray) -> None:
    """Bytes outside are those of the picture, inside something happened, and it is told."""
    before, after = np.asarray(photo), result.pictures[0]
    assert kept.any()
    assert np.array_equal(before[kept], after[kept])
    assert np.abs(before[~kept].astype(int) - after[~kept]).max() > 20
    assert result.extra[CHANGED] == 0


@pytest.mark.parametrize(
    ("content", "sampler"), [(0, "Euler a"), (1, "DDIM"), (2, "DPM++ 2M SDE"), (3, "DDIM CFG++")]
)
def test_pixels_outside_the_mask_keep_their_bytes(
    studio: Studio, photo: Image.Image, hole: Image.Image, content: int, sampler: str
) -> None:
    job = {**INPAINT, "init_images": [photo], "mask": hole, "sampler_name": sampler}
    result = studio.make(**{**job, "inpainting_fill": content})
    check_kept(result, photo, outside(hole))
    names = {0: "fill", 2: "latent noise", 3: "latent nothing"}
    assert result.extra.get("Masked content") == names.get(content)


def test_masked_contents_give_different_pictures(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    job = {**INPAINT, "init_images": [photo], "mask": hole}
    made = [studio.picture(**{**job, "inpainting_fill": content}) for content in range(4)]
    assert len({picture.tobytes() for picture in made}) == 4


def test_not_masked_repaints_the_other_part(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    from PIL import ImageOps

    job = {**INPAINT, "init_images": [photo]}
    inverted = studio.make(**job, mask=hole, inpainting_mask_invert=1)
    assert inverted.extra["Mask mode"] == "Inpaint not masked"
    check_kept(inverted, photo, outside(ImageOps.invert(hole)))
    by_hand = studio.picture(**job, mask=ImageOps.invert(hole))
    assert difference(inverted.pictures[0], by_hand) == 0


def test_only_masked_renders_the_part_and_keeps_the_pictures_size(studio: Studio) -> None:
    large = Image.effect_noise((150, 110), 60).convert("RGB")
    mask = Image.new("L", large.size)
    ImageDraw.Draw(mask).ellipse((90, 20, 130, 60), fill=255)
    result = studio.make(
        **{**INPAINT, "inpaint_full_res": True},
        inpaint_full_res_padding=8,
        init_images=[large],
        mask=mask,
    )
    assert result.pictures[0].shape == (110, 150, 3)
    check_kept(result, large, outside(mask, whole=False))
    assert result.extra["Inpaint area"] == "Only masked"
    assert result.extra["Masked area padding"] == 8
    assert (result.facts["width"], result.facts["height"]) == (64, 64)


def test_a_blank_mask_stops_nothing(studio: Studio, photo: Image.Image) -> None:
    blank = Image.new("L", photo.size)
    job = {**INPAINT, "init_images": [photo], "mask": blank}
    whole = studio.make(**job)
    assert np.array_equal(whole.pictures[0], np.asarray(photo))
    assert "empty" in whole.warnings[0]
    part = studio.make(**{**job, "inpaint_full_res": True})
    assert "empty" in part.warnings[0]
    plain = studio.picture(kind="img2img", denoising_strength=0.7, init_images=[photo])
    assert difference(part.pictures[0], plain) == 0
    assert CHANGED not in part.extra


def test_masks_are_read_from_alpha_or_luminance_and_fitted_to_the_picture(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    job = {**INPAINT, "init_images": [photo]}
    usual = studio.picture(**job, mask=hole)
    clear = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), mask=hole)
    assert difference(usual, studio.picture(**job, mask=clear)) == 0
    assert difference(usual, studio.picture(**job, mask=hole.convert("RGB"))) == 0
    doubled = hole.resize((128, 128), Image.Resampling.NEAREST)
    assert difference(usual, studio.picture(**job, mask=doubled)) == 0


def test_a_batch_of_inpaintings_equals_single_ones(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    other = photo.rotate(180)
    job = {**INPAINT, "mask": hole, "inpainting_fill": 2}
    batch = studio.make(**job, init_images=[photo, other], batch_size=2, n_iter=2)
    for place, picture in enumerate(batch.pictures):
        start = (photo, other)[place % 2]
        alone = studio.picture(**job, init_images=[start], seed=7 + place)
        assert difference(picture, alone) <= 1


def test_without_the_overlay_the_changed_pixels_are_counted(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    result = studio.make(
        **INPAINT, init_images=[photo], mask=hole, options={"overlay_inpaint": False}
    )
    kept = outside(hole)
    differs = np.any(result.pictures[0] != np.asarray(photo), axis=-1)
    assert result.extra[CHANGED] == int((differs & kept).sum()) > 0


def test_masks_without_rounding_blend_softly(studio: Studio, photo: Image.Image) -> None:
    grey = Image.linear_gradient("L").resize(photo.size)
    job = {**INPAINT, "init_images": [photo], "mask": grey, "mask_blur": 0}
    hard, soft = studio.picture(**job), studio.picture(**job, mask_round=False)
    assert difference(hard, soft) > 5
    assert np.array_equal(hard[:24], np.asarray(photo)[:24])


def test_mask_and_composite_are_handed_over_when_wanted(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    options = {"return_mask": True, "save_mask_composite": True}
    job = {**INPAINT, "init_images": [photo], "mask": hole}
    result = studio.make(**job, options=options)
    (mask,), (composite,) = result.role("mask"), result.role("mask_composite")
    assert mask.shape == (64, 64, 3)
    assert mask[30, 30].tolist() == [255, 255, 255]
    assert mask[0, 0].tolist() == [0, 0, 0]
    assert composite.shape == (64, 64, 4)
    assert np.array_equal(composite[..., 3], mask[..., 0])
    assert np.array_equal(composite[30, 30, :3], result.pictures[0][30, 30])
    assert studio.make(**job).role("mask") == []
    assert len(result.pictures) == result.done.facts["pictures"] == 1


def soft_job(photo: Image.Image, mask: Image.Image, **settings: float) -> dict[str, Any]:
    return {**INPAINT, "init_images": [photo], "mask": mask, "soft_inpainting": settings}


def test_soft_inpainting_keeps_what_is_far_from_the_mask_and_names_its_settings(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    result = studio.make(**soft_job(photo, hole))
    check_kept(result, photo, outside(hole))
    hard = studio.picture(**INPAINT, init_images=[photo], mask=hole)
    assert difference(result.pictures[0], hard) > 3
    assert result.extra["Soft inpainting enabled"] is True
    assert result.extra["Soft inpainting difference contrast"] == 2.0
    part = {**soft_job(photo, hole), "inpaint_full_res": True, "inpaint_full_res_padding": 4}
    check_kept(studio.make(**part), photo, outside(hole, whole=False))


@pytest.mark.parametrize(
    "setting",
    [
        {"schedule_bias": 4.0},
        {"preservation_strength": 4.0},
        {"transition_contrast_boost": 1.0},
        {"mask_influence": 1.0},
        {"difference_threshold": 1.0},
        {"difference_contrast": 8.0},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_every_setting_of_soft_inpainting_has_an_effect(
    studio: Studio, photo: Image.Image, setting: dict[str, float]
) -> None:
    mask = Image.radial_gradient("L").resize(photo.size).point(lambda value: 255 - value)
    usual = {"difference_threshold": 3.0}
    job = {"denoising_strength": 0.4, "steps": 3}
    first = studio.picture(**{**soft_job(photo, mask, **usual), **job})
    second = studio.picture(**{**soft_job(photo, mask, **{**usual, **setting}), **job})
    assert difference(first, second) > 0


def test_matched_edges_bend_the_colours_and_touch_nothing_outside(
    studio: Studio, photo: Image.Image, hole: Image.Image
) -> None:
    job = {**INPAINT, "init_images": [photo], "mask": hole, "mask_blur": 0}
    plain = studio.picture(**job)
    matched = studio.make(**job, options={"inpaint_match_edges": True})
    assert difference(plain, matched.pictures[0]) > 0
    check_kept(matched, photo, outside(hole, 0))
    assert matched.extra["Match edges"] is True

    def jump(picture: np.ndarray) -> float:
        """Along the upper edge of the hole."""
        rows = picture[23:25, 16:48].astype(float)
        return float(np.abs(rows[0] - rows[1]).mean())

    assert jump(matched.pictures[0]) < jump(plain)


def test_an_inpainting_model_sees_the_picture_as_its_setting_says(
    studio: Studio, photo: Image.Image, hole: Image.Image, tmp_path: Path
) -> None:
    nine = tiny_sd(tmp_path, dtype="float32", seed=6, shape=TinyShape(unet_in_channels=9))
    job = {**INPAINT, "init_images": [photo], "mask": hole, "checkpoint": nine}
    hidden = studio.make(**job)
    assert hidden.extra["Conditional mask weight"] == 1.0
    check_kept(hidden, photo, outside(hole))
    seen = studio.make(**job, options={"inpainting_mask_weight": 0.0})
    assert difference(hidden.pictures[0], seen.pictures[0]) > 1
    unmasked = studio.make(kind="img2img", init_images=[photo], checkpoint=nine)
    assert unmasked.done
    from_noise = studio.make(checkpoint=nine)
    assert from_noise.done
    assert from_noise.extra == {"Conditional mask weight": 1.0}
