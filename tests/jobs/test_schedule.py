"""Jobs run in order, but a loaded checkpoint may be used up first, within bounds."""

from __future__ import annotations

from dataclasses import replace

from modules.jobs.records import QUEUED, JobRecord
from modules.jobs.schedule import LOOK_AHEAD, MAX_OVERTAKEN, choose_next

BASE = JobRecord(
    id="",
    kind="txt2img",
    state=QUEUED,
    client="ui",
    position=0.0,
    created=0.0,
    started=None,
    finished=None,
    attempts=0,
    save=True,
    prepared={},
    error=None,
    warnings=(),
    facts={},
    timings={},
)


def jobs(*checkpoints):
    return [
        replace(BASE, id=str(number), prepared={"checkpoint": checkpoint})
        for number, checkpoint in enumerate(checkpoints)
    ]


def test_nothing_waits_nothing_runs():
    assert choose_next([], "a", {}) is None


def test_the_front_runs_when_its_checkpoint_is_loaded():
    assert choose_next(jobs("a", "a", "b"), "a", {}).id == "0"


def test_the_front_runs_when_nothing_is_loaded():
    assert choose_next(jobs("a", "b"), None, {}).id == "0"


def test_a_job_of_the_loaded_checkpoint_passes_the_front():
    assert choose_next(jobs("b", "b", "a"), "a", {}).id == "2"


def test_a_job_that_was_passed_often_enough_runs_next():
    assert choose_next(jobs("b", "a"), "a", {"0": MAX_OVERTAKEN}).id == "0"


def test_jobs_far_back_do_not_pass():
    waiting = jobs(*(["b"] * LOOK_AHEAD), "a")
    assert choose_next(waiting, "a", {}).id == "0"


def test_two_checkpoints_in_turn_finish_with_few_switches_and_no_one_starves():
    waiting, loaded, overtaken, order = jobs(*("ab" * 20)), "a", {}, []
    switches = 0
    while waiting:
        job = choose_next(waiting, loaded, overtaken)
        for passed in waiting:
            if passed.id == job.id:
                break
            overtaken[passed.id] = overtaken.get(passed.id, 0) + 1
        switches += job.prepared["checkpoint"] != loaded
        loaded = job.prepared["checkpoint"]
        waiting.remove(job)
        order.append(int(job.id))
    assert switches < 15
    assert all(abs(place - number) <= 2 * MAX_OVERTAKEN + 2 for place, number in enumerate(order))
