"""Which batch is made again, what it is compared with, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.jobs.records import UnknownJob
from modules.jobs.replay_lookup import find_in
from modules.jobs.replaying import Replays, is_replay
from modules.requests.errors import RequestError
from tests.jobs.conftest import Painter, ask

WAIT = 20


def replays_of(jobs, **more) -> Replays:
    return Replays(jobs, lambda image: Path(image.path).read_bytes(), **more)


def test_one_batch_of_a_job_is_made_again_and_nothing_is_saved(make_service, paths):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2, n_iter=3, hr_prompt="x")), WAIT)
    files = list(paths.outputs.rglob("*.png"))
    image = record.pictures()[3]
    replays = replays_of(jobs)
    job_id = replays.of_image(image.id)
    again = jobs.wait(job_id, WAIT)
    assert is_replay(again)
    assert again.prepared["all_seeds"] == record.prepared["all_seeds"][2:4]
    assert again.prepared["request"]["n_iter"] == 1
    report = replays.report(job_id)
    assert report.comparison.same
    assert (report.causes, report.original) == ((), image.id)
    assert report.image.index == 1
    assert list(paths.outputs.rglob("*.png")) == files


def test_a_replay_can_be_replayed(make_service):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2)), WAIT)
    replays = replays_of(jobs)
    first = jobs.wait(replays.of_image(record.pictures()[1].id), WAIT)
    second = replays.of_image(first.pictures()[1].id)
    jobs.wait(second, WAIT)
    assert replays.report(second).comparison.same


def test_a_known_file_is_made_again_by_the_job_that_made_it(make_service, paths):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=3)), WAIT)
    image = record.pictures()[2]
    replays = replays_of(jobs)
    job_id = replays.of_file(Path(image.path).read_bytes())
    assert len(jobs.wait(job_id, WAIT).pictures()) == 3
    report = replays.report(job_id)
    assert report.comparison.same
    assert report.original is None


def test_a_job_is_found_in_the_database_of_another_process(make_service, paths, tmp_path):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2)), WAIT)
    image = record.pictures()[1]
    known = find_in(paths.database, image.infotext)
    assert (known.image.id, known.kind) == (image.id, "txt2img")
    assert known.prepared == record.prepared
    assert find_in(paths.database, "other") is None
    assert find_in(tmp_path / "none.sqlite", image.infotext) is None
    (tmp_path / "damaged.sqlite").write_bytes(b"nothing" * 1000)
    assert find_in(tmp_path / "damaged.sqlite", image.infotext) is None


def test_a_changed_file_is_named_as_the_cause(make_service):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask()), WAIT)
    image = record.pictures()[0]
    path = Path(image.path)
    other = jobs.wait(jobs.submit(ask(seed=99)), WAIT).pictures()[0]
    path.write_bytes(Path(other.path).read_bytes())
    os.utime(path, (image.created + 100, image.created + 100))
    replays = replays_of(jobs)
    job_id = replays.of_image(image.id)
    jobs.wait(job_id, WAIT)
    report = replays.report(job_id)
    assert report.comparison.differing == 64 * 64
    assert [cause.kind for cause in report.causes] == ["changed"]


def test_what_cannot_be_made_again_is_refused(make_service, painter: Painter):
    jobs = make_service(painter)
    record = jobs.wait(jobs.submit(ask(batch_size=2)), WAIT)
    replays = replays_of(jobs)
    with pytest.raises(UnknownJob):
        replays.of_image("nothing")
    with pytest.raises(RequestError, match="kind grid cannot be made again"):
        replays.of_image(record.grid().id)
    with pytest.raises(RequestError, match="makes no picture again"):
        replays.report(record.id)
    image = record.pictures()[0]
    job_id = replays.of_image(image.id)
    jobs.wait(job_id, WAIT)
    Path(image.path).unlink()
    with pytest.raises(RequestError, match="a picture cannot be read"):
        replays.report(job_id)
