"""Quantised files: the same model in GGUF gives the picture of the weights that it stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modules.catalog.gguf import BLOCKS
from modules.engine.checkpoints.blocks import decoder
from tests.engine.families_dit.conftest import Build, made
from tests.engine.families_dit.quantised import parts_beside, quantised_and_plain, write_gguf
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import flux, text_state, write_part, write_single


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_numbers_come_out_as_the_formats_library_has_them(name: str) -> None:
    import gguf

    form = BLOCKS[name]
    raw = np.random.default_rng(1).integers(0, 256, (6, form.size), dtype=np.uint8)
    # Scales are half floats at fixed places; random bytes may be NaN there, small ones are not.
    raw[:, :4] = np.frombuffer(np.array([0.01, 0.02], np.float16).tobytes(), np.uint8)
    raw[:, -4:] = raw[:, :4]
    theirs = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[name]).reshape(-1)
    ours = decoder(name, Path("a.gguf"))(torch.from_numpy(raw.reshape(-1)))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6)


def test_a_quantised_transformer_gives_its_picture(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    model = build(flux("schnell"))
    quantised, plain = quantised_and_plain(tmp_path, model, "Q5_0")
    ours = made(studio, quantised, cfg_scale=1.0)
    assert difference(ours, made(studio, plain, cfg_scale=1.0)) <= 1
    assert difference(ours, made(studio, model.folder, cfg_scale=1.0)) > 0
    small = made(studio, quantised, cfg_scale=1.0, options={"fp8_storage": "Enable"})
    assert 0 < difference(small, ours) < 40  # the text encoders are in eight bits, the rest stays


def test_eight_bits_with_a_scale_are_multiplied_by_it(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    model = build(flux("schnell"))
    alone = write_single(tmp_path / "Stable-diffusion" / "flux.safetensors", model, parts=())
    write_part(tmp_path / "text_encoder" / "clip_l.safetensors", model, "clip_l")
    write_part(tmp_path / "VAE" / "ae.safetensors", model, "vae")
    state = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    for name, value in text_state(model.parts["t5"]).items():
        if name.endswith((".q.weight", ".wo.weight")):
            scale = value.abs().max() / 448
            state[name] = (value / scale).to(torch.float8_e4m3fn)
            state[name.replace(".weight", ".scale_weight")] = scale.float()
        elif name != "encoder.embed_tokens.weight":
            state[name] = value.contiguous()
    save_file(state, str(tmp_path / "text_encoder" / "t5xxl_scaled.safetensors"))
    ours = made(studio, alone, cfg_scale=1.0)
    assert 0 < difference(ours, made(studio, model.folder, cfg_scale=1.0)) < 40


def test_t5_under_llama_cpps_names_is_found(studio: Studio, build: Build, tmp_path: Path) -> None:
    model = build(flux("schnell"))
    alone = write_single(tmp_path / "Stable-diffusion" / "flux.safetensors", model, parts=())
    parts_beside(tmp_path, model, ("clip_l",))
    names = {
        "layer.0.SelfAttention.q": "attn_q",
        "layer.0.SelfAttention.k": "attn_k",
        "layer.0.SelfAttention.v": "attn_v",
        "layer.0.SelfAttention.o": "attn_o",
        "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
        "layer.0.layer_norm": "attn_norm",
        "layer.1.DenseReluDense.wi_0": "ffn_gate",
        "layer.1.DenseReluDense.wi_1": "ffn_up",
        "layer.1.DenseReluDense.wo": "ffn_down",
        "layer.1.layer_norm": "ffn_norm",
    }
    state = {}
    for key, value in text_state(model.parts["t5"]).items():
        if key.startswith("encoder.block."):
            _, _, number, rest = key.removesuffix(".weight").split(".", 3)
            state[f"enc.blk.{number}.{names[rest]}.weight"] = value
        elif key == "shared.weight":
            state["token_embd.weight"] = value
        elif key == "encoder.final_layer_norm.weight":
            state["enc.output_norm.weight"] = value
    path = tmp_path / "text_encoder" / "t5-encoder.gguf"
    write_gguf(path, state, "Q8_0")
    ours = made(studio, alone, cfg_scale=1.0)
    # Eight bits of T5 are nearly the whole of it.
    assert difference(ours, made(studio, model.folder, cfg_scale=1.0)) <= 16
