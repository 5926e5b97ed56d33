"""When an engine counts as stuck, and how its end is told."""

from __future__ import annotations

import signal

import pytest

from modules.jobs.backends.endings import describe_exit
from modules.jobs.backends.environment import engine_environment
from modules.jobs.backends.watchdog import JobClock, WatchLimits, silent

LIMITS = WatchLimits(silence=10, silence_at_start=100, first_step=50, step_factor=3)


def test_silence_counts_longer_before_torch_is_imported() -> None:
    assert not silent(60, 0, ready=False, limits=LIMITS)
    assert silent(60, 0, ready=True, limits=LIMITS)
    assert silent(101, 0, ready=False, limits=LIMITS)


def test_a_job_without_a_first_step_has_its_own_limit() -> None:
    clock = JobClock(now=0)
    assert not clock.stalled(50, LIMITS)
    assert clock.stalled(51, LIMITS)


def test_later_the_usual_step_sets_the_limit() -> None:
    clock = JobClock(now=0)
    for now in (5, 7, 17, 19, 21):  # steps of 2, 10, 2 and 2 seconds
        clock.progress(now, is_step=True)
    allowed = 21 + 3 * 2 + LIMITS.step_allowance
    assert not clock.stalled(allowed, LIMITS)
    assert clock.stalled(allowed + 1, LIMITS)


def test_the_first_step_of_another_stage_may_take_longer_than_those_before() -> None:
    clock = JobClock(now=0)
    for now in (1, 2, 3):
        clock.progress(now, is_step=True)
    limits = WatchLimits(first_step=500, step_factor=3)
    assert clock.stalled(100, limits)
    clock.progress(3, is_step=False, is_stage=True)
    assert not clock.stalled(500, limits)


def test_the_limit_is_a_setting_and_0_switches_it_off() -> None:
    limits = WatchLimits.allowing(120)
    assert (limits.silence, limits.step_allowance, limits.step_factor) == (120, 120, 10)
    assert WatchLimits.allowing(1).silence >= 5
    clock = JobClock(now=0)
    assert not clock.stalled(1e9, WatchLimits.allowing(0))
    assert clock.stalled(1e9, limits)


def test_a_pause_of_the_whole_machine_is_not_the_jobs_fault() -> None:
    clock = JobClock(now=0)
    clock.pause(1000)
    assert not clock.stalled(1040, LIMITS)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-signal.SIGKILL, "out of memory"),
        (-signal.SIGSEGV, "native code"),
        (3, "exit code 3"),
        (None, "did not answer"),
    ],
)
def test_endings_are_told_in_words(code: int | None, words: str) -> None:
    assert words in describe_exit(code)


def test_the_users_own_environment_wins() -> None:
    environment = engine_environment({"HF_HUB_OFFLINE": "0", "PATH": "/bin"})
    assert environment["HF_HUB_OFFLINE"] == "0"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"
    assert environment["PATH"] == "/bin"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"  # spinning starves beside a busy program
    assert engine_environment({"OMP_WAIT_POLICY": "ACTIVE"})["OMP_WAIT_POLICY"] == "ACTIVE"
