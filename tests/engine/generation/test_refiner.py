"""The refiner: another checkpoint takes over on the way, and nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from modules.engine.generation.relay import RefinerSpec, Relay
from modules.engine.sampling import ModelSampling
from tests.engine.generation.conftest import Result, Studio, difference
from tests.support.tiny_models import TinyShape, tiny_sd


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd(tmp_path_factory.mktemp("refiner"), dtype="float32", seed=33, name="refiner")


def refined(
    studio: Studio, refiner: Path, switch_at: float | None = 0.5, **fields: object
) -> Result:
    return studio.make(
        refiner_checkpoint="refiner",
        refiner_switch_at=switch_at,
        resources={"refiner": str(refiner)},
        **fields,
    )


def test_the_switch_is_measured_in_timesteps_of_the_model() -> None:
    sampling = ModelSampling.from_scheduler_config({"beta_schedule": "scaled_linear"})
    relay = Relay(RefinerSpec(0.8, by_steps=False), sampling.sigmas, lambda: None)
    assert not relay.due(float(sampling.sigmas[200]), 0, 10)
    assert relay.due(float(sampling.sigmas[199]), 0, 10)
    by_steps = Relay(RefinerSpec(0.8, by_steps=True), sampling.sigmas, lambda: None)
    assert not by_steps.due(0.1, 7, 10)
    assert by_steps.due(10.0, 8, 10)


def test_at_the_ends_one_of_the_two_makes_the_whole_picture(studio: Studio, refiner: Path) -> None:
    base = studio.picture()
    alone = studio.picture(checkpoint=refiner)
    first = refined(studio, refiner, 0.0)
    assert difference(first.pictures[0], alone) == 0
    assert first.facts["model_name"] == "tiny"
    never = refined(studio, refiner, 1.0)
    assert difference(never.pictures[0], base) == 0
    assert "Refiner" not in never.extra


def test_in_between_both_take_part_and_it_is_written_down(studio: Studio, refiner: Path) -> None:
    base = studio.picture()
    result = refined(studio, refiner, batch_size=2, n_iter=2)
    assert result.extra["Refiner"].startswith("refiner [")
    assert result.extra["Refiner switch at"] == 0.5
    assert difference(result.pictures[0], base) > 1
    assert difference(result.pictures[0], studio.picture(checkpoint=refiner)) > 1
    # The second batch begins with the base again.
    alone = refined(studio, refiner, seed=10).pictures[0]
    assert difference(result.pictures[3], alone) <= 1
    assert difference(studio.picture(), base) == 0
    assert refined(studio, refiner, None).extra["Refiner switch at"] == 0.8


def test_the_switch_can_be_measured_in_steps(studio: Studio, refiner: Path) -> None:
    options = {"refiner_switch_by_sample_steps": True}
    job = {"steps": 8, "sampler_name": "DPM++ 2M"}
    by_steps = refined(studio, refiner, 0.4, options=options, **job)
    assert by_steps.extra["Refiner switch by sampling steps"] is True
    # Karras' schedule is at low timesteps early.
    by_timesteps = refined(studio, refiner, 0.4, **job)
    assert difference(by_steps.pictures[0], by_timesteps.pictures[0]) > 0


def test_with_hires_fix_a_setting_chooses_the_pass(studio: Studio, refiner: Path) -> None:
    job = {"enable_hr": True, "hr_scale": 1.5, "steps": 3, "hr_upscaler": "Lanczos"}
    kept = {"save_images_before_highres_fix": True}
    plain = studio.make(**job, options=kept)
    before = plain.role("before_highres_fix")[0]
    made = {}
    for passes in ("first pass", "second pass", "both passes"):
        result = refined(studio, refiner, **job, options={**kept, "hires_fix_refiner_pass": passes})
        told = result.extra.get("Hires refiner")
        assert told == (None if passes == "second pass" else passes)
        first = result.role("before_highres_fix")[0]
        assert (difference(first, before) > 0) == (passes != "second pass")
        made[passes] = result.pictures[0].tobytes()
    assert len({*made.values(), plain.pictures[0].tobytes()}) == 4


def test_a_refiner_works_on_pictures_with_a_mask_and_may_be_an_inpainting_model(
    studio: Studio, photo: Image.Image, hole: Image.Image, tmp_path: Path
) -> None:
    nine = tiny_sd(tmp_path, dtype="float32", seed=6, shape=TinyShape(unet_in_channels=9))
    job = {
        "kind": "img2img",
        "init_images": [photo],
        "mask": hole,
        "inpainting_fill": 1,
        "inpaint_full_res": False,
    }
    result = refined(studio, nine, **job)
    assert "Refiner" in result.extra
    assert result.extra["Pixels changed outside the mask"] == 0
    assert difference(result.pictures[0], studio.picture(**job)) > 1


def test_a_refiner_that_does_not_fit_is_refused_before_anything_is_made(
    studio: Studio, tmp_path: Path
) -> None:
    gone = refined(studio, tmp_path / "gone.safetensors")
    assert gone.failed.failure == "model"
    assert "is not there any more" in gone.failed.message
    assert gone.steps == []
    assert studio.make().done
