"""Shortcuts in the network change its speed, not its pictures."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from modules.engine.generation.attention import LeanAttention
from modules.engine.generation.packed_conv import PackedConv
from modules.engine.generation.swift import SwiftNetwork
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_models import tiny_components, tiny_sd


@pytest.fixture(scope="module")
def networks() -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same random UNet twice."""
    one = tiny_components(seed=3).unet
    return one, copy.deepcopy(one)


def _inputs(seed: int, side: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 4, side, side, generator=generator)
    return x, torch.full((2,), 100.0 + seed), torch.randn(2, 77, 64, generator=generator)


@torch.inference_mode()
def test_the_network_says_the_same_for_every_text_and_size(
    networks: tuple[torch.nn.Module, torch.nn.Module],
) -> None:
    plain, network = networks
    swift = SwiftNetwork(network)
    kinds = {type(module.__dict__.get("forward")) for module in network.modules()}
    assert LeanAttention in kinds
    texts = [_inputs(seed)[2] for seed in range(3)]
    for turn, side in enumerate([8, 8, 16, 8, 16]):
        x, t, _ = _inputs(turn, side)
        for text in texts:  # the same texts come again, as they do from step to step
            expected = plain(x, t, text, return_dict=False)[0]
            torch.testing.assert_close(
                network(x, t, text, return_dict=False)[0], expected, rtol=1e-4, atol=1e-4
            )
    swift.remove()
    assert not any("forward" in module.__dict__ for module in network.modules())
    x, t, text = _inputs(9)
    assert torch.equal(
        network(x, t, text, return_dict=False)[0], plain(x, t, text, return_dict=False)[0]
    )


@torch.inference_mode()
def test_attention_remembers_texts_bit_for_bit(
    networks: tuple[torch.nn.Module, torch.nn.Module],
) -> None:
    plain, network = networks
    swift = SwiftNetwork(network)
    for module in network.modules():
        if isinstance(module.__dict__.get("forward"), PackedConv):
            del module.__dict__["forward"]
    x, t, text = _inputs(1)
    expected = plain(x, t, text, return_dict=False)[0]
    for _ in range(3):
        assert torch.equal(network(x, t, text, return_dict=False)[0], expected)
    swift.remove()


def test_another_checkpoint_of_the_same_shape_is_really_another(
    studio: Studio, tmp_path: Path
) -> None:
    other = tiny_sd(tmp_path, name="other", dtype="float32", seed=6)
    before = studio.picture()
    swapped = studio.picture(checkpoint=other)
    assert difference(before, swapped) > 1
    fresh = Studio(tmp_path / "data", other).picture()
    assert swapped.tobytes() == fresh.tobytes()
    assert studio.picture().tobytes() == before.tobytes()


def test_a_picture_does_not_depend_on_the_sizes_made_before_it(studio: Studio) -> None:
    first = studio.picture(width=96)
    studio.picture(width=64)
    studio.picture(cfg_scale=1, width=128)
    assert studio.picture(width=96).tobytes() == first.tobytes()
