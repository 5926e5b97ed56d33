"""The packaged starter model."""

from __future__ import annotations

import json

import pytest

from tools.starter.config import MODEL_FOLDER
from tools.starter.torchvision_guard import define_missing_ops

LIMIT = 60 * 2**20
HEADINGS = ("Data", "Licence", "Training", "can draw", "cannot draw", "Limits")


@pytest.fixture(scope="module")
def pipeline():
    define_missing_ops()
    import torch
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(MODEL_FOLDER, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_the_folder_stays_within_sixty_mebibytes() -> None:
    size = sum(path.stat().st_size for path in MODEL_FOLDER.rglob("*") if path.is_file())
    assert size <= LIMIT


def test_the_weights_are_half_precision_safetensors() -> None:
    import torch
    from safetensors import safe_open

    files = sorted(MODEL_FOLDER.rglob("*.safetensors"))
    assert len(files) == 3
    assert not [*MODEL_FOLDER.rglob("*.bin"), *MODEL_FOLDER.rglob("*.ckpt")]
    for path in files:
        with safe_open(path, "pt") as opened:
            assert all(opened.get_tensor(name).dtype == torch.float16 for name in opened.keys())  # noqa: SIM118


def test_the_card_says_what_a_user_has_to_know() -> None:
    card = (MODEL_FOLDER / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n")
    for heading in HEADINGS:
        assert heading in card


def test_the_tokenizer_gives_clips_true_ids(pipeline) -> None:
    ids = pipeline.tokenizer("a photo of a cat").input_ids
    assert ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_plain_diffusers_draws_the_same_picture_twice(pipeline) -> None:
    import numpy as np
    import torch

    def draw() -> np.ndarray:
        made = pipeline(
            "a red apple on a blue background",
            width=128,
            height=128,
            num_inference_steps=4,
            guidance_scale=4.0,
            generator=torch.Generator().manual_seed(1),
        )
        return np.asarray(made.images[0]).astype(int)

    first = draw()
    assert first.shape == (128, 128, 3)
    assert np.array_equal(first, draw())


@pytest.mark.parametrize("name", ["apple", "cat-and-dog"])
def test_a_fixed_seed_gives_the_committed_picture(pipeline, name: str) -> None:
    import numpy as np
    from PIL import Image

    from tools.starter.evaluate import REFERENCE_PROMPTS, REFERENCES, reference_picture

    made = np.asarray(reference_picture(pipeline, REFERENCE_PROMPTS[name])).astype(int)
    wanted = np.asarray(Image.open(REFERENCES / f"{name}.png").convert("RGB")).astype(int)
    assert np.abs(made - wanted).max() <= 2


def test_an_apple_on_blue_is_red_in_the_middle_and_blue_around(pipeline) -> None:
    import numpy as np
    import torch

    made = pipeline(
        "a red apple on a blue background",
        width=128,
        height=128,
        num_inference_steps=12,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(1),
    )
    picture = np.asarray(made.images[0]).astype(int)
    red, _, blue = picture[54:90, 44:84].mean((0, 1))
    assert red > blue + 60
    red, _, blue = picture[:10].mean((0, 1))
    assert blue > red + 60


def test_the_sidecar_gives_parameters_that_fit_the_model(pipeline) -> None:
    sidecar = json.loads((MODEL_FOLDER / "easel.json").read_text(encoding="utf-8"))
    defaults = sidecar["default_parameters"]
    native = pipeline.unet.config.sample_size * 2 ** (
        len(pipeline.vae.config.block_out_channels) - 1
    )
    assert defaults["width"] == defaults["height"] == native
    assert sidecar["example_prompts"][0] == "a red apple on a blue background"


def test_a_word_beside_the_captions_is_drawn_as_its_neighbour(pipeline) -> None:
    encoder = getattr(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    table = encoder.embeddings.token_embedding.weight
    place = pipeline.tokenizer.get_vocab()
    for word, name in {"yacht": "boat", "bumblebee": "bee", "mansion": "house"}.items():
        assert table[place[word + "</w>"]].equal(table[place[name + "</w>"]])
    assert not table[place["dog</w>"]].equal(table[place["cat</w>"]])
