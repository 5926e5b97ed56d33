"""Original layouts: names and hyper-parameters, against diffusers' own converter as reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from modules.catalog.header import safetensors_header
from modules.engine.checkpoints.layouts.clip_text import read_clip_text
from modules.engine.checkpoints.layouts.ema import dotted, ema_names
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError, read_original_unet
from modules.engine.checkpoints.layouts.vae import read_vae
from tests.support.tiny_models import (
    TinyComponents,
    TinyShape,
    original_layout,
    original_vae,
    text_config,
    tiny_components,
    unet_config,
    vae_config,
)

SHAPES = {
    "plain": TinyShape(),
    "four levels": TinyShape(
        unet_channels=(32, 32, 64, 64), unet_attention=(True, True, True, False), unet_layers=2
    ),
    "attention below": TinyShape(
        unet_channels=(32, 32, 64), unet_attention=(False, True, True), vae_mid_attention=False
    ),
    "one level": TinyShape(unet_channels=(32,), unet_attention=(True,), unet_layers=3),
    "linear": TinyShape(linear_projection=True, vae_layers=2, text_layers=1, text_width=128),
}


def names(path: Path, state: dict[str, torch.Tensor], prefix: str = "") -> Names:
    save_file({key: value.contiguous() for key, value in state.items()}, str(path))
    return Names.below(safetensors_header(path), prefix)


@pytest.fixture(params=list(SHAPES), scope="module")
def made(request: pytest.FixtureRequest) -> TinyComponents:
    shape = SHAPES[request.param]
    small = TinyShape(**{**shape.__dict__, "vocabulary": 100, "text_heads": shape.text_width // 64})
    return tiny_components(seed=3, shape=small)


def agree(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if key in ("sample_size", "attention_head_dim", "norm_num_groups"):
            continue
        assert found[key] == value, key


def check_weights(read: Names, state: dict[str, torch.Tensor], network: Any) -> None:
    expected = network.state_dict()
    assert set(read) == set(expected)
    for name, source in read.items():
        assert torch.equal(state[source.tensor].reshape(expected[name].shape), expected[name])


def test_a_unet_of_any_shape_is_read_back_with_its_configuration(
    made: TinyComponents, tmp_path: Path
) -> None:
    state = original_layout(made)
    prefix = "model.diffusion_model."
    found = names(tmp_path / "m.safetensors", state, prefix)
    read = read_original_unet(found, {"attention_head_dim": 8})
    agree(read.config, unet_config(made.shape))
    check_weights(read.names, state, made.unet)


def test_a_vae_of_any_shape_is_read_back_from_both_layouts(
    made: TinyComponents, tmp_path: Path
) -> None:
    for state in (original_vae(made), made.vae.state_dict()):
        found = names(tmp_path / "v.safetensors", state)
        config, read = read_vae(found, {"scaling_factor": 0.18215})
        agree(config, vae_config(made.shape))
        check_weights(read, state, made.vae)


def test_a_text_model_is_read_back_with_and_without_its_prefix(
    made: TinyComponents, tmp_path: Path
) -> None:
    bare = dict(made.text_encoder.state_dict())
    prefixed = {f"text_model.{key}": value for key, value in bare.items()}
    prefixed["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    wanted = {k: v for k, v in text_config(made.shape).items() if "token_id" not in k}
    del wanted["projection_dim"], wanted["hidden_act"]
    for state in (bare, prefixed):
        config, read = read_clip_text(names(tmp_path / "t.safetensors", state), {})
        agree(config, wanted)
        check_weights(read, state, made.text_encoder)


def test_our_names_are_those_of_diffusers_own_converter(
    made: TinyComponents, tmp_path: Path
) -> None:
    from diffusers.loaders.single_file_utils import (
        convert_ldm_unet_checkpoint,
        convert_ldm_vae_checkpoint,
    )

    state = original_layout(made)
    theirs = convert_ldm_unet_checkpoint(dict(state), dict(made.unet.config))
    prefix = "model.diffusion_model."
    ours = read_original_unet(names(tmp_path / "m.safetensors", state, prefix), {}).names
    assert {n: state[s.tensor].data_ptr() for n, s in ours.items()} == {
        n: v.data_ptr() for n, v in theirs.items()
    }
    their_vae = convert_ldm_vae_checkpoint(dict(state), dict(made.vae.config))
    _, our_vae = read_vae(names(tmp_path / "v.safetensors", state, "first_stage_model."), {})
    assert set(our_vae) == set(their_vae)
    for name, source in our_vae.items():
        assert torch.equal(state[source.tensor].reshape(their_vae[name].shape), their_vae[name])


def test_old_attention_names_of_published_vae_folders_are_understood(
    apple: TinyComponents, tmp_path: Path
) -> None:
    old_names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for key, value in apple.vae.state_dict().items():
        for new, old in old_names.items():
            key = key.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        state[key] = value
    _, read = read_vae(names(tmp_path / "v.safetensors", state), {})
    check_weights(read, state, apple.vae)


def test_dots_are_put_back_into_the_names_of_a_moving_average(
    made: TinyComponents, tmp_path: Path
) -> None:
    prefix = "model.diffusion_model."
    state = {k: v for k, v in original_layout(made).items() if k.startswith(prefix)}
    ema = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): value
        for key, value in state.items()
    }
    save_file({k: v.contiguous() for k, v in ema.items()}, str(tmp_path / "e.safetensors"))
    found = ema_names(safetensors_header(tmp_path / "e.safetensors"))
    assert {prefix + name for name in found} == set(state)


def test_block_numbers_of_two_digits_keep_their_dots() -> None:
    name = "output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight"
    assert dotted(name.replace(".", "")) == name
    assert dotted("input_blocks100in_layers0bias") == "input_blocks.10.0.in_layers.0.bias"
    with pytest.raises(ValueError, match="nonsense"):
        dotted("nonsense7")


@pytest.mark.parametrize(
    "gone",
    [
        "time_embed.0.weight",
        "input_blocks.1.0.out_layers.3.weight",
        "output_blocks.3.0.out_layers.3.weight",
        "out.2.weight",
        "middle_block.1.transformer_blocks.0.norm1.weight",
    ],
)
def test_a_missing_block_is_named(apple: TinyComponents, tmp_path: Path, gone: str) -> None:
    prefix = "model.diffusion_model."
    state = {k: v for k, v in original_layout(apple).items() if k.startswith(prefix)}
    block = gone.rsplit(".", 1)[0]
    left = {k: v for k, v in state.items() if not k.startswith(prefix + block)}
    with pytest.raises(LayoutError):
        read_original_unet(names(tmp_path / "m.safetensors", left, prefix), {})


def test_unknown_tensors_are_named(apple: TinyComponents, tmp_path: Path) -> None:
    prefix = "model.diffusion_model."
    state = {k: v for k, v in original_layout(apple).items() if k.startswith(prefix)}
    state[prefix + "extra.thing"] = torch.zeros(1)
    with pytest.raises(LayoutError, match=r"extra\.thing"):
        read_original_unet(names(tmp_path / "m.safetensors", state, prefix), {})
