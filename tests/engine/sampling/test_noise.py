"""Noise from seeds: A1111's order of draws, and an image in a batch equals the image alone."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torchsde

from modules.engine.sampling.noise import NoiseSource, paste_centred, slerp
from modules.engine.sampling.philox import PhiloxGenerator, _philox
from tests.engine.sampling.closed_form import karras_levels

SHAPE = (4, 8, 6)


def _source(seeds: list[int], **options: Any) -> NoiseSource:
    return NoiseSource(seeds, **{"shape": SHAPE, "rng": "CPU", **options})


def _torch_noise(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_philox_gives_the_published_numbers_of_a_cuda_device() -> None:
    # Seed 0, torch.randn(3, 4) on CUDA.
    expected = [
        *(-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564),
        *(-0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497),
    ]
    numbers = PhiloxGenerator(0).randn((3, 4)).flatten()
    np.testing.assert_allclose(numbers, expected, atol=5e-7)


@pytest.mark.parametrize(
    ("counter", "seed", "expected"),
    [
        # Known answers of the Random123 library for philox4x32-10, with counter (c, 0, t, 0).
        ((0, 0), 0, (0x6627E8D5, 0xE169C58D)),
    ],
)
def test_philox_rounds_give_the_known_answer(
    counter: tuple[int, int], seed: int, expected: tuple[int, int]
) -> None:
    first, second = _philox(counter[0], np.array([counter[1]], dtype=np.uint64), seed)
    assert (int(first[0]), int(second[0])) == expected


def test_philox_numbers_are_standard_normal_and_differ_between_calls() -> None:
    generator = PhiloxGenerator(1234567890123)
    first, second = generator.randn((4, 64, 64)), generator.randn((4, 64, 64))
    assert abs(first.mean()) < 0.03
    assert first.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.03


def test_the_first_noise_is_that_of_the_seed_and_later_noise_goes_on_from_it() -> None:
    source = _source([42])
    first, second, third = _torch_noise(42, SHAPE, SHAPE, SHAPE)
    assert torch.equal(source.initial()[0], first)
    assert torch.equal(source.next()[0], second)
    assert torch.equal(source.next()[0], third)


@pytest.mark.parametrize("rng", ["CPU", "GPU", "NV"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ensd": 31337},
        {"subseeds": [5, 6, 7], "subseed_strength": 0.3},
        {"seed_resize_from": (4, 10)},
        {"subseeds": [5, 6, 7], "subseed_strength": 0.3, "seed_resize_from": (12, 3), "ensd": 2},
    ],
)
def test_an_image_of_a_batch_has_the_noise_it_has_alone(rng: str, options: dict[str, Any]) -> None:
    batch = _source([10, 11, 12], rng=rng, **options)
    together = [batch.initial(), batch.next(), batch.next(), batch.brownian(0.03, 14.6)(5.0, 2.0)]
    for i in range(3):
        alone = dict(options)
        if "subseeds" in alone:
            alone["subseeds"] = [alone["subseeds"][i]]
        source = _source([10 + i], rng=rng, **alone)
        single = [source.initial(), source.next(), source.next()]
        single.append(source.brownian(0.03, 14.6)(5.0, 2.0))
        for ours, theirs in zip(together, single, strict=True):
            assert torch.equal(ours[i : i + 1], theirs)


def test_ensd_moves_only_the_noise_after_the_first() -> None:
    source = _source([42], ensd=100)
    assert torch.equal(source.initial()[0], _torch_noise(42, SHAPE)[0])
    assert torch.equal(source.next()[0], _torch_noise(142, SHAPE)[0])


def test_variation_goes_from_one_seed_to_the_other() -> None:
    def at(strength: float) -> torch.Tensor:
        return _source([1], subseeds=[2], subseed_strength=strength).initial()[0]

    ours, other = _torch_noise(1, SHAPE)[0], _torch_noise(2, SHAPE)[0]
    torch.testing.assert_close(at(0.0), ours)
    torch.testing.assert_close(at(1.0), other, rtol=1e-4, atol=1e-5)
    middle = at(0.5)
    torch.testing.assert_close(middle, slerp(ours, other, 0.5))
    assert float(middle.std()) == pytest.approx(1, abs=0.15)


def test_slerp_keeps_the_length_of_columns_of_equal_length() -> None:
    low, high = torch.eye(3)[None], torch.eye(3).flip(0)[None] + 0
    mixed = slerp(low, high, 0.25)
    torch.testing.assert_close(mixed[:, :, 0].norm(), torch.tensor(1.0))


def test_slerp_of_parallel_noise_is_linear_and_finite() -> None:
    noise = _torch_noise(3, SHAPE)[0]
    torch.testing.assert_close(slerp(noise, noise, 0.3), noise)


def test_seed_resize_pastes_the_small_picture_into_the_middle() -> None:
    source = _source([9], seed_resize_from=(4, 4))
    small = _torch_noise(9, (4, 4, 4))[0]
    frame = _torch_noise(9, SHAPE)[0]
    noise = source.initial()[0]
    assert torch.equal(noise[:, 2:6, 1:5], small)
    assert torch.equal(noise[:, :2], frame[:, :2])
    assert torch.equal(noise[:, :, 5:], frame[:, :, 5:])


def test_seed_resize_from_a_larger_picture_takes_its_middle() -> None:
    small, frame = torch.arange(100.0).view(1, 10, 10), torch.zeros(1, 6, 4)
    pasted = paste_centred(small, frame)
    assert torch.equal(pasted, small[:, 2:8, 3:7])


@pytest.mark.parametrize("seed", [0, 2**32, 2**63, 2**64 - 1, -1, 2**70])
@pytest.mark.parametrize("rng", ["CPU", "NV"])
def test_any_whole_number_is_a_seed(seed: int, rng: str) -> None:
    source = _source([seed], rng=rng)
    assert source.initial().isfinite().all()
    assert source.brownian(0.03, 14.6)(3.0, 2.0).isfinite().all()


@pytest.mark.parametrize("rng", ["CPU", "NV"])
def test_a_stream_goes_on_where_its_state_was_taken(rng: str) -> None:
    source = _source([4, 5], rng=rng, ensd=3)
    source.initial()
    source.next()
    state = source.state()
    expected = source.next()
    again = _source([4, 5], rng=rng, ensd=3)
    again.restore(state)
    assert torch.equal(again.next(), expected)


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="QUANTUM"):
        _source([1], rng="QUANTUM")


@pytest.mark.parametrize("levels", [karras_levels(12)[:-1], [4518.76, 40.4, 9.3, 1.0, 0.14]])
def test_brownian_noise_is_that_of_torchsdes_tree(levels: list[float]) -> None:
    ours = _source([1, 987654321]).brownian(levels[-1], levels[0])
    low, high = torch.tensor(levels[-1]), torch.tensor(levels[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it rounds its ends, and tells so
        trees = [
            torchsde.BrownianTree(low, torch.zeros(SHAPE), high, entropy=seed)
            for seed in (1, 987654321)
        ]
        for i in range(len(levels) - 1):
            sigma, sigma_next = levels[i : i + 2]
            start, end = torch.tensor(sigma), torch.tensor(sigma_next)
            expected = -torch.stack([tree(end, start) for tree in trees]) / (start - end).sqrt()
            torch.testing.assert_close(ours(sigma, sigma_next), expected, rtol=0, atol=2e-4)


def test_brownian_noise_does_not_depend_on_the_steps_before() -> None:
    many, few = _source([7]).brownian(0.03, 14.6), _source([7]).brownian(0.03, 14.6)
    for sigma, sigma_next in ((14.6, 9.0), (9.0, 8.0), (8.0, 2.0)):
        many(sigma, sigma_next)
    torch.testing.assert_close(many(2.0, 0.5), few(2.0, 0.5))


def test_brownian_increments_add_up() -> None:
    noise = _source([7]).brownian(0.03, 14.6)
    whole = noise(9.0, 2.0) * 7.0**0.5
    parts = noise(9.0, 5.0) * 4.0**0.5 + noise(5.0, 2.0) * 3.0**0.5
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_brownian_noise_has_unit_variance_and_fresh_intervals_are_independent() -> None:
    noise = NoiseSource([1, 2], shape=(4, 64, 64), rng="CPU").brownian(0.03, 14.6)
    first, second = noise(6.0, 3.0), noise(3.0, 2.9)
    for sample in (first, second):
        assert float(sample.std()) == pytest.approx(1, abs=0.02)
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.03
