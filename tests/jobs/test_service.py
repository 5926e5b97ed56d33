"""The queue: order, interrupts, crashes, restarts, and pictures that are never lost."""

from __future__ import annotations

import json
import sqlite3
import threading
import time

import pytest

from modules.gallery import read_image_info
from modules.jobs.admission import QueueLimits
from modules.jobs.records import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    PARKED,
    QUEUED,
    RUNNING,
    QueueFull,
    UnknownJob,
)
from modules.requests.errors import RequestError
from modules.web.rest.generation import failure_answer
from tests.jobs.conftest import Painter, ask

WAIT = 20


def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def held(make_service, painter):
    """A service whose engine stops within the first step until ``painter.gate`` is set."""
    painter.gate.clear()
    return make_service(painter)


def test_a_job_runs_and_its_pictures_carry_their_parameters(make_service, paths):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2, n_iter=2)), WAIT)
    assert record.state == DONE
    assert [image.seed for image in record.pictures()] == [7, 8, 9, 10]
    for image in record.pictures():
        assert image.saved
        info = read_image_info(paths.data / image.path)
        assert info.text == image.infotext
        assert f"Seed: {image.seed}" in info.text
    assert record.grid() is not None
    assert (paths.params_file).read_text().startswith("a pear")


def test_jobs_run_in_the_order_they_came(held, painter):
    ids = [held.submit(ask(seed=n)) for n in range(4)]
    painter.gate.set()
    for job_id in ids:
        held.wait(job_id, WAIT)
    assert painter.began == ids


def test_the_queue_says_who_runs_and_who_waits_where(held, painter):
    first, second, third = (held.submit(ask(seed=n)) for n in range(3))
    until(lambda: held.snapshot().job == first)
    lines = held.briefs()
    assert [(line["id"], line["state"], line["position"]) for line in lines] == [
        (first, RUNNING, None),
        (second, QUEUED, 1),
        (third, QUEUED, 2),
    ]
    assert held.snapshot(third).text == "In queue: 2/2"


def test_a_waiting_job_can_be_moved_and_cancelled(held, painter):
    first, second, third, fourth = (held.submit(ask(seed=n)) for n in range(4))
    until(lambda: held.snapshot().job == first)
    assert held.move(fourth, "top") == 1
    assert held.move_up(third) == 2
    assert held.cancel(second)
    painter.gate.set()
    held.wait(third, WAIT)
    assert painter.began == [first, fourth, third]
    assert held.record(second).state == CANCELLED
    with pytest.raises(UnknownJob):
        held.move(second, "up")


def test_an_interrupt_keeps_the_pictures_that_are_done(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = jobs.submit(ask(n_iter=5))
    painter.reached.wait(WAIT)
    assert jobs.interrupt(job_id)
    record = jobs.wait(job_id, WAIT)
    assert record.state == INTERRUPTED
    assert len(record.pictures()) == 1


def test_an_interrupt_names_its_job(held, painter):
    first, second = held.submit(ask()), held.submit(ask())
    until(lambda: held.snapshot().job == first)
    assert not held.interrupt(second)
    assert held.interrupt(first)
    painter.gate.set()
    assert held.wait(second, WAIT).state == DONE


def test_nothing_starts_while_paused_and_the_pause_survives_a_restart(make_service, painter):
    jobs = make_service(painter)
    jobs.pause_all()
    job_id = jobs.submit(ask())
    time.sleep(0.2)
    assert jobs.record(job_id).state == QUEUED
    jobs.stop()
    again = make_service(Painter())
    assert again.paused
    time.sleep(0.2)
    assert again.record(job_id).state == QUEUED
    again.resume_all()
    assert again.wait(job_id, WAIT).state == DONE


def test_the_queue_is_bounded_for_everyone_and_for_each_client(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter, QueueLimits(total=5, per_client=3))
    running = jobs.submit(ask(), client="a")
    until(lambda: jobs.snapshot().job == running)
    for _ in range(3):
        jobs.submit(ask(), client="a")
    with pytest.raises(QueueFull, match="allowed: 3") as caught:
        jobs.submit(ask(), client="a")
    assert caught.value.retry_after >= 1
    for _ in range(2):
        jobs.submit(ask(), client="b")
    with pytest.raises(QueueFull, match="full"):
        jobs.submit(ask(), client="c")


def test_the_settings_say_how_many_jobs_may_wait(make_service):
    service = make_service(start=False)
    service.preparer.options.set_many({"max_queued_jobs_per_client": 1})
    service.submit(ask())
    with pytest.raises(QueueFull, match="allowed: 1"):
        service.submit(ask())


def test_a_job_that_kills_the_engine_twice_is_parked_and_the_next_one_runs(make_service, painter):
    painter.crash_on.add("bad")
    jobs = make_service(painter)
    jobs.submit(ask(), task_id="bad")
    good = jobs.submit(ask())
    record = jobs.wait("bad", WAIT)
    assert record.state == PARKED
    assert record.attempts == 2
    assert "signal 9" in record.error
    assert jobs.wait(good, WAIT).state == DONE
    assert painter.began == ["bad", "bad", good]


def test_a_job_is_not_blamed_for_an_engine_that_died_before_it_began(make_service, painter):
    painter.deaths_before_work = 4
    jobs = make_service(painter)
    record = jobs.wait(jobs.submit(ask()), WAIT)
    assert (record.state, record.attempts) == (DONE, 1)
    assert len(painter.began) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda prepared: json.dumps({**prepared, "all_prompts": None}),
        lambda prepared: json.dumps({**prepared, "request": {"prompt": "x"}}),
        lambda prepared: "{}",
        lambda prepared: "[1]",
        lambda prepared: '{"request": {',
        lambda prepared: "",
    ],
)
def test_a_job_that_cannot_be_read_fails_and_the_next_one_runs(make_service, painter, damage):
    jobs = make_service(painter)
    jobs.pause_all()
    old, good = jobs.submit(ask()), jobs.submit(ask())
    prepared = jobs.record(old).prepared
    with sqlite3.connect(jobs.store.path) as connection:
        query = "UPDATE jobs SET prepared = ? WHERE id = ?"
        connection.execute(query, (damage(prepared), old))
    assert len(jobs.briefs()) == 2
    jobs.resume_all()
    record = jobs.wait(old, WAIT)
    assert (record.state, record.facts) == (FAILED, {"failure": "internal"})
    assert "cannot be read" in record.error
    assert jobs.wait(good, WAIT).state == DONE
    assert jobs.describe(record)["id"] == old


def test_whoever_waits_hears_of_an_ending_that_cannot_be_stored(held, painter):
    first = held.submit(ask())
    until(lambda: held.snapshot().job == first)
    second = held.submit(ask())
    heard, told = [], threading.Event()
    held.when_finished(first, lambda record: (heard.append(record), told.set()))
    with sqlite3.connect(held.store.path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON jobs "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    painter.gate.set()
    assert told.wait(WAIT)
    assert heard[0].state == held.wait(first, WAIT).state == FAILED
    assert "disk" in heard[0].error
    with sqlite3.connect(held.store.path) as connection:
        connection.execute("DROP TRIGGER full")
    assert held.wait(second, WAIT).state == DONE
    assert held.store.get(first).state == FAILED


def test_a_skip_that_came_before_the_engine_had_the_job_is_kept(make_service, painter):
    painter.deaf = True
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = jobs.submit(ask(n_iter=2))
    assert painter.reached.wait(WAIT)
    assert jobs.skip(job_id)
    painter.deaf = False
    record = jobs.wait(job_id, WAIT)
    assert record.state == DONE
    assert [image.facts.get("incomplete") for image in record.pictures()] == [True, None]


def test_a_parked_job_can_be_tried_again(make_service, painter):
    painter.crash_on.add("bad")
    jobs = make_service(painter)
    jobs.submit(ask(), task_id="bad")
    jobs.wait("bad", WAIT)
    painter.crash_on.clear()
    jobs.retry("bad")
    assert jobs.wait("bad", WAIT).state == DONE
    with pytest.raises(RequestError):
        jobs.retry("bad")


def test_a_restart_takes_the_running_job_up_first_with_the_same_seeds(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    first, second = jobs.submit(ask(seed=-1)), jobs.submit(ask())
    until(lambda: jobs.snapshot().job == first)
    seeds = jobs.record(first).prepared["all_seeds"]
    jobs.stop()
    fresh = Painter()
    again = make_service(fresh)
    record = again.wait(first, WAIT)
    again.wait(second, WAIT)
    assert fresh.began == [first, second]
    assert record.prepared["all_seeds"] == seeds
    assert record.attempts == 1


def test_a_job_that_ran_at_two_crashes_of_the_program_is_parked(make_service, painter):
    jobs = make_service(start=False)
    job_id = jobs.submit(ask())
    jobs.store.update(job_id, state=RUNNING, attempts=2, started=time.time())
    jobs.store.close()
    again = make_service(painter)
    record = again.record(job_id)
    assert record.state == PARKED
    assert "Retry" in record.error
    assert painter.began == []


def test_pictures_saved_before_a_crash_are_not_saved_again(make_service, painter, paths):
    painter.crash_after_pictures = 1
    jobs = make_service(painter)
    record = jobs.wait(jobs.submit(ask(n_iter=2)), WAIT)
    assert len(painter.began) == 2
    assert record.state == DONE
    assert [image.seed for image in record.pictures()] == [7, 8]
    folder = paths.outputs / "txt2img-images"
    assert len(list(folder.rglob("*.png"))) == 2


def test_a_picture_that_cannot_be_saved_stays_visible_and_the_job_says_why(make_service, paths):
    blocked = paths.outputs / "txt2img-images"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where the folder should be")
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask()), WAIT)
    (image,) = record.pictures()
    assert record.state == DONE
    assert not image.saved
    assert "txt2img-images" in record.error
    assert read_image_info(paths.data / image.path).text == image.infotext


def test_a_picture_that_can_be_written_nowhere_stays_in_memory(make_service, paths):
    (paths.outputs / "txt2img-images").write_text("no folder")
    (paths.cache / "results").write_text("no folder")
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask()), WAIT)
    (image,) = record.pictures()
    assert image.path == ""
    assert read_image_info(jobs.keeper.in_memory(image.id)).text == image.infotext


def test_a_stop_in_mid_picture_leaves_no_half_done_picture_behind(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = jobs.submit(ask())
    assert painter.reached.wait(WAIT)
    jobs.stop()
    record = make_service(Painter()).wait(job_id, WAIT)
    (image,) = record.pictures()
    assert record.state == DONE
    assert "incomplete" not in image.facts


def test_retry_of_an_interrupted_job_replaces_its_half_done_picture(make_service, painter):
    painter.gate.clear()
    jobs = make_service(painter)
    job_id = jobs.submit(ask())
    assert painter.reached.wait(WAIT)
    jobs.interrupt(job_id)
    (half,) = jobs.wait(job_id, WAIT).pictures()
    assert half.facts["incomplete"]
    jobs.retry(job_id)
    (whole,) = jobs.wait(job_id, WAIT).pictures()
    assert "incomplete" not in whole.facts
    assert whole.id != half.id


@pytest.mark.parametrize("wanted", [False, True])
def test_half_done_pictures_are_saved_only_when_the_settings_ask_for_it(
    make_service, painter, paths, wanted
):
    painter.gate.clear()
    jobs = make_service(painter)
    jobs.preparer.options.set_many({"save_incomplete_images": wanted})
    job_id = jobs.submit(ask())
    assert painter.reached.wait(WAIT)
    jobs.interrupt(job_id)
    (image,) = jobs.wait(job_id, WAIT).pictures()
    assert image.saved is wanted
    assert len(list(paths.outputs.rglob("*.png"))) == int(wanted)
    assert read_image_info(image.path).text == image.infotext


def test_a_failed_job_remembers_what_kind_of_failure_it_was(make_service, painter):
    painter.fail_on["bad"] = ("model", "broken.safetensors: no header.")
    jobs = make_service(painter)
    record = jobs.wait(jobs.submit(ask(), task_id="bad"), WAIT)
    assert (record.state, record.error) == (FAILED, "broken.safetensors: no header.")
    assert failure_answer(record).status_code == 422


def test_an_unsaved_job_leaves_the_output_folder_alone(make_service, paths):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2), save=False), WAIT)
    assert list(paths.outputs.rglob("*.png")) == []
    assert all(not image.saved for image in record.images)
    assert record.grid() is None


def test_watchers_hear_states_pictures_progress_and_previews(make_service):
    jobs = make_service()
    heard, ring = [], threading.Event()
    watcher = jobs.subscribe(ring.set)
    job_id = jobs.submit(ask(steps=5))
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        ring.wait(1)
        ring.clear()
        heard += watcher.drain()
        states = [m.body["job"]["state"] for m in heard if m.body["type"] == "job"]
        if DONE in states:
            break
    kinds = {message.body["type"] for message in heard}
    assert {"job", "queue", "progress", "preview", "image"} <= kinds
    assert all(m.blob for m in heard if m.body["type"] == "preview")
    assert [m.body["image"]["seed"] for m in heard if m.body["type"] == "image"] == [7]
    assert job_id in {m.body["job"]["id"] for m in heard if m.body["type"] == "job"}


def test_a_task_id_is_kept_and_can_be_used_once(make_service):
    jobs = make_service()
    assert jobs.submit(ask(), task_id="task(abc)") == "task(abc)"
    with pytest.raises(RequestError, match="taken"):
        jobs.submit(ask(), task_id="task(abc)")
    with pytest.raises(RequestError, match="letters"):
        jobs.submit(ask(), task_id="../etc")


def test_waiting_for_a_job_ends_in_time(held, painter):
    job_id = held.submit(ask())
    with pytest.raises(TimeoutError):
        held.wait(job_id, 0.1)
    called = threading.Event()
    held.when_finished(job_id, lambda record: called.set())
    painter.gate.set()
    assert called.wait(WAIT)


def test_info_has_exactly_a1111s_keys(make_service):
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(batch_size=2)), WAIT)
    info = jobs.describe(record)["info"]
    assert list(info) == [
        *("prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds"),
        *("subseed", "all_subseeds", "subseed_strength", "width", "height", "sampler_name"),
        *("cfg_scale", "steps", "batch_size", "restore_faces", "face_restoration_model"),
        *("sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash", "seed_resize_from_w"),
        *("seed_resize_from_h", "denoising_strength", "extra_generation_params"),
        *("index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip"),
        *("is_using_inpainting_conditioning", "version"),
    ]
    assert info["index_of_first_image"] == 1
    assert len(info["infotexts"]) == 3
