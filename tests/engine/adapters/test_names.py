"""One adapter under the names of every trainer; and files that are for something else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.engine.adapters.layer_names import LayerNames
from modules.engine.adapters.parts import split_name
from tests.engine.adapters.conftest import LINEAR, LINEAR_PATH, TEXT, TEXT_PATH, Bench

Rand = Callable[..., Tensor]

UNET_NAMES = (
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_{}.weight",
    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_{}.weight",
    "lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_{}.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora.{}.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.{}.weight",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.{}.weight",
    "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.lora_{}.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_{}.weight",
    "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_{}.weight",
    "base_model.model.unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    ".lora_{}.default.weight",
)
TEXT_NAMES = (
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_{}.weight",
    "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_{}.weight",
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.{}.weight",
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_{}.weight",
    "text_encoder.encoder.layers.0.self_attn.q_proj.lora_{}.weight",
)


def named(pattern: str, up: Tensor, down: Tensor) -> dict[str, Tensor]:
    peft = pattern.startswith("base_model") or (
        "lora_{}" in pattern and pattern.startswith(("unet.", "text_encoder."))
    )
    words = ("B", "A") if peft else ("up", "down")
    return {pattern.format(words[0]): up, pattern.format(words[1]): down}


@pytest.mark.parametrize("pattern", UNET_NAMES)
def test_every_naming_finds_the_same_layer_of_the_unet(
    bench: Bench, rand: Rand, pattern: str
) -> None:
    up, down = rand(32, 4), rand(4, 64)
    before = bench.layer(LINEAR_PATH).weight.clone()
    bench.apply(named(pattern, up, down))
    torch.testing.assert_close(bench.layer(LINEAR_PATH).weight, before + up @ down)
    assert bench.changed() == {f"unet.{LINEAR_PATH}.weight"}


@pytest.mark.parametrize("pattern", TEXT_NAMES)
def test_every_naming_finds_the_same_layer_of_the_text_encoder(
    bench: Bench, rand: Rand, pattern: str
) -> None:
    up, down = rand(64, 4), rand(4, 64)
    bench.apply(named(pattern, up, down), text=0.5)
    assert bench.changed() == {f"text_encoder.{TEXT_PATH}.weight"}


def test_every_layer_of_the_original_unet_has_a_name(bench: Bench) -> None:
    from tests.support.tiny_models import TinyShape, _unet_key

    shape = TinyShape()
    for path, module in bench.networks["unet"].named_modules():
        if not hasattr(module, "weight"):
            continue
        original = _unet_key(f"{path}.weight", shape).removesuffix(".weight")
        target = bench.names.find("lora_unet_" + original.replace(".", "_"))
        assert target is not None, original
        assert [piece.module for piece in target.pieces] == [path]


def test_blocks_have_the_names_of_block_weights(bench: Bench) -> None:
    blocks = {
        "lora_unet_conv_in": "IN00",
        "lora_unet_input_blocks_1_0_in_layers_2": "IN01",
        "lora_unet_input_blocks_2_0_op": "IN02",
        "lora_unet_middle_block_1_proj_in": "MID",
        "lora_unet_output_blocks_0_0_in_layers_2": "OUT00",
        "lora_unet_output_blocks_3_1_proj_in": "OUT03",
        "lora_unet_time_embed_0": "",
        "lora_te_text_model_encoder_layers_0_mlp_fc1": "BASE",
    }
    assert {name: bench.names.find(name).block for name in blocks} == blocks


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x.lora_up.weight", ("x", "lora_up")),
        ("a.b.lora_A.default.weight", ("a.b", "lora_down")),
        ("x.alpha", ("x", "alpha")),
        ("x.weight", ("x", "weight")),
        ("a.processor.to_out_lora.up.weight", ("a.to_out.0", "lora_up")),
        ("x.b1.weight", ("x", "glora_b1")),
        ("x.something", None),
        ("alpha", None),
    ],
)
def test_a_tensors_name_is_split_into_layer_and_part(
    name: str, found: tuple[str, str] | None
) -> None:
    assert split_name(name) == found


def test_a_file_for_another_model_is_left_out_with_the_reason(bench: Bench, rand: Rand) -> None:
    wide = bench.fitted(
        {f"{LINEAR}.lora_up.weight": rand(640, 4), f"{LINEAR}.lora_down.weight": rand(4, 2048)}
    )
    assert wide.parts == ()
    assert "does not fit tiny and was left out" in wide.problem
    assert "[640, 2048], not [32, 64]" in wide.problem
    elsewhere = bench.fitted(
        {
            "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": rand(96, 4),
            "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": rand(4, 32),
        }
    )
    assert elsewhere.parts == ()
    assert "there is no layer lora_unet_double_blocks_0_img_attn_qkv" in elsewhere.problem


def test_what_fits_by_chance_is_not_used(bench: Bench, rand: Rand) -> None:
    """Layers of other families may have the same name and shape."""
    tensors = {f"{TEXT}.lora_up.weight": rand(64, 4), f"{TEXT}.lora_down.weight": rand(4, 64)}
    for number in range(3):
        name = f"lora_unet_down_blocks_{number + 3}_attentions_0_proj_in"
        tensors[f"{name}.lora_up.weight"] = rand(32, 4)
        tensors[f"{name}.lora_down.weight"] = rand(4, 32)
    assert bench.fitted(tensors).parts == ()


def test_a_single_odd_entry_is_left_out_alone(bench: Bench, rand: Rand) -> None:
    tensors = {}
    layers = [
        (path, module)
        for path, module in bench.networks["unet"].named_modules()
        if isinstance(module, torch.nn.Linear)
    ][:20]
    for path, module in layers:
        name = "lora_unet_" + path.replace(".", "_")
        tensors[f"{name}.lora_up.weight"] = rand(module.out_features, 2)
        tensors[f"{name}.lora_down.weight"] = rand(2, module.in_features)
    odd = "lora_unet_" + layers[0][0].replace(".", "_")
    tensors[f"{odd}.lora_down.weight"] = rand(2, 7)
    fitted = bench.fitted(tensors)
    assert len(fitted.parts) == 19
    assert "1 of 20 entries were left out" in fitted.problem


def test_peft_metadata_gives_the_scale(bench: Bench, rand: Rand) -> None:
    up, down = rand(32, 4), rand(4, 64)
    pattern = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_{}.weight"
    before = bench.layer(LINEAR_PATH).weight.clone()
    from modules.engine.adapters.merged import Strength, Use

    told = {"lora_adapter_metadata": '{"unet.lora_alpha": 8, "unet.r": 4}'}
    bench.adapters.apply([Use(bench.fitted(named(pattern, up, down), told), Strength())])
    torch.testing.assert_close(bench.layer(LINEAR_PATH).weight, before + 2 * up @ down)


@pytest.fixture(scope="module")
def flux() -> torch.nn.Module:
    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=10,
        axes_dims_rope=(2, 2, 4),
        guidance_embeds=True,
    ).requires_grad_(False)


@pytest.fixture(scope="module")
def sd3() -> torch.nn.Module:
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=8,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        caption_projection_dim=16,
        pooled_projection_dim=10,
        pos_embed_max_size=8,
    ).requires_grad_(False)


def fused(network: torch.nn.Module, name: str, rand: Rand) -> dict[str, Tensor]:
    """What a LoRA of a fused layer adds to each of the layers that it became."""
    from modules.engine.adapters.adapter_file import AdapterFile
    from modules.engine.adapters.fitting import fit
    from modules.engine.adapters.merged import ModelAdapters, Strength, Use

    networks = {"unet": network}
    names = LayerNames(networks)
    target = names.find(name)
    assert target is not None, name
    weights = [network.get_submodule(piece.module).weight for piece in target.pieces]
    rows = sum(
        len(w) if p.rows is None else p.rows[1] - p.rows[0]
        for w, p in zip(weights, target.pieces, strict=True)
    )
    up, down = rand(rows, 2), rand(2, weights[0].shape[1])
    file = AdapterFile(None, ("x", 0, 0), {name: {"lora_up": up, "lora_down": down}})
    fitted = fit(file, names, networks, "tiny")
    assert not fitted.problem, fitted.problem
    before = {p.module: network.get_submodule(p.module).weight.clone() for p in target.pieces}
    adapters = ModelAdapters(networks)
    adapters.apply([Use(fitted, Strength())])
    added = {m: network.get_submodule(m).weight - old for m, old in before.items()}
    adapters.remove_all()
    assert all(torch.equal(network.get_submodule(m).weight, old) for m, old in before.items())
    return {"whole": up @ down, **added}


def test_a_fused_layer_of_flux_is_told_apart(flux: torch.nn.Module, rand: Rand) -> None:
    added = fused(flux, "lora_unet_double_blocks_0_img_attn_qkv", rand)
    parts = [added[f"transformer_blocks.0.attn.{n}"] for n in ("to_q", "to_k", "to_v")]
    torch.testing.assert_close(torch.cat(parts), added["whole"], atol=1e-6, rtol=1e-5)
    added = fused(flux, "diffusion_model.single_blocks.0.linear1", rand)
    block = "single_transformer_blocks.0"
    names = (f"{block}.attn.to_q", f"{block}.attn.to_k", f"{block}.attn.to_v", f"{block}.proj_mlp")
    torch.testing.assert_close(
        torch.cat([added[n] for n in names]), added["whole"], atol=1e-6, rtol=1e-5
    )


def test_the_last_modulation_has_its_halves_exchanged(flux: torch.nn.Module, rand: Rand) -> None:
    added = fused(flux, "lora_unet_final_layer_adaLN_modulation_1", rand)
    first, second = added["whole"].chunk(2)
    torch.testing.assert_close(
        added["norm_out.linear"], torch.cat([second, first]), atol=1e-6, rtol=1e-5
    )


def test_a_fused_layer_of_sd3_is_told_apart(sd3: torch.nn.Module, rand: Rand) -> None:
    added = fused(sd3, "lora_unet_joint_blocks_0_context_block_attn_qkv", rand)
    names = [f"transformer_blocks.0.attn.add_{n}_proj" for n in "qkv"]
    torch.testing.assert_close(
        torch.cat([added[n] for n in names]), added["whole"], atol=1e-6, rtol=1e-5
    )
    assert added["whole"].shape == (48, 16)


def test_original_names_of_transformers_agree_with_diffusers_own_conversion(
    flux: torch.nn.Module, rand: Rand
) -> None:
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers

    name = "lora_unet_double_blocks_0_txt_mlp_2"
    up, down = rand(16, 2), rand(2, 64)
    state = {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}
    converted = _convert_kohya_flux_lora_to_diffusers(
        dict(state) | {f"{name}.alpha": torch.tensor(2.0)}
    )
    (path,) = {key.rsplit(".lora_", 1)[0].removeprefix("transformer.") for key in converted}
    target = LayerNames({"unet": flux}).find(name)
    assert [piece.module for piece in target.pieces] == [path]
