"""Single jobs are put aside and gone on with; what they have done outlives the program."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from modules.jobs.paused_states import PausedStates
from modules.jobs.records import CANCELLED, DONE, INTERRUPTED, PAUSED, QUEUED, RUNNING, UnknownJob
from modules.jobs.service import JobService
from modules.requests.errors import RequestError
from tests.jobs.conftest import Painter, ask

WAIT = 20


def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def held(make_service, painter) -> JobService:
    """A service whose engine stops within the first step until it is interrupted."""
    painter.gate.clear()
    return make_service(painter)


def running(jobs: JobService, painter: Painter, **fields: object) -> str:
    job_id = jobs.submit(ask(**fields))
    until(lambda: jobs.snapshot().job == job_id and painter.reached.is_set())
    return job_id


def paused(jobs: JobService, job_id: str, when: str = "now") -> None:
    jobs.pause(job_id, when)
    until(lambda: jobs.record(job_id).state == PAUSED)


def test_a_running_job_is_paused_and_goes_on_where_it_was(held, painter):
    job_id = running(held, painter, n_iter=2)
    paused(held, job_id)
    record = held.record(job_id)
    assert record.facts["paused"]["step"] == 1
    assert held.snapshot(job_id).phase == "paused"
    assert 0 < held.brief(record)["progress"] < 0.5
    assert not held.busy
    assert record.attempts == 0
    (line,) = held.paused_briefs()
    assert (line["id"], line["state"]) == (job_id, PAUSED)
    held.resume(job_id)
    assert held.wait(job_id, WAIT).state == DONE
    assert painter.resumed == ["", "0 1"]
    assert len(held.record(job_id).pictures()) == 2
    assert held.states.find(job_id) is None


def test_others_run_while_a_job_is_paused_and_it_goes_on_next(held, painter):
    first = running(held, painter)
    second = held.submit(ask(seed=2))
    paused(held, first)
    assert held.wait(second, WAIT).state == DONE
    held.pause_all()
    waiting = held.submit(ask(seed=3))
    held.resume(first)
    assert [line["id"] for line in held.briefs()] == [first, waiting]
    held.resume_all()
    held.wait(waiting, WAIT)
    assert painter.began == [first, second, first, waiting]


def test_after_the_current_picture_means_that_it_is_finished(held, painter):
    job_id = running(held, painter, n_iter=3)
    paused(held, job_id, "after_current")
    assert len(held.record(job_id).pictures()) == 1
    held.resume(job_id)
    assert held.wait(job_id, WAIT).state == DONE
    assert painter.resumed == ["", "1 0"]
    assert [image.seed for image in held.record(job_id).pictures()] == [7, 8, 9]


def test_a_paused_job_outlives_the_program(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = running(jobs, painter)
    paused(jobs, job_id)
    jobs.stop()
    again = Painter()
    jobs = make_service(again)
    assert jobs.record(job_id).state == PAUSED
    assert again.began == []
    jobs.resume(job_id)
    assert jobs.wait(job_id, WAIT).state == DONE
    assert again.resumed == ["0 1"]


def test_the_end_of_the_program_pauses_what_runs(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = running(jobs, painter)
    jobs.stop()
    again = Painter()
    jobs = make_service(again)
    assert jobs.wait(job_id, WAIT).state == DONE
    assert again.resumed == ["0 1"]


def test_a_waiting_job_can_be_held_back(held, painter):
    first = running(held, painter)
    second = held.submit(ask(seed=2))
    assert held.pause(second).state == PAUSED
    assert held.pause(second).state == PAUSED
    painter.gate.set()
    held.wait(first, WAIT)
    assert painter.began == [first]
    assert held.resume(second).state in (QUEUED, RUNNING)
    assert held.wait(second, WAIT).state == DONE
    assert painter.resumed == ["", ""]


def test_a_job_that_is_done_first_lets_the_long_one_go_on_behind_it(held, painter):
    long = running(held, painter, n_iter=2)
    other, short = held.submit(ask(seed=2)), held.submit(ask(seed=3))
    held.do_first(short)
    for job_id in (long, other, short):
        assert held.wait(job_id, WAIT).state == DONE
    assert painter.began == [long, short, long, other]
    assert painter.resumed == ["", "", "0 1", ""]


def test_in_a_paused_queue_first_only_moves(held, painter):
    first = running(held, painter)
    second, third = held.submit(ask(seed=2)), held.submit(ask(seed=3))
    held.pause_all()
    held.do_first(third)
    assert [line["id"] for line in held.briefs()] == [first, third, second]
    painter.gate.set()
    assert held.wait(first, WAIT).state == DONE


def test_a_paused_job_can_be_cancelled_and_leaves_nothing(held, painter):
    job_id = running(held, painter)
    paused(held, job_id)
    assert held.states.find(job_id) is not None
    assert held.cancel(job_id)
    assert held.record(job_id).state == CANCELLED
    assert held.states.find(job_id) is None
    assert held.paused_briefs() == []


def test_a_job_that_goes_on_can_be_interrupted(held, painter):
    job_id = running(held, painter, n_iter=2)
    paused(held, job_id)
    painter.gate.clear()
    held.resume(job_id)
    until(lambda: held.snapshot().job == job_id and len(painter.resumed) == 2)
    assert held.interrupt(job_id)
    assert held.wait(job_id, WAIT).state == INTERRUPTED


def test_a_state_that_cannot_be_written_is_told_and_the_job_begins_again(held, painter):
    job_id = running(held, painter)
    held.states.folder.write_text("a file where the folder should be")
    paused(held, job_id)
    (warning,) = held.record(job_id).warnings
    assert warning.startswith("What was done of the job could not be kept (")
    held.resume(job_id)
    assert held.wait(job_id, WAIT).state == DONE
    assert painter.resumed == ["", ""]


def test_a_state_that_is_gone_is_told(held, painter):
    job_id = running(held, painter)
    paused(held, job_id)
    held.states.find(job_id).unlink()
    held.resume(job_id)
    record = held.wait(job_id, WAIT)
    assert record.state == DONE
    assert "What was kept of the paused job is not there any more. It began again." in (
        record.warnings
    )


def test_a_crash_after_going_on_begins_from_the_pause_once_more(held, painter):
    job_id = running(held, painter)
    paused(held, job_id)
    painter.deaths_before_work = 1
    held.resume(job_id)
    assert held.wait(job_id, WAIT).state == DONE
    assert painter.resumed == ["", "0 1"]


def test_what_cannot_be_paused_or_resumed_is_refused_in_one_sentence(held, painter):
    job_id = running(held, painter)
    with pytest.raises(RequestError, match="allowed: now, after_current"):
        held.pause(job_id, "later")
    with pytest.raises(UnknownJob):
        held.pause("nothing")
    painter.gate.set()
    held.wait(job_id, WAIT)
    for act in (held.pause, held.resume, held.do_first):
        with pytest.raises(RequestError, match="the job is done"):
            act(job_id)


def test_states_are_bounded_and_tidied(tmp_path: Path):
    states = PausedStates(tmp_path / "paused", max_bytes=250)
    for number in range(3):
        states.put(f"../job {number}", bytes(100))
        os.utime(states.find(f"../job {number}"), (number, number))
    assert [states.find(f"../job {number}") is not None for number in range(3)] == [
        False,
        True,
        True,
    ]
    with pytest.raises(OSError, match="allowed: 250"):
        states.put("large", bytes(251))
    (states.folder / ".half.tmp").write_bytes(b"")
    (states.folder / "someone's.txt").write_bytes(b"")
    states.tidy(["../job 2"])
    assert {path.name for path in states.folder.iterdir()} == {
        states.find("../job 2").name,
        "someone's.txt",
    }
    PausedStates(tmp_path / "none").tidy([])
