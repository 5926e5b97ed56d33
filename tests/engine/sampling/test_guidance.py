"""Guidance, and the conversions between predictions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modules.engine.sampling.guidance import (
    GuidanceSettings,
    cfg_plan,
    combine,
    rescale_denoised,
    rescale_guidance,
)
from modules.engine.sampling.prediction import KINDS, scale_input, to_denoised, to_model_output


def _tensors(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn([2, 4, 5, 6], generator=generator) for _ in range(count)]


def test_guidance_goes_from_the_negative_beyond_the_positive() -> None:
    cond, uncond = _tensors(2)
    torch.testing.assert_close(combine([cond], [1.0], uncond, 7.0), uncond + 7 * (cond - uncond))


def test_parts_joined_by_and_count_by_their_weight() -> None:
    first, second, uncond = _tensors(3)
    kept = uncond.clone()
    combined = combine([first, second], [1.0, -0.4], uncond, 5.0)
    expected = uncond + 5 * (first - uncond) - 2 * (second - uncond)
    torch.testing.assert_close(combined, expected)
    assert torch.equal(uncond, kept)


def test_without_a_negative_pass_the_first_part_stands_in() -> None:
    first, second = _tensors(2)
    assert combine([first], [1.0], None, 1.0) is first
    torch.testing.assert_close(
        combine([first, second], [1.0, 0.5], None, 1.0), first + 0.5 * (second - first)
    )


@pytest.mark.parametrize(
    ("call", "sigma", "settings", "uncond", "scale", "reason"),
    [
        (0, 9.0, {"scale": 7.0}, True, 7.0, ""),
        (0, 9.0, {"scale": 1.0}, False, 1.0, "cfg"),
        (0, 9.0, {"scale": 1.0, "needs_uncond": True}, True, 1.0, ""),
        (0, 9.0, {"scale": 5.0, "factor": 1 / 12.5, "needs_uncond": True}, True, 0.4, ""),
        (3, 0.5, {"s_min_uncond": 1.0}, False, 1.0, "ngms"),
        (2, 0.5, {"s_min_uncond": 1.0}, True, 7.0, ""),
        (2, 0.5, {"s_min_uncond": 1.0, "s_min_uncond_all": True}, False, 1.0, "ngms"),
        (3, 1.5, {"s_min_uncond": 1.0, "s_min_uncond_all": True}, True, 7.0, ""),
        (4, 9.0, {"skip_early_cond": 0.2}, False, 1.0, "early"),
        (5, 9.0, {"skip_early_cond": 0.2}, True, 7.0, ""),
    ],
)
def test_the_negative_pass_is_left_out_only_where_it_may_be(
    call: int, sigma: float, settings: dict[str, float], uncond: bool, scale: float, reason: str
) -> None:
    plan = cfg_plan(call, 20, sigma, GuidanceSettings(**settings))
    assert (plan.uncond, plan.scale, plan.reason) == (uncond, pytest.approx(scale), reason)


def test_at_scale_one_the_negative_still_counts_when_weights_do_not_add_up() -> None:
    settings = GuidanceSettings(scale=1.0)
    assert cfg_plan(0, 20, 5.0, settings, (1.0, 0.5)).uncond
    assert not cfg_plan(0, 20, 5.0, settings, (0.75, 0.25)).uncond


def test_settings_come_from_options_and_the_request_wins() -> None:
    options = {"s_min_uncond": 2.0, "s_min_uncond_all": True, "skip_early_cond": 0.1}
    settings = GuidanceSettings.from_options(options, {"cfg_scale": 4, "s_min_uncond": 0.5})
    assert settings == GuidanceSettings(4.0, 0.5, True, 0.1)
    assert GuidanceSettings.from_options(options, {"s_min_uncond": None}).s_min_uncond == 2.0


def test_rescaling_gives_the_contrast_of_the_positive_prediction() -> None:
    guided, cond = _tensors(2)
    guided = guided * 3
    full = rescale_guidance(guided, cond, 1.0)
    torch.testing.assert_close(full.std(dim=(1, 2, 3)), cond.std(dim=(1, 2, 3)))
    half = rescale_guidance(guided, cond, 0.5)
    torch.testing.assert_close(half, 0.5 * full + 0.5 * guided)
    assert rescale_guidance(guided, cond, 0.0) is guided


def test_rescaling_predictions_of_the_result_rescales_the_models_output() -> None:
    x, guided, cond = _tensors(3)
    rescaled = rescale_denoised(guided, cond, x, 2.0, "v_prediction", 0.7)
    outputs = [to_model_output(d, x, 2.0, "v_prediction") for d in (rescaled, guided, cond)]
    torch.testing.assert_close(outputs[0], rescale_guidance(outputs[1], outputs[2], 0.7))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.03, 0.9, 14.6])
def test_a_perfect_output_denoises_perfectly(kind: str, sigma: float) -> None:
    x0, noise = _tensors(2)
    alpha, spread = (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5
    output = {
        "epsilon": noise,
        "v_prediction": alpha * noise - spread * x0,
        "sample": x0,
        "flow": noise - x0,
    }[kind]
    x = x0 + sigma * noise
    for value in (sigma, torch.full((2,), sigma)):
        denoised = to_denoised(output, x, value, kind)
        torch.testing.assert_close(denoised, x0, rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(
            to_model_output(denoised, x, value, kind), output, rtol=2e-3, atol=2e-3
        )


def test_v_prediction_is_exact_at_the_terminal_level() -> None:
    x0, noise = _tensors(2)
    sigma = 4518.76
    alpha, spread = (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5
    denoised = to_denoised(alpha * noise - spread * x0, x0 + sigma * noise, sigma, "v_prediction")
    torch.testing.assert_close(denoised, x0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_networks_input_has_unit_variance(kind: str) -> None:
    x0, noise = _tensors(2)
    scaled = scale_input(x0 + 14.6 * noise, 14.6, kind)
    assert float(scaled.std()) == pytest.approx(1, abs=0.1)


def test_a_flow_is_shown_the_mixture_of_picture_and_noise() -> None:
    x0, noise = _tensors(2)
    share = 0.25
    seen = scale_input(x0 + share / (1 - share) * noise, share / (1 - share), "flow")
    torch.testing.assert_close(seen, (1 - share) * x0 + share * noise)


def test_an_unknown_kind_is_named() -> None:
    x, output = _tensors(2)
    with pytest.raises(ValueError, match="score"):
        to_denoised(output, x, 1.0, "score")
