"""Blending latents: the ends are exact, lengths survive, noise decides in soft inpainting."""

from __future__ import annotations

import pytest
import torch

from modules.engine.generation.blending import MaskBlend, SoftBlend, blend_vectors

GENERATOR = torch.Generator().manual_seed(4)
ORIGINAL = torch.randn(2, 4, 3, 3, generator=GENERATOR)
DENOISED = torch.randn(2, 4, 3, 3, generator=GENERATOR)


def ramp() -> torch.Tensor:
    """A mask from kept to repainted, [1, 1, 3, 3]."""
    return torch.linspace(0, 1, 9).view(1, 1, 3, 3)


def test_the_ends_of_a_mask_are_exactly_one_side() -> None:
    for blend in (MaskBlend(ORIGINAL, ramp()), SoftBlend(ORIGINAL, ramp())):
        for sigma in (0.0, 0.5, 14.0):
            blended = blend(DENOISED, sigma)
            assert torch.equal(blended[..., 0, 0], ORIGINAL[..., 0, 0])
            assert torch.equal(blended[..., 2, 2], DENOISED[..., 2, 2])


def test_a_plain_mask_mixes_in_its_proportion() -> None:
    blended = MaskBlend(ORIGINAL, ramp())(DENOISED, 1.0)
    middle = (ORIGINAL[..., 1, 1] + DENOISED[..., 1, 1]) / 2
    torch.testing.assert_close(blended[..., 1, 1], middle)
    torch.testing.assert_close(MaskBlend(ORIGINAL, ramp()).final(DENOISED), blended)


def test_soft_masks_hold_on_to_the_original_at_high_noise() -> None:
    blend = SoftBlend(ORIGINAL, ramp())

    def kept(sigma: float) -> float:
        blended = blend(DENOISED, sigma)[..., 1, 1]
        return float((blended - ORIGINAL[..., 1, 1]).norm())

    assert kept(10.0) < kept(2.0) < kept(0.1)
    assert torch.equal(blend.final(DENOISED), DENOISED)


def test_a_strength_of_preservation_equals_as_many_blends() -> None:
    sigma, times = 1.0, 3
    soft = SoftBlend(ORIGINAL, ramp(), preservation_strength=times, transition_contrast_boost=1.0)
    share = ramp() ** times
    expected = blend_vectors(ORIGINAL, DENOISED, share, 1.0)
    torch.testing.assert_close(soft(DENOISED, sigma), expected)


@pytest.mark.parametrize("boost", [1.0, 4.0, 32.0])
def test_lengths_are_power_means_of_the_two(boost: float) -> None:
    share = torch.full((1, 1, 3, 3), 0.5)
    blended = blend_vectors(ORIGINAL, DENOISED, share, boost)
    first, second = ORIGINAL.norm(dim=1), DENOISED.norm(dim=1)
    expected = ((first.double() ** boost + second.double() ** boost) / 2) ** (1 / boost)
    torch.testing.assert_close(blended.norm(dim=1), expected.float(), rtol=1e-4, atol=1e-4)


def test_vectors_that_cancel_each_other_stay_finite() -> None:
    share = torch.full((1, 1, 3, 3), 0.5)
    assert blend_vectors(ORIGINAL, -ORIGINAL, share, 4.0).isfinite().all()


def test_one_picture_of_a_batch_keeps_its_own_mask() -> None:
    masks = torch.stack([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    soft = SoftBlend(ORIGINAL, masks, schedule_bias=2.0)
    assert torch.equal(soft.only(1)(DENOISED[1:], 1.0), DENOISED[1:])
    assert soft.only(0).schedule_bias == 2.0
    assert len(MaskBlend(ORIGINAL, ramp()).only(1).mask) == 1
