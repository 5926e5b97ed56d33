"""Interrupt and skip act within one step, whatever the sampler is doing."""

from __future__ import annotations

import pytest

from modules.engine.generation.control import ControlBoard, JobControl
from modules.engine.generation.hooks import HookPoint
from modules.requests.events import Event, ImageDone, Step
from tests.engine.generation.conftest import Studio


def at_step(wanted: int, mode: str):
    """A listener that signals after the step number ``wanted`` of the job."""
    seen = []

    def listen(event: Event, control: JobControl) -> None:
        if isinstance(event, Step):
            seen.append(event)
            if len(seen) == wanted:
                control.signal(mode)

    return listen


def test_interrupt_ends_the_job_at_the_next_step_and_shows_what_there_is(studio: Studio) -> None:
    result = studio.make(steps=10, n_iter=3, listen=at_step(3, "interrupt"))
    assert len(result.steps) == 3
    assert result.done.interrupted is True
    (picture,) = result.of(ImageDone)
    assert picture.facts["incomplete"] is True


def test_interrupt_before_the_first_step_gives_no_picture(studio: Studio) -> None:
    def listen(event: Event, control: JobControl) -> None:
        control.signal("interrupt")

    result = studio.make(steps=10, listen=listen)
    assert result.steps == []
    assert result.pictures == []
    assert result.done.interrupted is True


def test_skip_ends_the_batch_and_goes_on_with_the_next(studio: Studio) -> None:
    result = studio.make(steps=5, n_iter=2, listen=at_step(2, "skip"))
    assert [step.iteration for step in result.steps] == [0, 0, 1, 1, 1, 1, 1]
    first, second = result.of(ImageDone)
    assert first.facts.get("incomplete") is True
    assert "incomplete" not in second.facts
    assert result.done.interrupted is False


def test_stop_after_current_finishes_the_batch(studio: Studio) -> None:
    result = studio.make(steps=5, n_iter=3, listen=at_step(2, "stop_after_current"))
    assert len(result.steps) == 5
    (picture,) = result.of(ImageDone)
    assert "incomplete" not in picture.facts
    assert result.done.interrupted is True


@pytest.mark.parametrize("sampler", ["DPM adaptive", "Heun", "DPM++ SDE", "DPM2 a"])
def test_interrupt_does_not_wait_for_the_other_evaluations_of_a_step(
    studio: Studio, sampler: str
) -> None:
    evaluations: list[int] = []
    control: list[JobControl] = []

    def count(state) -> None:
        evaluations.append(state.evaluation)
        if len(evaluations) == 3:
            control[0].signal("interrupt")

    studio.engine.hooks.add(HookPoint.CFG_DENOISER, count)
    try:
        result = studio.make(
            sampler_name=sampler, steps=8, listen=lambda event, own: control.append(own)
        )
    finally:
        studio.engine.hooks.remove(HookPoint.CFG_DENOISER, count)
    assert len(evaluations) == 3
    assert result.done.interrupted is True


def test_a_signal_reaches_a_job_that_has_not_begun() -> None:
    board = ControlBoard()
    board.open("waiting")
    assert board.signal("waiting", "interrupt")
    with board.running("waiting") as control:
        assert control.interrupted
    assert not board.signal("waiting", "interrupt")


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="interrupt, skip, stop_after_current"):
        JobControl("one").signal("explode")
