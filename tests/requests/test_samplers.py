"""The tables of samplers and schedule types."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modules.requests.errors import NotFoundInList
from modules.requests.samplers import (
    SAMPLERS,
    SCHEDULERS,
    effective_scheduler,
    find_sampler,
    find_scheduler,
    resolve_sampler,
)

NAMES = [
    *("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE"),
    *("Euler a", "Euler", "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart"),
    *("DDIM", "DDIM CFG++", "PLMS", "UniPC", "LCM"),
]
LABELS = [
    *("Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform"),
    *("KL Optimal", "Align Your Steps", "Simple", "Normal", "DDIM", "Beta"),
]


def test_the_twenty_samplers_come_in_the_order_of_the_original() -> None:
    assert [sampler.name for sampler in SAMPLERS] == NAMES


def test_the_twelve_schedule_types_come_in_the_order_of_the_original() -> None:
    assert [scheduler.label for scheduler in SCHEDULERS] == LABELS


@pytest.mark.parametrize(
    ("given", "sampler", "scheduler"),
    [
        (("DPM++ 2M Karras", None), "DPM++ 2M", "Automatic"),
        (("DPM++ 2M", "Karras"), "DPM++ 2M", "Automatic"),
        (("DPM++ 2M", "automatic"), "DPM++ 2M", "Automatic"),
        (("DPM++ 2M Exponential", "Karras"), "DPM++ 2M", "Exponential"),
        (("Euler a Turbo", None), "Euler a", "SGM Uniform"),
        (("Euler A Karras", None), "Euler a", "Karras"),
        (("DPM++ 2M SDE Heun Karras", None), "DPM++ 2M SDE Heun", "Karras"),
        (("DPM++ 2M SDE SGMUniform", None), "DPM++ 2M SDE", "SGM Uniform"),
        (("DPM++ 2M SDE Exponential", None), "DPM++ 2M SDE", "Automatic"),
        (("k_dpmpp_2m_ka", None), "DPM++ 2M", "Automatic"),
        (("k_lms_ka", None), "LMS", "Karras"),
        (("k_euler_a", "sgm_uniform"), "Euler a", "SGM Uniform"),
        (("euler", "align_your_steps"), "Euler", "Align Your Steps"),
        (("Euler DDIM", ""), "Euler", "DDIM"),
        ((None, None), "DPM++ 2M", "Automatic"),
        (("plms", None), "PLMS", "Automatic"),
    ],
)
def test_names_old_and_new_are_understood(
    given: tuple[str | None, str | None], sampler: str, scheduler: str
) -> None:
    found, schedule = resolve_sampler(*given)
    assert (found.name, schedule.label) == (sampler, scheduler)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_every_alias_finds_its_sampler(sampler) -> None:
    assert all(find_sampler(name) is sampler for name in (sampler.name, *sampler.aliases))


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler.name)
def test_every_schedule_type_is_found_by_name_label_and_alias(scheduler) -> None:
    names = (scheduler.name, scheduler.label, *scheduler.aliases)
    assert all(find_scheduler(name) is scheduler for name in names)


def test_an_unknown_sampler_is_refused_with_the_field_and_the_list() -> None:
    with pytest.raises(NotFoundInList) as error:
        resolve_sampler("Eulr", None)
    assert error.value.field == "sampler_name"
    assert "Euler" in error.value.sentence


@pytest.mark.parametrize("name", ["Nope Karras", "DPM++ 2M Karras Karras", "x" * 10_000])
def test_a_known_ending_does_not_save_an_unknown_sampler(name: str) -> None:
    with pytest.raises(NotFoundInList):
        resolve_sampler(name, None)


def test_an_unknown_schedule_type_is_refused_with_the_field() -> None:
    with pytest.raises(NotFoundInList) as error:
        resolve_sampler("Euler", "Karas")
    assert error.value.field == "scheduler"
    assert "Karras" in error.value.sentence


def test_automatic_is_the_samplers_own_schedule_type() -> None:
    assert effective_scheduler(*resolve_sampler("DPM++ 2M", None)).label == "Karras"
    assert effective_scheduler(*resolve_sampler("DPM++ 3M SDE", "Automatic")).label == "Exponential"
    assert effective_scheduler(*resolve_sampler("Euler a", None)).label == "Automatic"
    assert effective_scheduler(*resolve_sampler("Euler a", "Beta")).label == "Beta"


def test_second_order_samplers_count_two_model_calls_a_step() -> None:
    doubled = [sampler.name for sampler in SAMPLERS if sampler.total_steps(10) == 20]
    assert doubled == ["DPM++ SDE", "DPM++ 2S a", "Heun", "DPM2", "DPM2 a", "Restart"]


def test_the_tables_load_without_torch() -> None:
    code = "import sys, modules.requests.samplers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
