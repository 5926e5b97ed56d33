"""What SDXL is told beside the text, and how its two text encoders are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.engine.checkpoints import LoadedModel
from modules.engine.conditioning import TextOptions
from modules.prompts.chunks import Vectors
from tests.engine.families.conftest import SIZE, Write, made, noise, pipeline, theirs
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import sdxl_family


@pytest.fixture(scope="module")
def base(write: Write) -> Path:
    return write(sdxl_family(), "folder")


@pytest.fixture(scope="module")
def pipe(base: Path) -> Any:
    return pipeline("StableDiffusionXLPipeline", base)


@pytest.fixture
def model(studio: Studio, base: Path) -> LoadedModel:
    return studio.engine.load(str(base))


def test_the_crop_of_the_settings_is_told(studio: Studio, base: Path, pipe: Any) -> None:
    ours = made(studio, base, options={"sdxl_crop_top": 40, "sdxl_crop_left": 12})
    other = theirs(pipe, width=SIZE, height=SIZE, latents=noise(), crops_coords_top_left=(40, 12))
    assert difference(ours, other) <= 1
    assert difference(ours, made(studio, base)) > 1


def test_an_empty_negative_prompt_is_zeros_unless_the_setting_says_otherwise(
    studio: Studio, base: Path, pipe: Any
) -> None:
    zeros = made(studio, base, negative_prompt="")
    job = {"width": SIZE, "height": SIZE, "latents": noise()}
    assert difference(zeros, theirs(pipe, negative_prompt=None, **job)) <= 1
    encoded = made(studio, base, negative_prompt="", options={"sdxl_zero_empty_negative": False})
    assert difference(encoded, theirs(pipe, negative_prompt="", **job)) <= 1
    assert difference(zeros, encoded) > 1
    # An empty prompt is a text like any other.
    assert model_context(studio, base, "").abs().max() > 0


def model_context(studio: Studio, base: Path, text: str, **options: Any) -> torch.Tensor:
    model = studio.engine.load(str(base))
    return model.conditioner.encode(text, TextOptions(**options)).context


def test_clip_skip_counts_for_the_first_encoder_and_only_on_request(model: LoadedModel) -> None:
    def context(**options: Any) -> torch.Tensor:
        return model.conditioner.encode("a red apple", TextOptions(**options)).context

    usual = context()
    assert torch.equal(context(clip_skip=3), usual)
    asked = context(clip_skip=3, skip_on_request=True)
    width = model.conditioner.towers[0].width
    assert not torch.equal(asked[..., :width], usual[..., :width])
    assert torch.equal(asked[..., width:], usual[..., width:])
    # The family's own layer is the last but one.
    assert torch.equal(context(clip_skip=2, skip_on_request=True), usual)
    assert model.conditioner.effective_clip_skip(3) == 3


def test_weights_in_a_prompt_keep_each_encoders_mean_and_leave_the_summary(
    model: LoadedModel,
) -> None:
    plain, strong = (model.conditioner.encode(text) for text in ("a cat", "a (cat:1.5)"))
    width = model.conditioner.towers[0].width
    for part in (slice(0, width), slice(width, None)):
        before, after = plain.context[..., part], strong.context[..., part]
        assert not torch.equal(before, after)
        assert torch.allclose(before.mean(), after.mean(), atol=1e-6)
    assert torch.equal(plain.pooled, strong.pooled)


def test_a_learned_word_has_vectors_for_each_encoder(model: LoadedModel) -> None:
    class Pear:
        """The word "pear", two vectors wide."""

        key = "pear"

        def find(self, ids: Sequence[int], place: int) -> Sequence[int | Vectors]:
            wanted = model.conditioner.towers[place].tokenizer.encode("pear")
            return [Vectors("pear", 2) if one in wanted else one for one in ids]

        def vectors(self, name: str, place: int) -> torch.Tensor:
            tower = model.conditioner.towers[place]
            return torch.full((2, tower.width), 0.1 * (place + 1))

    conditioner = model.adapter.conditioner(model.networks, model.plan.tokenizers)
    before = conditioner.encode("a pear, b")
    conditioner.words = Pear()
    conditioner.forget()
    after = conditioner.encode("a pear, b")
    width = conditioner.towers[0].width
    for part in (slice(0, width), slice(width, None)):
        # The start token and "a" come before the word and cannot know of it.
        assert torch.allclose(before.context[:, :2, part], after.context[:, :2, part], atol=1e-3)
        assert not torch.allclose(before.context[:, 2, part], after.context[:, 2, part], atol=1e-2)
    assert not torch.equal(before.pooled, after.pooled)


def test_a_note_tells_what_suits_a_distilled_model(studio: Studio, write: Write) -> None:
    turbo = write(sdxl_family(), "single", name="sdxl_lightning_4step")
    wrong = studio.make(checkpoint=turbo, steps=20, cfg_scale=7.0, sampler_name="DPM++ 2M")
    (note,) = wrong.warnings
    for advice in ("Lightning", "4 steps", "a CFG scale of 1 to 2", "Euler", "SGM Uniform"):
        assert advice in note
    right = studio.make(
        checkpoint=turbo, steps=4, cfg_scale=1.0, sampler_name="Euler", scheduler="SGM Uniform"
    )
    assert right.warnings == []
