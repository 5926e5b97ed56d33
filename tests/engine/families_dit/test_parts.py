"""What is missing or does not fit is told in one sentence that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.engine.checkpoints import ModelLoadError
from tests.engine.families_dit.conftest import JOB, OPTIONS, Build, made
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import TinyDit, flux, sd3, write_part, write_single
from tests.support.tiny_models import original_vae, tiny_components


def _refusal(studio: Studio, checkpoint: Path) -> str:
    failed = studio.make(checkpoint=checkpoint, options=OPTIONS, **JOB).failed
    return str(failed.message)


@pytest.mark.parametrize(
    ("kind", "beside", "said"),
    [
        (flux(), (), "no CLIP-L and no T5 text encoder; put clip_l.safetensors and t5xxl"),
        (flux(), ("clip_l",), "no T5 text encoder; put t5xxl_fp16.safetensors into"),
        (sd3(), ("clip_l", "clip_g"), "no VAE; put one (such as sd3_vae.safetensors)"),
    ],
)
def test_a_missing_part_is_named_with_its_folder(
    studio: Studio, build: Build, tmp_path: Path, kind: TinyDit, beside: tuple[str, ...], said: str
) -> None:
    model = build(kind)
    alone = write_single(tmp_path / "Stable-diffusion" / "alone.safetensors", model, parts=())
    for name in beside:
        write_part(tmp_path / "text_encoder" / f"{name}.safetensors", model, name)
    message = _refusal(studio, alone)
    assert message.startswith("alone.safetensors: has ")
    assert said in message
    assert "models/" in message


@pytest.mark.parametrize(("kind", "cfg"), [(flux(), 1.0), (sd3(), 4.0)])
def test_a_transformer_under_diffusers_names_is_taken_too(
    studio: Studio, build: Build, tmp_path: Path, kind: TinyDit, cfg: float
) -> None:
    model = build(kind)
    alone = tmp_path / "Stable-diffusion" / "diffusion_pytorch_model.safetensors"
    alone.parent.mkdir()
    state = model.parts["transformer"].state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, str(alone))
    for name in ("clip_l", "clip_g", "t5"):
        if name in model.parts:
            write_part(tmp_path / "text_encoder" / f"{name}.safetensors", model, name)
    for name in ("ae", "sd3_vae"):
        write_part(tmp_path / "VAE" / f"{name}.safetensors", model, "vae")
    ours = made(studio, alone, cfg_scale=cfg)
    assert difference(ours, made(studio, model.folder, cfg_scale=cfg)) == 0


def test_a_vae_of_another_family_is_refused(studio: Studio, build: Build, tmp_path: Path) -> None:
    model = build(sd3())
    vae = tmp_path / "four.safetensors"
    save_file({k: v.contiguous() for k, v in original_vae(tiny_components()).items()}, str(vae))
    with pytest.raises(ModelLoadError, match="4 latent channels"):
        studio.engine.load(str(model.folder), str(vae))


def test_a_separate_vae_is_used(studio: Studio, build: Build, tmp_path: Path) -> None:
    model = build(sd3())
    without = write_single(tmp_path / "sd3.safetensors", model, parts=("clip_l", "clip_g", "t5"))
    vae = write_part(tmp_path / "any name.safetensors", model, "vae")
    latents = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(1))
    own = studio.engine.load(str(model.folder)).decode(latents)
    separate = studio.engine.load(str(without), str(vae))
    assert separate.vae_name == "any name.safetensors"
    torch.testing.assert_close(separate.decode(latents), own)


def test_one_missing_clip_is_told_from_the_other(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    path = write_single(tmp_path / "sd3.safetensors", build(sd3()), parts=("clip_l", "vae"))
    assert "has no CLIP-G text encoder; put clip_g.safetensors into" in _refusal(studio, path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joint_blocks.0.x_block.attn.odd.weight": (2, 2)}, "odd.weight' is not known"),
        ({"joint_blocks.0.x_block.attn.qkv.bias": (191,)}, "3 equal parts"),
        ({"joint_blocks.1.x_block.mlp.fc1.weight": None}, "lacks"),
        ({"joint_blocks.1.x_block.mlp.fc1.weight.absmax": (4,)}, "bitsandbytes"),
    ],
)
def test_a_damaged_transformer_is_refused_with_the_reason(
    studio: Studio, build: Build, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write_single(
        tmp_path / "sd3.safetensors", build(sd3()), parts=("clip_l", "clip_g", "vae")
    )
    state = load_file(path)
    for name, shape in change.items():
        key = f"model.diffusion_model.{name}"
        state.pop(key, None)
        if shape is not None:
            state[key] = torch.zeros(shape)
    save_file(state, str(path))
    assert said in _refusal(studio, path)


def test_the_former_model_still_works_after_a_refusal(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    model = build(sd3())
    before = made(studio, model.folder)
    _refusal(studio, write_single(tmp_path / "alone.safetensors", build(flux()), parts=()))
    assert difference(made(studio, model.folder), before) == 0
