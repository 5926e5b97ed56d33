"""T5 in the conditioner, what a job tells about itself, previews of sixteen channels."""

from __future__ import annotations

import pytest
import torch

from modules.engine.checkpoints import LoadedModel
from modules.engine.conditioning import TextOptions
from tests.engine.families_dit.conftest import JOB, OPTIONS, Build, made
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import flux, sd3

T5_TOKENS = 256


@pytest.fixture
def schnell(studio: Studio, build: Build) -> LoadedModel:
    return studio.engine.load(str(build(flux("schnell")).folder))


def test_t5s_states_are_those_of_transformers(schnell: LoadedModel, build: Build) -> None:
    pipe = build(flux("schnell")).pipe
    text = "a red apple, on a table"
    states, pooled, _ = pipe.encode_prompt(text, max_sequence_length=T5_TOKENS)
    ours = schnell.conditioner.encode(text)
    torch.testing.assert_close(ours.context, states, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.pooled, pooled, rtol=1e-4, atol=1e-5)


def test_t5_computes_in_the_format_of_its_input_when_it_rests_in_eight_bits(
    studio: Studio, build: Build
) -> None:
    folder = build(flux("schnell")).folder
    job = {**JOB, "cfg_scale": 1.0}
    small = studio.make(
        checkpoint=folder, options={**OPTIONS, "fp8_storage": "Enable"}, **job
    ).pictures
    assert 0 < difference(small[0], made(studio, folder, **job)) < 40


def test_emphasis_scales_t5s_states_and_no_others(schnell: LoadedModel) -> None:
    conditioner = schnell.conditioner
    plain = conditioner.encode("red apple").context
    loud = conditioner.encode("red (apple:1.5)").context
    words = [len(conditioner.towers[1].tokenizer.encode(part)) for part in ("red", "apple")]
    place = slice(words[0], sum(words))
    torch.testing.assert_close(loud[:, place], plain[:, place] * 1.5)
    torch.testing.assert_close(loud[:, : words[0]], plain[:, : words[0]])
    torch.testing.assert_close(loud[:, sum(words) :], plain[:, sum(words) :])


@pytest.mark.parametrize(
    ("text", "chunks"),
    [("", 1), ("apple", 1), ("apple " * 250, 1), ("apple " * 260, 2), ("a BREAK b BREAK c", 3)],
)
def test_t5_reads_long_prompts_in_chunks(schnell: LoadedModel, text: str, chunks: int) -> None:
    assert schnell.conditioner.encode(text).context.shape[1] == chunks * T5_TOKENS


def test_sd3_joins_both_clips_and_t5_one_after_the_other(studio: Studio, build: Build) -> None:
    model = studio.engine.load(str(build(sd3()).folder))
    encoded = model.conditioner.encode("a red apple", TextOptions(clip_skip=2))
    assert encoded.context.shape == (1, 77 + T5_TOKENS, 224)
    assert encoded.pooled.shape == (1, 64 + 128)
    # Both CLIPs side by side are narrower than T5; the rest is zeros.
    assert not encoded.context[:, :77, 192:].any()
    same = model.conditioner.encode("a red apple", TextOptions(clip_skip=1))
    torch.testing.assert_close(same.context, encoded.context)


def test_long_prompts_of_sd3_make_pictures(studio: Studio, build: Build) -> None:
    folder = build(sd3()).folder
    long = made(studio, folder, prompt="a red apple, " * 40, steps=2)
    assert difference(long, made(studio, folder, steps=2)) > 0


def test_the_infotext_tells_the_guidance_that_dev_was_told(studio: Studio, build: Build) -> None:
    usual = {**JOB, "cfg_scale": 1.0, "steps": 1}
    dev, schnell = build(flux()).folder, build(flux("schnell")).folder
    told = studio.make(checkpoint=dev, options=OPTIONS, **usual).extra
    assert told["Distilled CFG Scale"] == 3.5
    asked = {**usual, "distilled_cfg_scale": 6.0}
    assert studio.make(checkpoint=dev, options=OPTIONS, **asked).extra["Distilled CFG Scale"] == 6
    assert (
        "Distilled CFG Scale" not in studio.make(checkpoint=schnell, options=OPTIONS, **asked).extra
    )
    assert (
        difference(
            made(studio, dev, **{**usual, "steps": 4}), made(studio, dev, **{**asked, "steps": 4})
        )
        > 0
    )


def test_a_hint_tells_what_suits_flux(studio: Studio, build: Build) -> None:
    folder = build(flux("schnell")).folder
    result = studio.make(checkpoint=folder, options=OPTIONS, **{**JOB, "steps": 14})
    assert any("CFG scale of 1 and 4 steps" in one for one in result.warnings)


def test_previews_of_sixteen_channels_come_from_the_vae_in_use(
    studio: Studio, build: Build
) -> None:
    options = {**OPTIONS, "live_previews_enable": True, "show_progress_every_n_steps": 1}
    result = studio.make(checkpoint=build(sd3()).folder, options=options, **JOB)
    assert result.previews
    factors = studio.engine.load(str(build(sd3()).folder)).preview_rgb
    assert factors.weights.shape == (16, 3)


def test_a_batch_equals_its_pictures_alone(studio: Studio, build: Build) -> None:
    folder = build(flux()).folder
    job = {**JOB, "cfg_scale": 1.0}
    both = studio.make(checkpoint=folder, options=OPTIONS, **{**job, "batch_size": 2}).pictures
    second = made(studio, folder, **{**job, "seed": JOB["seed"] + 1})
    assert difference(both[1], second) <= 1
