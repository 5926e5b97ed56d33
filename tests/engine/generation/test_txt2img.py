"""What a job makes: pictures, progress, facts; the same pictures however they are asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modules.requests.events import Started, Step
from tests.engine.generation.conftest import Studio, difference


def test_a_job_gives_its_pictures_in_order_with_facts_and_timings(studio: Studio) -> None:
    result = studio.make(batch_size=2, n_iter=2)
    assert result.of(Started)
    assert len(result.pictures) == 4
    assert [event.index for event in result.events if hasattr(event, "index")] == [0, 1, 2, 3]
    assert result.done.interrupted is False
    assert set(result.done.timings) >= {"load", "text", "sample", "decode", "total"}
    assert {picture.shape for picture in result.pictures} == {(64, 64, 3)}
    facts = result.facts
    assert facts["seed"] == 7
    assert facts["sampler_name"] == "Euler"
    assert facts["model_name"] == "tiny"
    assert len(facts["model_hash"]) == 10
    assert facts["clip_skip"] == 1
    assert facts["extra"] == {}


def test_every_step_is_reported_once_per_batch(studio: Studio) -> None:
    steps = studio.make(n_iter=2).steps
    assert [(s.iteration, s.n_iter, s.step, s.steps) for s in steps] == [
        (iteration, 2, step, 4) for iteration in range(2) for step in range(1, 5)
    ]


def test_the_same_request_gives_the_same_bytes(studio: Studio) -> None:
    one = studio.make(batch_size=2, sampler_name="DPM++ 2M SDE")
    other = studio.make(batch_size=2, sampler_name="DPM++ 2M SDE")
    for first, second in zip(one.pictures, other.pictures, strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M SDE", "DDIM", "UniPC"])
def test_a_picture_of_a_batch_equals_the_one_made_alone(studio: Studio, sampler: str) -> None:
    batch = studio.make(
        batch_size=3, sampler_name=sampler, prompts=["a cat", "a (dog:1.3)", "word " * 90]
    )
    for index, prompt in enumerate(["a cat", "a (dog:1.3)", "word " * 90]):
        alone = studio.picture(seed=7 + index, sampler_name=sampler, prompt=prompt)
        assert difference(batch.pictures[index], alone) <= 1


def test_batches_and_counts_give_the_same_pictures(studio: Studio) -> None:
    together = studio.make(batch_size=2).pictures
    apart = studio.make(n_iter=2).pictures
    assert all(difference(a, b) <= 1 for a, b in zip(together, apart, strict=True))


def test_different_seeds_prompts_and_variations_give_different_pictures(studio: Studio) -> None:
    plain = studio.picture()
    assert difference(plain, studio.picture(seed=8)) > 1
    assert difference(plain, studio.picture(prompt="a green pear")) > 1
    varied = studio.picture(subseed=3, subseed_strength=0.5)
    assert difference(plain, varied) > 1
    assert difference(plain, studio.picture(subseed=3, subseed_strength=0.0)) == 0


def test_sizes_are_rounded_down_to_the_latent_grid(studio: Studio) -> None:
    result = studio.make(width=71, height=55)
    assert result.pictures[0].shape == (48, 64, 3)
    assert (result.facts["width"], result.facts["height"]) == (64, 48)


def test_at_cfg_1_the_negative_prompt_has_no_effect(studio: Studio) -> None:
    one = studio.picture(cfg_scale=1, negative_prompt="blue")
    assert difference(one, studio.picture(cfg_scale=1, negative_prompt="")) == 0
    guided = studio.picture(negative_prompt="blue")
    assert difference(guided, studio.picture(negative_prompt="")) > 1


def test_guidance_together_and_one_after_the_other_agree(studio: Studio) -> None:
    together = studio.picture(options={"batch_cond_uncond": True})
    apart = studio.picture(options={"batch_cond_uncond": False})
    assert difference(together, apart) <= 1


def test_prompts_of_different_length_are_not_padded_unless_asked(studio: Studio) -> None:
    long = "word " * 90
    plain = studio.make(prompt=long)
    padded = studio.make(prompt=long, options={"pad_cond_uncond": True})
    assert difference(plain.pictures[0], padded.pictures[0]) > 0
    assert padded.facts["extra"]["Pad conds"] is True


def test_parts_joined_by_and_share_the_picture(studio: Studio) -> None:
    cat, dog = studio.picture(prompt="cat"), studio.picture(prompt="dog")
    both = studio.picture(prompt="cat :0.5 AND dog :0.5")
    assert difference(both, cat) > 1
    assert difference(both, dog) > 1
    assert difference(studio.picture(prompt="cat AND dog :0"), cat) <= 1


def test_pictures_of_a_batch_may_have_different_numbers_of_parts(studio: Studio) -> None:
    prompts = ["cat AND dog :0.7", "bird"]
    batch = studio.make(batch_size=2, prompts=prompts).pictures
    for index, prompt in enumerate(prompts):
        assert difference(batch[index], studio.picture(prompt=prompt, seed=7 + index)) <= 1


def test_prompt_editing_changes_the_prompt_between_steps(studio: Studio) -> None:
    def made(prompt: str) -> np.ndarray:
        return studio.picture(prompt=prompt, cfg_scale=30)  # random weights hardly hear a text

    cat, early, alternating = made("cat"), made("[cat:dog:1]"), made("[cat|dog]")
    assert difference(early, cat) > 0
    assert difference(early, made("dog")) > 0
    assert difference(alternating, cat) > 0
    assert difference(alternating, early) > 0
    # A1111 counts from 0: "when" at the last step never comes.
    assert difference(made("[cat:dog:4]"), cat) == 0


def test_leaving_the_negative_prompt_out_is_written_down(studio: Studio) -> None:
    early = studio.make(options={"skip_early_cond": 0.4})
    assert early.facts["extra"] == {"Skip Early CFG": 0.4}
    low = studio.make(options={"s_min_uncond": 5.0, "s_min_uncond_all": True})
    assert low.facts["extra"] == {"NGMS": 5.0, "NGMS all steps": True}
    assert difference(low.pictures[0], studio.picture()) > 0
    unused = studio.make(options={"s_min_uncond": 0.0001})
    assert unused.facts["extra"] == {}


def test_sampler_settings_and_emphasis_are_written_down(studio: Studio) -> None:
    result = studio.make(
        prompt="a (red:1.4) apple",
        sampler_name="Euler a",
        eta=0.5,
        options={"emphasis": "No norm", "guidance_rescale": 0.7},
    )
    extra = result.facts["extra"]
    assert extra == {"Emphasis": "No norm", "Eta": 0.5, "CFG Rescale": 0.7}
    assert list(extra) == ["Emphasis", "Eta", "CFG Rescale"]
    assert result.facts["schedule_label"] == "Automatic"
    assert studio.make(sampler_name="DPM++ 2M").facts["schedule_label"] == "Karras"


def test_tiling_joins_opposite_edges_and_does_not_stick(studio: Studio) -> None:
    plain = studio.picture()
    tiled = studio.picture(tiling=True)
    assert difference(plain, tiled) > 1
    assert difference(plain, studio.picture()) == 0


def test_extra_networks_that_are_not_there_are_left_out_with_a_warning(studio: Studio) -> None:
    result = studio.make(prompt="a red apple<lora:style:0.8>")
    assert result.warnings == ["Networks not found: style."]
    assert difference(result.pictures[0], studio.picture()) == 0


def test_clip_skip_changes_the_picture_and_is_told_as_it_was_used(studio: Studio) -> None:
    result = studio.make(options={"CLIP_stop_at_last_layers": 2})
    assert difference(result.pictures[0], studio.picture()) > 1
    assert result.facts["clip_skip"] == 2


@pytest.mark.parametrize(
    ("method", "form"), [("Approx NN", "jpeg"), ("Full", "png"), ("TAESD", "webp")]
)
def test_previews_are_pictures_of_the_asked_format(studio: Studio, method: str, form: str) -> None:
    options = {
        "live_previews_enable": True,
        "show_progress_every_n_steps": 2,
        "show_progress_type": method,
        "live_previews_image_format": form,
    }
    result = studio.make(batch_size=2, options=options)
    assert result.previews
    for preview in result.previews:
        assert preview.format == form
        assert preview.step % 2 == 0
        image = Image.open(io.BytesIO(preview.data))
        assert image.format == form.upper()
        assert image.width == 2 * image.height  # the batch side by side
    assert difference(result.pictures[0], studio.make(batch_size=2).pictures[0]) == 0


def test_previews_show_the_subject_that_is_asked_for(studio: Studio) -> None:
    seen = {}
    for subject in ("Combined", "Prompt", "Negative prompt"):
        options = {
            "live_previews_enable": True,
            "live_preview_content": subject,
            "live_previews_image_format": "png",
        }
        seen[subject] = studio.make(options=options).previews[0].data
    assert len(set(seen.values())) == 3


def test_previews_can_be_switched_off(studio: Studio) -> None:
    assert studio.make(options={"live_previews_enable": False}).previews == []
    never = {"live_previews_enable": True, "show_progress_every_n_steps": -1}
    assert studio.make(options=never).previews == []


@pytest.mark.parametrize("sampler", ["Heun", "DPM adaptive", "Restart", "DPM fast", "LCM"])
def test_samplers_with_a_walk_of_their_own_report_steps_up_to_their_total(
    studio: Studio, sampler: str
) -> None:
    steps = studio.make(sampler_name=sampler, steps=6).steps
    assert steps[-1].step == steps[-1].steps
    assert all(isinstance(step, Step) and 1 <= step.step <= step.steps for step in steps)
    numbers = [step.step for step in steps]
    assert numbers == sorted(numbers)


def test_ddim_cfgpp_looks_at_the_negative_prompt_even_at_cfg_1(studio: Studio) -> None:
    one = studio.picture(sampler_name="DDIM CFG++", cfg_scale=12.5, negative_prompt="blue")
    other = studio.picture(sampler_name="DDIM CFG++", cfg_scale=12.5, negative_prompt="")
    assert difference(one, other) > 0


def test_pictures_are_not_flat(studio: Studio) -> None:
    picture = studio.picture()
    assert picture.dtype == np.uint8
    assert picture.std() > 1
