"""unCLIP: what the picture shows reaches the network as in diffusers' pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.catalog.checkpoints import inspect
from modules.catalog.errors import UnsupportedModelError
from modules.catalog.header import safetensors_header
from modules.catalog.scan import Found
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.families import LOADERS
from modules.engine.checkpoints.families.unclip import embedding_noise
from modules.engine.checkpoints.planning import plan_model
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from tests.engine.families.conftest import JOB as USUAL
from tests.engine.families.conftest import (
    NEGATIVE,
    OPTIONS,
    PROMPT,
    SEED,
    SIZE,
    STEPS,
    Write,
    made,
    noise,
)
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import make, unclip_family
from tests.support.tiny_models import REPOSITORY

JOB = {"kind": "img2img", "denoising_strength": 1.0}


def _theirs(folder: Any, photo: Image.Image, level: int = 0) -> np.ndarray:
    """Their picture, begun like ours from the picture's latents under noise; noise on what the
    picture says is drawn as ours is."""
    make_torchvision_importable()
    import diffusers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    parts = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, requires_safety_checker=False, local_files_only=True
    ).components
    seeing = make(unclip_family()).seeing
    pipe = diffusers.StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        image_noising_scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        **{k: parts[k] for k in ("tokenizer", "text_encoder", "unet", "vae", "scheduler")},
        **seeing,
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="linspace"
    )
    # At the lowest level the engine adds no noise to what the picture says: it is next to none.
    add = pipe.noise_image_embeddings
    width = unclip_family().vision["projection_dim"]
    drawn = embedding_noise([SEED], width) if level else torch.zeros(1, width)
    pipe.noise_image_embeddings = lambda image_embeds, noise_level, generator: add(
        image_embeds, noise_level, drawn
    )
    pipe.scheduler.set_timesteps(STEPS)
    pixels = torch.from_numpy(np.asarray(photo).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)
    with torch.inference_mode():
        latents = pipe.vae.encode(pixels[None]).latent_dist.mode() * pipe.vae.config.scaling_factor
        start = latents + noise() * pipe.scheduler.sigmas[0]
        answer = pipe(
            photo,
            PROMPT,
            negative_prompt=NEGATIVE,
            width=SIZE,
            height=SIZE,
            num_inference_steps=STEPS,
            guidance_scale=6.0,
            latents=start,
            noise_level=level,
        )
    return np.asarray(answer.images[0])


def test_unclip_equals_the_pipelines(studio: Studio, write: Write, photo: Image.Image) -> None:
    folder = write(unclip_family(), "folder", prediction_type="v_prediction")
    ours = made(studio, folder, init_images=[photo], **JOB)
    theirs = _theirs(folder, photo)
    assert theirs.std() > 2
    assert difference(ours, theirs) <= 1
    file = write(unclip_family(), "single")
    assert difference(made(studio, file, init_images=[photo], **JOB), ours) == 0
    # What the picture shows matters, not only what it looks like at the start.
    assert difference(made(studio, folder), ours) > 1


def test_noise_on_what_the_picture_says_equals_the_pipelines(
    studio: Studio, write: Write, photo: Image.Image
) -> None:
    level = 400
    folder = write(unclip_family(), "folder", prediction_type="v_prediction")
    job = {**USUAL, **JOB, "checkpoint": folder, "options": OPTIONS, "init_images": [photo]}
    result = studio.make(**job, noise_level=level)
    assert result.extra["unCLIP noise level"] == level
    assert difference(result.pictures[0], _theirs(folder, photo, level)) <= 1
    assert difference(result.pictures[0], studio.make(**job).pictures[0]) > 1
    # A batch of one picture: each of its results has noise of its own.
    second = studio.make(**job, noise_level=level, batch_size=2).pictures[1]
    alone = studio.make(**{**job, "seed": SEED + 1}, noise_level=level).pictures[0]
    assert difference(second, alone) <= 1


def test_an_unclip_file_is_told_and_predicts_v(write: Write) -> None:
    plan = plan_model(write(unclip_family(), "single"), None, REPOSITORY / "configs")
    assert plan.scheduler["prediction_type"] == "v_prediction"
    assert not plan.undecided
    vision = plan.components["image_encoder"].config
    assert {key: vision[key] for key in unclip_family().vision} == unclip_family().vision


def test_the_vision_model_counts_for_a_folders_hash_and_size(write: Write) -> None:
    folder = write(unclip_family(), "folder", prediction_type="v_prediction")
    info = inspect(Found(folder, folder.parent, "folder"))
    assert (info.family, info.variant, info.problem) == ("sd2", "unCLIP", "")
    assert any(file.parent.name == "image_encoder" for file in info.hash_files)


def test_a_batch_of_pictures_tells_each_its_own(
    studio: Studio, write: Write, photo: Image.Image
) -> None:
    folder = write(unclip_family(), "folder", prediction_type="v_prediction")
    other = photo.transpose(Image.Transpose.ROTATE_90)
    job = {**USUAL, **JOB, "checkpoint": folder, "options": OPTIONS}
    both = studio.make(**job, init_images=[photo, other], batch_size=2).pictures
    for place, (picture, one) in enumerate(zip(both, (photo, other), strict=True)):
        alone = studio.make(**{**job, "seed": 11 + place}, init_images=[one]).pictures[0]
        assert difference(picture, alone) <= 1


@pytest.mark.parametrize("gone", ["embedder.", "noise_augmentor."])
def test_a_file_without_its_vision_model_is_refused(write: Write, gone: str) -> None:
    header = safetensors_header(write(unclip_family(), "single"))
    kept = {name: entry for name, entry in header.tensors.items() if not name.startswith(gone)}
    less = type(header)(header.path, kept, header.metadata, header.file_size)
    with pytest.raises(UnsupportedModelError, match="without its vision model"):
        LOADERS["sd2"].plan_file(less, Sidecar(), REPOSITORY / "configs", None)
