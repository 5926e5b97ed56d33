"""A VAE in strips and attention in slices: the same results from smaller pieces."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from modules.engine.checkpoints.tiling import set_circular_padding
from modules.engine.memory.attention import SlicedAttention
from modules.engine.memory.strips import StripVae
from tests.support.tiny_models import TinyShape, tiny_components


@pytest.fixture(scope="module")
def vae() -> torch.nn.Module:
    shape = TinyShape(vae_channels=(32, 64, 64), vae_layers=2)
    return tiny_components(seed=4, shape=shape).vae


@pytest.mark.parametrize("size", [(8, 8), (24, 16), (19, 33)])
@pytest.mark.parametrize("circular", [False, True])
@torch.inference_mode()
def test_strips_give_the_same_picture_and_the_same_latents(
    vae: torch.nn.Module, size: tuple[int, int], circular: bool
) -> None:
    generator = torch.Generator().manual_seed(size[0])
    latents = torch.randn(1, 4, *size, generator=generator)
    picture = torch.randn(1, 3, 4 * size[0], 4 * size[1], generator=generator)
    set_circular_padding([vae], circular)
    whole = vae.decode(latents).sample, vae.encode(picture).latent_dist.mean
    strips = StripVae(vae, largest=1)  # strips of the fewest rows
    try:
        cut = vae.decode(latents).sample, vae.encode(picture).latent_dist.mean
    finally:
        strips.remove()
        set_circular_padding([vae], False)
    for one, other in zip(cut, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert not any("forward" in module.__dict__ for module in vae.modules())


@torch.inference_mode()
def test_strips_hold_fewer_inner_pictures_at_once(vae: torch.nn.Module) -> None:
    latents = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(1))

    def peak() -> int:
        with torch.profiler.profile(profile_memory=True) as record:
            vae.decode(latents)
        used = most = 0
        for event in sorted(record.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
            if event.name() == "[memory]":
                used += event.nbytes()
                most = max(most, used)
        return most

    whole = peak()
    strips = StripVae(vae, largest=2**20)
    try:
        assert peak() < 0.75 * whole
    finally:
        strips.remove()


@pytest.mark.parametrize("mask_shape", [None, (1, 1, 1, 90), (2, 1, 70, 90)])
def test_attention_in_slices_is_the_same_attention(mask_shape: tuple[int, ...] | None) -> None:
    generator = torch.Generator().manual_seed(2)
    query = torch.randn(2, 4, 70, 16, generator=generator)
    key, value = (torch.randn(2, 4, 90, width, generator=generator) for width in (16, 24))
    mask = None if mask_shape is None else torch.randn(mask_shape, generator=generator)
    whole = functional.scaled_dot_product_attention(query, key, value, mask)
    with SlicedAttention(most=8 * 90 * 4 * 32) as slicing:
        sliced = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert slicing.slices == 3
    torch.testing.assert_close(sliced, whole, rtol=1e-5, atol=1e-5)


def test_small_and_causal_attention_is_left_alone() -> None:
    states = torch.randn(1, 2, 10, 8, generator=torch.Generator().manual_seed(3))
    with SlicedAttention() as slicing:
        functional.scaled_dot_product_attention(states, states, states)
    with SlicedAttention(most=1) as causal:
        functional.scaled_dot_product_attention(states, states, states, is_causal=True)
    assert slicing.slices == causal.slices == 0
