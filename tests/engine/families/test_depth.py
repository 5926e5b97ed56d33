"""SD 2.x depth models: a map of the request, or an estimator that lies in the model's folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.generation.depth import as_depth
from tests.engine.families.conftest import JOB as USUAL
from tests.engine.families.conftest import (
    NEGATIVE,
    OPTIONS,
    PROMPT,
    SIZE,
    STEPS,
    Write,
    made,
    noise,
)
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import sd2_family
from tests.support.tiny_midas import midas_state, tiny_midas

STRENGTH = 0.7
MADE = int(STRENGTH * STEPS) + 1
JOB = {"kind": "img2img", "denoising_strength": STRENGTH}


@pytest.fixture(scope="module")
def relief() -> Image.Image:
    """A map of 64x64: a slope with a bump."""
    across, down = np.meshgrid(np.arange(64), np.arange(64))
    bump = 90 * np.exp(-((across - 40) ** 2 + (down - 20) ** 2) / 150)
    return Image.fromarray((down * 2 + bump).astype(np.uint8))


@pytest.fixture(scope="module")
def model(write: Write) -> Path:
    return write(sd2_family(5), "folder")


def _pipeline(folder: Path, estimator: Any = None, extractor: Any = None) -> Any:
    make_torchvision_importable()
    import diffusers

    parts = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, requires_safety_checker=False, local_files_only=True
    ).components
    kept = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    pipe = diffusers.StableDiffusionDepth2ImgPipeline(
        **{name: parts[name] for name in kept},
        depth_estimator=estimator,
        feature_extractor=extractor,
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="linspace"
    )
    return pipe


def _theirs(pipe: Any, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> np.ndarray:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_depth2img as module

    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: noise())
    with torch.inference_mode():
        answer = pipe(
            PROMPT,
            negative_prompt=NEGATIVE,
            strength=MADE / STEPS,
            num_inference_steps=STEPS,
            guidance_scale=6.0,
            **arguments,
        )
    return np.asarray(answer.images[0])


def test_a_map_of_the_request_equals_the_pipelines(
    studio: Studio,
    write: Write,
    model: Path,
    photo: Image.Image,
    relief: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = made(studio, model, init_images=[photo], depth_map=relief, **JOB)
    pipe = _pipeline(model)
    other = _theirs(pipe, monkeypatch, image=photo, depth_map=as_depth(relief)[0])
    assert other.std() > 2
    assert difference(ours, other) <= 1
    flat = Image.new("L", (64, 64), 128)
    assert difference(made(studio, model, init_images=[photo], depth_map=flat, **JOB), ours) > 1
    file = write(sd2_family(5), "single")
    assert difference(made(studio, file, init_images=[photo], depth_map=relief, **JOB), ours) == 0


def test_an_estimator_in_the_models_folder_equals_the_pipelines(
    studio: Studio,
    model: Path,
    photo: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_torchvision_importable()
    from transformers.models.dpt.configuration_dpt import DPTConfig
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

    folder = shutil.copytree(model, tmp_path / "with-estimator")
    torch.manual_seed(1)
    estimator = DPTForDepthEstimation(
        DPTConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=64,
            patch_size=16,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 16, 16],
            fusion_hidden_size=16,
        )
    ).eval()
    with torch.no_grad():
        for weight in estimator.head.parameters():
            weight.normal_(0.5)  # as initialised, it sees next to no depth
    estimator.save_pretrained(folder / "depth_estimator")
    told = {"size": 64, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.4] * 3}
    (folder / "feature_extractor").mkdir()
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(told))
    ours = made(studio, folder, init_images=[photo], **JOB)
    square = {"height": 64, "width": 64}
    extractor = DPTImageProcessorPil(**{**told, "size": square}, ensure_multiple_of=1)
    other = _theirs(_pipeline(model, estimator, extractor), monkeypatch, image=photo)
    assert difference(ours, other) <= 1


@pytest.fixture
def with_midas(write: Write, tmp_path: Path) -> Path:
    """A single file with an estimator inside."""
    tensors = load_file(write(sd2_family(5), "single"))
    inside = midas_state(tiny_midas())
    tensors |= {f"depth_model.model.{name}": value for name, value in inside.items()}
    save_file(tensors, tmp_path / "depth.safetensors")
    return tmp_path / "depth.safetensors"


def test_an_estimator_inside_the_file_equals_the_same_beside_a_folder(
    studio: Studio, model: Path, photo: Image.Image, with_midas: Path, tmp_path: Path
) -> None:
    ours = made(studio, with_midas, init_images=[photo], **JOB)
    folder = shutil.copytree(model, tmp_path / "with-estimator")
    tiny_midas().save_pretrained(folder / "depth_estimator")
    told = {"size": 64, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "depth_estimator" / "preprocessor_config.json").write_text(json.dumps(told))
    assert difference(made(studio, folder, init_images=[photo], **JOB), ours) <= 1
    flat = made(studio, with_midas, init_images=[photo], depth_map=Image.new("L", (8, 8)), **JOB)
    assert difference(flat, ours) > 1


def test_an_estimator_inside_that_is_damaged_is_named(
    studio: Studio, photo: Image.Image, with_midas: Path
) -> None:
    tensors = load_file(with_midas)
    del tensors["depth_model.model.scratch.refinenet2.out_conv.bias"]
    save_file(tensors, with_midas)
    job = {**USUAL, **JOB, "checkpoint": with_midas, "options": OPTIONS, "init_images": [photo]}
    failed = studio.make(**job).failed
    assert "depth estimator lacks" in failed.message
    assert studio.make(**job, depth_map=Image.new("L", (8, 8))).pictures


def test_without_a_map_or_an_estimator_one_sentence_says_what_to_do(
    studio: Studio, model: Path, photo: Image.Image
) -> None:
    job = {**USUAL, "checkpoint": model, "options": OPTIONS}
    failed = studio.make(**job).failed
    assert failed.failure == "input"
    assert "it needs a picture (img2img) or a depth map" in failed.message
    failed = studio.make(**job, **JOB, init_images=[photo]).failed
    assert "put Intel/dpt-hybrid-midas" in failed.message


def test_a_map_alone_is_enough_for_txt2img_and_its_second_pass(
    studio: Studio, model: Path, relief: Image.Image
) -> None:
    plain = made(studio, model, depth_map=relief)
    turned = made(studio, model, depth_map=relief.transpose(Image.Transpose.ROTATE_180))
    assert difference(plain, turned) > 1
    large = made(
        studio, model, depth_map=relief, enable_hr=True, hr_scale=1.5, hr_upscaler="Lanczos"
    )
    assert large.shape == (SIZE * 3 // 2, SIZE * 3 // 2, 3)


def test_only_masked_shows_the_part_of_the_map_that_is_rendered(
    studio: Studio, model: Path, photo: Image.Image, hole: Image.Image, relief: Image.Image
) -> None:
    job = {**JOB, "mask": hole, "inpaint_full_res": True, "inpainting_fill": 1, "mask_blur": 0}
    one = made(studio, model, init_images=[photo], depth_map=relief, **job)
    # Beside the part that is rendered (and what is around it) the map does not matter.
    other = relief.copy()
    other.paste(200, (0, 60, 64, 64))
    same = made(studio, model, init_images=[photo], depth_map=other, **job)
    assert difference(one, same) == 0
