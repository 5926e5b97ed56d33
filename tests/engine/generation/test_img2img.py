"""img2img: sizes, steps, strengths, many pictures at once, and what the facts say."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modules.engine.generation.task import partial_steps
from tests.engine.generation.conftest import Studio, difference

IMG2IMG = {"kind": "img2img", "denoising_strength": 0.5}


@pytest.mark.parametrize(
    ("steps", "strength", "exact", "schedule", "made"),
    [
        (20, 0.75, False, 20, 16),
        (20, 0.5, False, 20, 11),
        (20, 0.0, False, 20, 1),
        (20, 1.0, False, 20, 20),
        (1, 1.0, False, 1, 1),
        (20, 0.5, True, 40, 20),
        (20, 1.0, True, 20, 20),
        (20, 0.0, True, 20, 1),
    ],
)
def test_the_strength_decides_the_steps_as_in_a1111(
    steps: int, strength: float, exact: bool, schedule: int, made: int
) -> None:
    assert partial_steps(steps, strength, exact=exact) == (schedule, made - 1)


def test_steps_are_counted_by_the_strength_or_exactly(studio: Studio, photo: Image.Image) -> None:
    job = {**IMG2IMG, "init_images": [photo], "steps": 6}
    shorter = studio.make(**job).steps
    assert [(step.step, step.steps) for step in shorter] == [(n, 4) for n in range(1, 5)]
    exact = studio.make(**job, options={"img2img_fix_steps": True}).steps
    assert len(exact) == 6


def test_a_stronger_pass_leaves_less_of_the_picture(studio: Studio, photo: Image.Image) -> None:
    def made(strength: float) -> np.ndarray:
        job = {"kind": "img2img", "init_images": [photo], "denoising_strength": strength}
        return studio.picture(**job).astype(float)

    kept, weak, strong = made(0.0), made(0.3), made(0.9)
    assert np.abs(weak - kept).mean() < np.abs(strong - kept).mean()


def test_a_picture_of_a_batch_equals_the_one_made_alone(studio: Studio, photo: Image.Image) -> None:
    job = {**IMG2IMG, "init_images": [photo], "sampler_name": "Euler a"}
    batch = studio.make(**job, batch_size=2, n_iter=2).pictures
    for place, picture in enumerate(batch):
        assert difference(picture, studio.picture(**job, seed=7 + place)) <= 1


def test_each_picture_of_a_batch_may_have_its_own_start(studio: Studio, photo: Image.Image) -> None:
    other = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    both = studio.make(**IMG2IMG, init_images=[photo, other], batch_size=2).pictures
    assert difference(both[0], studio.picture(**IMG2IMG, init_images=[photo])) <= 1
    assert difference(both[1], studio.picture(**IMG2IMG, init_images=[other], seed=8)) <= 1


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_every_resize_mode_gives_the_size_that_was_asked_for(
    studio: Studio, photo: Image.Image, mode: int
) -> None:
    wide = photo.resize((75, 41))
    made = studio.picture(**IMG2IMG, init_images=[wide], resize_mode=mode, width=64, height=48)
    assert made.shape == (48, 64, 3)


def test_resize_modes_differ_unless_there_is_nothing_to_resize(
    studio: Studio, photo: Image.Image
) -> None:
    job = {"kind": "img2img", "denoising_strength": 0.0}

    def made(picture: Image.Image) -> set[bytes]:
        modes = range(4)
        return {
            studio.picture(**job, init_images=[picture], resize_mode=m).tobytes() for m in modes
        }

    assert len(made(photo.resize((96, 48)))) == 4
    assert len(made(photo)) == 1


def test_transparent_parts_get_the_background_colour(studio: Studio, photo: Image.Image) -> None:
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize((64, 64)))
    job = {**IMG2IMG, "init_images": [clear]}
    white = studio.picture(**job)
    black = studio.picture(**job, options={"img2img_background_color": "#000000"})
    assert difference(white, black) > 2
    flat = Image.new("RGB", (64, 64), "white")
    flat.paste(clear, mask=clear.getchannel("A"))
    assert difference(white, studio.picture(**IMG2IMG, init_images=[flat])) == 0


def test_noise_multiplier_extra_noise_and_colour_correction_change_the_picture(
    studio: Studio, photo: Image.Image
) -> None:
    job = {**IMG2IMG, "init_images": [photo]}
    plain = studio.make(**job)
    assert plain.extra == {"Denoising strength": 0.5}
    less = studio.make(**job, initial_noise_multiplier=0.5)
    assert less.extra["Noise multiplier"] == 0.5
    more = studio.make(**job, options={"img2img_extra_noise": 0.2})
    assert more.extra["Extra noise"] == 0.2
    matched = studio.make(**job, options={"img2img_color_correction": True})
    for other in (less, more, matched):
        assert difference(plain.pictures[0], other.pictures[0]) > 3
    kept = {"img2img_color_correction": True, "save_images_before_color_correction": True}
    before = studio.make(**job, options=kept).role("before_color_correction")
    assert difference(before[0], plain.pictures[0]) == 0
    given = studio.make(**job, options={"initial_noise_multiplier": 0.5})
    assert difference(given.pictures[0], less.pictures[0]) == 0


@pytest.mark.parametrize(("size", "mode"), [((1, 1), 0), ((1, 1), 3), ((3, 200), 2), ((9, 65), 3)])
def test_odd_little_pictures_work(studio: Studio, size: tuple[int, int], mode: int) -> None:
    tiny = Image.new("RGB", size, "teal")
    made = studio.picture(**IMG2IMG, init_images=[tiny], steps=2, resize_mode=mode)
    assert made.shape == (64, 64, 3)


def test_what_cannot_be_done_is_one_sentence(studio: Studio, photo: Image.Image) -> None:
    assert "none was given" in studio.make(**IMG2IMG).failed.message
    gone = studio.make(**IMG2IMG, init_images=["input:" + "0" * 64]).failed
    assert gone.failure == "input"
    assert gone.message.startswith("init_images: ")
    three = studio.make(**IMG2IMG, init_images=[photo] * 3, batch_size=2).failed
    assert "3 pictures were given for a batch of 2" in three.message
    assert studio.make(**IMG2IMG, init_images=[photo]).done


def test_an_upscaler_of_the_settings_enlarges_small_pictures(
    studio: Studio, photo: Image.Image
) -> None:
    small = photo.resize((32, 32))
    job = {**IMG2IMG, "init_images": [small], "denoising_strength": 0.0}
    lanczos = studio.picture(**job)
    nearest = studio.picture(**job, options={"upscaler_for_img2img": "Nearest"})
    assert difference(lanczos, nearest) > 5
    enlarged = small.resize((64, 64), Image.Resampling.NEAREST)
    assert difference(nearest, studio.picture(**{**job, "init_images": [enlarged]})) <= 1


def test_an_interrupted_img2img_hands_over_what_there_is(
    studio: Studio, photo: Image.Image
) -> None:
    from modules.requests.events import Step

    def stop(event: object, control: object) -> None:
        if isinstance(event, Step) and event.step == 2:
            control.signal("interrupt")

    result = studio.make(kind="img2img", init_images=[photo], steps=8, n_iter=3, listen=stop)
    assert result.done.interrupted
    assert len(result.pictures) == 1
    assert result.facts["incomplete"] is True
