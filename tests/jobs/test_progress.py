"""Progress follows A1111's formula; the remaining time is measured, smooth and never negative."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modules.jobs.progress import Pace, ProgressMeter
from tests.jobs.test_schedule import BASE


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def meter(clock, pace=None, **fields):
    request = {"steps": 10, "n_iter": 1, "batch_size": 1, "width": 512, "height": 512, **fields}
    return ProgressMeter(
        replace(BASE, id="j", prepared={"request": request}), pace or Pace(), clock
    )


def steps(meter, clock, iteration, count, seconds, of=10):
    for step in range(1, count + 1):
        clock.now += seconds
        meter.tick(iteration, step, of)


def test_progress_counts_steps_and_batches_as_a1111_does():
    clock = Clock()
    found = meter(clock, n_iter=2)
    steps(found, clock, 1, 5, 1.0)
    assert found.snapshot().progress == pytest.approx(0.01 + 1 / 2 + 5 / 10 / 2)
    assert found.snapshot().text == "Batch 2 of 2, step 5/10"


def test_progress_never_exceeds_one():
    clock = Clock()
    found = meter(clock)
    steps(found, clock, 0, 10, 1.0)
    assert found.snapshot().progress == 1.0


def test_the_remaining_time_is_that_of_the_steps_left():
    clock = Clock()
    found = meter(clock, n_iter=2)
    found.begin_sampling()
    steps(found, clock, 0, 5, 2.0)
    assert found.snapshot().eta == pytest.approx(5 * 2.0 + 10 * 2.0)


def test_the_remaining_time_counts_down_between_steps():
    clock = Clock()
    found = meter(clock)
    steps(found, clock, 0, 5, 2.0)
    clock.now += 1.0
    assert found.snapshot().eta == pytest.approx(9.0)


def test_one_slow_step_does_not_throw_the_estimate():
    clock = Clock()
    found = meter(clock)
    steps(found, clock, 0, 5, 1.0)
    clock.now += 5.0
    found.tick(0, 6, 10)
    assert 4.0 < found.snapshot().eta < 4 * 5.0 / 2


def test_nothing_is_guessed_without_any_experience():
    assert meter(Clock()).snapshot().eta is None


def test_the_last_jobs_pace_gives_the_first_guess():
    clock, pace = Clock(), Pace()
    first = meter(clock, pace)
    steps(first, clock, 0, 10, 1.0)
    first.finish()
    assert meter(clock, pace, width=1024).snapshot().eta == pytest.approx(20.0)


def test_preview_numbers_grow():
    found = meter(Clock())
    assert [found.show("image/jpeg", b"a"), found.show("image/jpeg", b"b")] == [1, 2]
    assert found.snapshot().preview == b"b"
