"""Our samplers against numbers that k-diffusion gave (``reference/make_k_diffusion.py``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.engine.sampling.model_sampling import ModelSampling
from modules.engine.sampling.schedules import RULES, ScheduleRequest
from modules.engine.sampling.solvers.dpm_solver import (
    fast_levels,
    sample_dpm_adaptive,
    sample_dpm_fast,
)
from modules.engine.sampling.solvers.registry import SOLVERS
from modules.engine.sampling.step import SamplerStep
from tests.engine.sampling.closed_form import TwoPeaks, Waves, start

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "k_diffusion.json").read_text(encoding="utf-8")
)
WALKS = [case for case in CASES if "sampler" in case]
SCHEDULES = [case for case in CASES if "schedule" in case]
_NOISELESS = {"lms", "dpmpp_2m"}


def _name(case: dict[str, Any]) -> str:
    options = "-".join(f"{key}={value}" for key, value in case["options"].items())
    first = case["levels"][0] if "levels" in case else ""
    return f"{case.get('sampler', case.get('schedule'))}-{options}-{first}-{case.get('image', '')}"


def _run(case: dict[str, Any], model: TwoPeaks) -> Iterator[SamplerStep]:
    name, options, levels = case["sampler"], dict(case["options"]), case["levels"]
    noise, x = Waves(), start(levels[0])
    if name == "dpm_fast":
        walk, orders = fast_levels(*levels, options.pop("n"))
        return sample_dpm_fast(model, x, walk, orders=orders, noise_sampler=noise, **options)
    if name == "dpm_adaptive":
        image = case["image"]
        draw = lambda images: noise()[image : image + 1]  # noqa: E731
        return sample_dpm_adaptive(
            model, x[image : image + 1], *levels, image_noise=draw, **options
        )
    if name not in _NOISELESS:
        options["noise_sampler"] = noise
    return SOLVERS[name](model, x, levels, **options)


@pytest.mark.parametrize("case", WALKS, ids=_name)
def test_a_sampler_gives_k_diffusions_numbers(case: dict[str, Any]) -> None:
    model = TwoPeaks()
    *_, last = _run(case, model)
    expected = torch.tensor(case["x"], dtype=torch.float64)
    error = (last.x.flatten() - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-5
    assert model.calls == case["calls"]


@pytest.mark.parametrize("case", SCHEDULES, ids=_name)
def test_a_schedule_gives_k_diffusions_numbers(case: dict[str, Any]) -> None:
    defaults = {"rho": 7.0 if case["schedule"] == "karras" else 1.0}
    model = ModelSampling.from_scheduler_config({})
    request = ScheduleRequest(model=model, **{**defaults, **case["options"]})
    sigmas: Tensor = RULES[case["schedule"]](request)
    torch.testing.assert_close(sigmas, torch.tensor(case["sigmas"]), rtol=2e-6, atol=1e-7)
