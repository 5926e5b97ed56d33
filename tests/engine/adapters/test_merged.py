"""Several adapters at once, other strengths, and the way back to the same bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.engine.adapters.fitting import FittedAdapter
from modules.engine.adapters.merged import Strength, Use
from tests.engine.adapters.conftest import CONV, LINEAR, LINEAR_PATH, TEXT, Bench

Rand = Callable[..., Tensor]


@pytest.fixture
def style(bench: Bench, rand: Rand) -> FittedAdapter:
    return bench.fitted(
        {
            f"{LINEAR}.lora_up.weight": rand(32, 4),
            f"{LINEAR}.lora_down.weight": rand(4, 64),
            f"{TEXT}.lora_up.weight": rand(64, 4),
            f"{TEXT}.lora_down.weight": rand(4, 64),
        }
    )


@pytest.fixture
def mixed(bench: Bench, rand: Rand) -> FittedAdapter:
    """One of most kinds, in one file."""
    norm = "lora_unet_down_blocks_0_resnets_0_norm1"
    query = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    return bench.fitted(
        {
            f"{LINEAR}.oft_blocks": rand(4, 8, 8),
            f"{CONV}.diff": rand(32, 32, 3, 3),
            f"{CONV}.diff_b": rand(32),
            f"{norm}.w_norm": rand(32),
            f"{norm}.b_norm": rand(32),
            f"{query}.lokr_w1": rand(4, 4),
            f"{query}.lokr_w2": rand(8, 8),
            f"{query}.diff_b": rand(32),
        }
    )


def test_removal_gives_every_byte_back(
    bench: Bench, style: FittedAdapter, mixed: FittedAdapter
) -> None:
    bench.adapters.apply([Use(style, Strength(0.7, 1.3)), Use(mixed, Strength())])
    assert len(bench.changed()) >= 6
    assert bench.adapters.active
    bench.adapters.remove_all()
    assert bench.changed() == set()
    assert not bench.adapters.active


def test_removal_is_exact_in_half_precision_too(
    bench: Bench, style: FittedAdapter, mixed: FittedAdapter
) -> None:
    layers = [bench.networks["unet"], bench.networks["text_encoder"]]
    try:
        for network in layers:
            network.half()
        before = bench.state()
        bench.adapters.apply([Use(style, Strength()), Use(mixed, Strength())])
        assert any(
            not torch.equal(value, before[key])
            for key, value in bench.state().items()
            if key in before
        )
        bench.adapters.apply([Use(mixed, Strength(1, 0.3))])
        bench.adapters.remove_all()
        now = bench.state()
        assert now.keys() == before.keys()
        assert all(torch.equal(now[key], before[key]) for key in now)
    finally:
        for network in layers:
            network.float()
            for name, weight in network.state_dict().items():
                prefix = "unet" if network is layers[0] else "text_encoder"
                weight.copy_(bench.before[f"{prefix}.{name}"])


def test_other_strengths_start_from_the_originals(bench: Bench, style: FittedAdapter) -> None:
    layer = bench.layer(LINEAR_PATH)
    bench.adapters.apply([Use(style, Strength(1, 1))])
    whole = layer.weight - bench.before[f"unet.{LINEAR_PATH}.weight"]
    for strength in (0.25, -1.0, 0.5):
        bench.adapters.apply([Use(style, Strength(1, strength))])
        torch.testing.assert_close(
            layer.weight - bench.before[f"unet.{LINEAR_PATH}.weight"],
            whole * strength,
            atol=1e-6,
            rtol=1e-4,
        )


def test_only_what_differs_is_worked_on(bench: Bench, style: FittedAdapter) -> None:
    told: list[str] = []
    bench.adapters.before_change.append(told.append)
    bench.adapters.apply([Use(style, Strength(1, 1))])
    assert sorted(told) == ["text_encoder", "unet"]
    told.clear()
    bench.adapters.apply([Use(style, Strength(1, 1))])
    assert told == []
    bench.adapters.apply([Use(style, Strength(1, 0.5))])
    assert told == ["unet"]
    told.clear()
    bench.adapters.apply([])
    assert sorted(told) == ["text_encoder", "unet"]


def test_a_strength_of_nothing_is_no_adapter(bench: Bench, style: FittedAdapter) -> None:
    bench.adapters.apply([Use(style, Strength(0, 0))])
    assert bench.changed() == set()
    assert not bench.adapters.active


def test_the_key_of_texts_changes_with_the_text_encoder_alone(
    bench: Bench, style: FittedAdapter
) -> None:
    adapters = bench.adapters
    bare = adapters.text_key
    adapters.apply([Use(style, Strength(1, 1))])
    one = adapters.text_key
    adapters.apply([Use(style, Strength(1, 0.2))])
    assert adapters.text_key == one != bare
    adapters.apply([Use(style, Strength(0.5, 1))])
    assert adapters.text_key not in (one, bare)
    adapters.apply([Use(style, Strength(0, 1))])
    assert adapters.text_key == bare


def test_block_weights_choose_layers(bench: Bench, style: FittedAdapter) -> None:
    from modules.engine.adapters.blocks import read_blocks, read_sides

    text, unet = (
        "text_encoder.encoder.layers.0.self_attn.q_proj.weight",
        f"unet.{LINEAR_PATH}.weight",
    )
    chosen = {
        "NONE": set(),
        "ALL": {text, unet},
        "INS": {text, unet},
        "OUTALL": {text},
        "0" + ",1" * 16: {unet},
    }
    for blocks, changed in chosen.items():
        bench.adapters.apply([Use(style, Strength(1, 1, None, read_blocks(blocks)))])
        assert bench.changed() == changed, blocks
    bench.adapters.apply([Use(style, Strength(1, 1, None, read_sides({"in": "0"})))])
    assert bench.changed() == {text}


def test_a_failure_in_the_middle_leaves_the_checkpoint(
    bench: Bench, style: FittedAdapter, mixed: FittedAdapter
) -> None:
    class Broken(Exception):  # noqa: N818
        pass

    class Explosive:
        target, name = mixed.parts[0].target, "x"

        def change(self, weight: Tensor, rank: int | None) -> None:
            raise Broken

    broken = FittedAdapter(("broken", 0, 0), (Explosive(),))
    with pytest.raises(Broken):
        bench.adapters.apply([Use(style, Strength()), Use(broken, Strength())])
    assert bench.changed() == set()
    bench.adapters.apply([Use(style, Strength())])
    assert len(bench.changed()) == 2


def test_convolutions_with_packed_weights_see_the_change(
    bench: Bench, mixed: FittedAdapter, rand: Rand
) -> None:
    from modules.engine.generation.swift import SwiftNetwork

    unet = bench.networks["unet"]
    inputs = {"encoder_hidden_states": rand(1, 77, 64), "return_dict": False}
    x, t = rand(1, 4, 8, 8), torch.tensor([500.0])
    bench.adapters.apply([Use(mixed, Strength())])
    expected = unet(x, t, **inputs)[0]
    bench.adapters.remove_all()
    swift = SwiftNetwork(unet)
    try:
        bench.adapters.before_change[:] = [lambda network: swift.forget_weights()]
        bare = unet(x, t, **inputs)[0]
        bench.adapters.apply([Use(mixed, Strength())])
        torch.testing.assert_close(unet(x, t, **inputs)[0], expected, atol=1e-4, rtol=1e-3)
        bench.adapters.remove_all()
        assert torch.equal(unet(x, t, **inputs)[0], bare)
        assert not torch.allclose(bare, expected, atol=1e-3)
    finally:
        swift.remove()
