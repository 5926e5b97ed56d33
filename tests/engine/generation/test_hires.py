"""Hires fix: sizes, upscalers, the second pass's own settings, and one pass alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.engine.generation.hires_spec import old_first_size, sizes
from modules.requests.events import ModelReady, Step
from modules.requests.generation import GenerationRequest
from modules.requests.latent_upscaling import LATENT_UPSCALINGS
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_models import tiny_sd

STARTER = Path(__file__).parents[3] / "models" / "Stable-diffusion" / "easel-starter"
HIRES = {"enable_hr": True, "denoising_strength": 0.6, "hr_scale": 1.5}


@pytest.mark.parametrize(
    ("fields", "first", "result"),
    [
        ({"hr_scale": 2.0}, (512, 512), (1024, 1024)),
        ({"hr_scale": 1.3}, (512, 512), (664, 664)),
        ({"hr_resize_x": 768}, (512, 512), (768, 768)),
        ({"hr_resize_y": 1000}, (512, 640), (800, 1000)),
        ({"hr_resize_x": 1024, "hr_resize_y": 512}, (512, 512), (1024, 512)),
    ],
)
def test_sizes_are_a1111s(
    fields: dict[str, float], first: tuple[int, int], result: tuple[int, int]
) -> None:
    form = GenerationRequest(enable_hr=True, width=first[0], height=first[1], **fields)
    before, after = sizes(form, first)
    assert before == first
    assert (after.width, after.height) == result


def test_the_old_behaviour_makes_the_first_pass_about_512_squared() -> None:
    assert old_first_size(1024, 1024) == (512, 512)
    assert old_first_size(1920, 1080) == (704, 384)
    form = GenerationRequest(enable_hr=True, width=1024, height=768)
    before, after = sizes(form, (1024, 768), old_behaviour=True)
    assert before == old_first_size(1024, 768)
    assert (after.width, after.height) == (1024, 768)


def test_an_image_upscaler_is_the_first_pass_enlarged_and_worked_over(studio: Studio) -> None:
    first = Image.fromarray(studio.picture())
    fixed = studio.make(**HIRES, hr_upscaler="Lanczos", options={"img2img_extra_noise": 0.1})
    by_hand = studio.picture(
        kind="img2img",
        init_images=[first.resize((96, 96), Image.Resampling.LANCZOS)],
        width=96,
        height=96,
        denoising_strength=0.6,
        options={"img2img_fix_steps": True, "img2img_extra_noise": 0.1},
    )
    assert fixed.pictures[0].shape == (96, 96, 3)
    assert difference(fixed.pictures[0], by_hand) <= 1
    assert fixed.extra == {
        "Denoising strength": 0.6,
        "Hires upscale": 1.5,
        "Hires upscaler": "Lanczos",
        "Extra noise": 0.1,
    }
    assert (fixed.facts["width"], fixed.facts["height"]) == (64, 64)


def test_the_six_latent_upscalers_give_six_pictures(studio: Studio) -> None:
    made = {
        way.name: studio.picture(**{**HIRES, "hr_scale": 1.625}, hr_upscaler=way.name, steps=3)
        for way in LATENT_UPSCALINGS
    }
    assert len(made) == 6
    # When enlarging, bilinear with and without antialiasing differ by rounding at most.
    plain = [picture for name, picture in made.items() if name != "Latent (antialiased)"]
    assert len({picture.tobytes() for picture in plain}) == 5
    assert difference(made["Latent"], made["Latent (antialiased)"]) <= 1
    assert all(picture.shape == (104, 104, 3) for picture in made.values())
    unnamed = studio.picture(**{**HIRES, "hr_scale": 1.625}, steps=3)
    assert difference(unnamed, made["Latent"]) == 0


def test_both_sides_given_cuts_the_middle_out(studio: Studio) -> None:
    """With the real model: the VAE's way there and back nearly keeps a picture."""
    real = {"checkpoint": STARTER, "steps": 2, "hr_upscaler": "None"}
    result = studio.make(
        **{**HIRES, "denoising_strength": 0.0}, hr_resize_x=128, hr_resize_y=64, **real
    )
    assert result.pictures[0].shape == (64, 128, 3)
    assert result.extra["Hires resize"] == "128x64"
    first = Image.fromarray(studio.picture(checkpoint=STARTER, steps=2))
    large = np.asarray(first.resize((128, 128), Image.Resampling.LANCZOS)).astype(int)
    shifts = {top: np.abs(large[top : top + 64] - result.pictures[0]).mean() for top in (0, 32, 64)}
    assert min(shifts, key=shifts.get) == 32


def test_steps_count_on_through_both_passes(studio: Studio) -> None:
    steps = studio.make(**HIRES, hr_second_pass_steps=3).steps
    assert [(step.step, step.steps) for step in steps] == [(n, 7) for n in range(1, 8)]
    assert studio.make(**HIRES, hr_second_pass_steps=3).extra["Hires steps"] == 3
    assert len(studio.make(**HIRES).steps) == 8
    nothing = {**HIRES, "denoising_strength": 0.0}
    assert [(step.step, step.steps) for step in studio.make(**nothing).steps][-1] == (4, 4)


def test_the_second_pass_may_have_its_own_sampler_prompt_and_negative(studio: Studio) -> None:
    usual = studio.make(**HIRES)
    own = studio.make(
        **HIRES,
        hr_sampler_name="DPM++ 2M",
        hr_prompt="a green pear",
        hr_negative_prompt="sharp",
    )
    assert difference(usual.pictures[0], own.pictures[0]) > 1
    assert own.extra["Hires sampler"] == "DPM++ 2M"
    assert own.extra["Hires schedule type"] == "Karras"
    assert own.extra["Hires prompt"] == "a green pear"
    assert own.extra["Hires negative prompt"] == "sharp"
    assert own.facts["prompt"] == "a red apple"
    assert not any(key.startswith("Hires prompt") for key in usual.extra)
    settled = studio.make(
        **HIRES,
        hr_prompt="__fruit__",
        resources={
            "hires_prompts": ["a green pear"],
            "hires_negative_prompts": ["sharp"],
        },
        hr_sampler_name="DPM++ 2M",
    )
    assert difference(settled.pictures[0], own.pictures[0]) == 0


def test_the_second_pass_may_have_its_own_guidance(studio: Studio) -> None:
    job = {**HIRES, "hr_upscaler": "Latent (nearest)"}
    plain, own = studio.make(**job), studio.make(**job, hr_cfg=15)
    assert "Hires CFG Scale" not in plain.extra
    assert own.extra["Hires CFG Scale"] == 15
    assert difference(plain.pictures[0], own.pictures[0]) > 0
    # What only FLUX.1 is told does not count here, and is not told.
    same = studio.make(**job, hr_cfg=5.0, hr_distilled_cfg=2.0)
    assert "Hires Distilled CFG Scale" not in same.extra
    same = same.pictures[0]  # at the first pass's scale
    assert difference(plain.pictures[0], same) == 0
    assert difference(plain.pictures[0], studio.make(**job, hr_cfg=0).pictures[0]) == 0


def test_prompt_editing_goes_on_into_the_second_pass(studio: Studio) -> None:
    def made(prompt: str) -> np.ndarray:
        return studio.picture(**HIRES, prompt=prompt, cfg_scale=25)

    assert difference(made("cat"), made("[cat:dog:1.5]")) > 0
    first = studio.picture(prompt="cat", cfg_scale=25)
    assert difference(first, studio.picture(prompt="[cat:dog:1.0]", cfg_scale=25)) == 0


def test_the_second_pass_may_have_its_own_checkpoint(studio: Studio, tmp_path: Path) -> None:
    other = tiny_sd(tmp_path, dtype="float32", seed=21, name="other")
    resources = {"hires_checkpoint": str(other)}
    usual = studio.make(**HIRES)
    own = studio.make(**HIRES, resources=resources, n_iter=2, hr_checkpoint_name="other")
    assert difference(usual.pictures[0], own.pictures[0]) > 1
    assert own.extra["Hires checkpoint"].startswith("other [")
    assert own.facts["model_name"] == "tiny"
    # Back and forth for every batch, and nothing of it stays.
    assert [event.name for event in own.of(ModelReady)] == ["other", "tiny", "other"]
    alone = studio.picture(**HIRES, resources=resources, seed=8)
    assert difference(own.pictures[1], alone) <= 1
    assert difference(studio.picture(**HIRES), usual.pictures[0]) == 0


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_a_given_picture_stands_for_the_first_pass(
    studio: Studio, photo: Image.Image, upscaler: str
) -> None:
    job = {**HIRES, "hr_upscaler": upscaler}
    first = Image.fromarray(studio.picture())
    only_second = studio.make(**job, firstpass_image=first)
    assert [(step.step, step.steps) for step in only_second.steps] == [(n, 4) for n in range(1, 5)]
    assert only_second.pictures[0].shape == (96, 96, 3)
    if upscaler == "Lanczos":  # latents do not survive the way through a picture unchanged
        assert difference(only_second.pictures[0], studio.picture(**job)) <= 1
    assert difference(studio.picture(**job, firstpass_image=photo), only_second.pictures[0]) > 1
    assert only_second.facts["seed"] == 7


def test_first_passes_are_handed_over_when_they_are_to_be_kept(studio: Studio) -> None:
    first = studio.make(batch_size=2).pictures
    for upscaler in ("Latent", "Lanczos"):
        result = studio.make(
            **HIRES,
            hr_upscaler=upscaler,
            batch_size=2,
            options={"save_images_before_highres_fix": True},
        )
        before = result.role("before_highres_fix")
        assert [difference(a, b) for a, b in zip(first, before, strict=True)] == [0, 0]
        assert len(result.pictures) == result.done.facts["pictures"] == 2
    assert studio.make(**HIRES).role("before_highres_fix") == []


@pytest.mark.parametrize("step", [2, 6])
def test_an_interrupt_hands_over_what_there_is_of_either_pass(studio: Studio, step: int) -> None:
    def stop(event: object, control: object) -> None:
        if isinstance(event, Step) and event.step == step:
            control.signal("interrupt")

    result = studio.make(**HIRES, listen=stop)
    assert result.done.interrupted
    assert result.pictures[0].shape == ((64, 64, 3) if step == 2 else (96, 96, 3))
    assert result.facts["incomplete"] is True


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_a_batch_equals_single_pictures(studio: Studio, upscaler: str) -> None:
    job = {**HIRES, "hr_upscaler": upscaler, "steps": 3}
    batch = studio.make(**job, batch_size=2).pictures
    assert difference(batch[1], studio.picture(**job, seed=8)) <= 1


def test_what_cannot_be_done_is_one_sentence(studio: Studio) -> None:
    unknown = studio.make(**HIRES, hr_upscaler="Telescope").failed
    assert unknown.failure == "input"
    assert "'Telescope' is not known" in unknown.message
    huge = studio.make(**{**HIRES, "hr_scale": 16.0}, width=2048).failed
    assert huge.message.startswith("hr_scale: ")
