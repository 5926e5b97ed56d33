"""What the disk refuses is kept, told, and written when it lets us."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from modules.cli.progress import ProgressView
from modules.cli.run import carry_out
from modules.gallery import read_image_info
from modules.jobs.records import DONE, QUEUED, RUNNING
from modules.jobs.storage import LOW, Trouble
from modules.settings.flags import parse_flags
from modules.web.compose import build_context
from tests.jobs.conftest import Painter, ask

WAIT = 20


def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def block(paths):
    folder = paths.outputs / "txt2img-images"
    folder.write_text("a file where the folder should be")
    return folder


def fill(jobs):
    """Let the queue's file refuse as a full disk does, until the returned function is called."""
    with sqlite3.connect(jobs.store.path) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    jobs.store._connection.execute(f"PRAGMA max_page_count={pages}")
    # The pages that are there already may take a little more.
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for n in range(1000):
            jobs.store.set_flag(f"x{n}", "y" * 4000)
    return lambda: jobs.store._connection.execute("PRAGMA max_page_count=1000000")


def test_a_folder_that_refuses_stops_the_queue_and_its_pictures_come_home_later(
    make_service, paths
):
    blocked = block(paths)
    jobs = make_service()
    first = jobs.wait(jobs.submit(ask()), WAIT)
    (image,) = first.pictures()
    assert first.state == DONE
    assert not image.saved
    before = jobs.keeper.bytes_of(image)
    second = jobs.submit(ask(seed=9))
    (notice,) = jobs.notices.to_json()
    assert (notice["kind"], notice["action"]) == ("error", "go_on")
    assert str(blocked) in notice["text"]
    time.sleep(0.1)
    assert jobs.record(second).state == QUEUED
    blocked.unlink()
    assert jobs.wait(second, WAIT).state == DONE
    until(lambda: jobs.notices.to_json() == [])
    record = jobs.record(first.id)
    (home,) = record.pictures()
    assert (home.id, home.saved, record.error) == (image.id, True, None)
    assert Path(home.path).read_bytes() == before
    assert read_image_info(home.path).text == home.infotext
    assert len(list(paths.outputs.rglob("*.png"))) == 2
    assert list((paths.cache / "results").rglob("*.png")) == []


def test_a_job_that_saves_nothing_runs_while_the_output_folder_refuses(make_service, paths):
    block(paths)
    jobs = make_service()
    jobs.wait(jobs.submit(ask()), WAIT)
    assert jobs.wait(jobs.submit(ask(), save=False), WAIT).state == DONE


def test_somebody_can_say_go_on_all_the_same(make_service, paths):
    block(paths)
    jobs = make_service()
    jobs.wait(jobs.submit(ask()), WAIT)
    waits = jobs.submit(ask())
    jobs.resume_all()
    assert jobs.wait(waits, WAIT).state == DONE
    (notice,) = jobs.notices.to_json()
    assert (notice["kind"], notice["action"]) == ("warning", "")


def test_another_folder_in_the_settings_ends_the_waiting(make_service, paths):
    block(paths)
    jobs = make_service()
    first = jobs.submit(ask())
    jobs.wait(first, WAIT)
    jobs.options.set_many({"outdir_txt2img_samples": str(paths.outputs / "elsewhere")})
    until(lambda: jobs.record(first).pictures()[0].saved)
    assert len(list((paths.outputs / "elsewhere").rglob("*.png"))) == 1
    until(lambda: jobs.storage.trouble is None)


def test_pictures_come_home_after_a_restart_too(make_service, paths):
    blocked = block(paths)
    jobs = make_service()
    first = jobs.submit(ask())
    jobs.wait(first, WAIT)
    jobs.stop()
    blocked.unlink()
    (image,) = make_service(Painter()).record(first).pictures()
    assert image.saved
    assert read_image_info(image.path).text == image.infotext


def test_a_picture_that_was_in_memory_alone_is_drawn_again_after_a_restart(make_service, paths):
    blocked = block(paths)
    (paths.cache / "results").write_text("no folder")
    jobs = make_service()
    first = jobs.submit(ask())
    assert jobs.wait(first, WAIT).pictures()[0].path == ""
    jobs.stop()
    blocked.unlink()
    again = make_service(Painter())
    record = again.wait(first, WAIT)
    (image,) = record.pictures()
    assert (record.state, image.saved, image.seed) == (DONE, True, 7)


def test_a_folder_of_one_jobs_own_stops_nobody_else(make_service, paths):
    bad = paths.outputs / "taken"
    bad.write_text("a file")
    jobs = make_service()
    record = jobs.wait(jobs.submit(ask(output_folder=str(bad))), WAIT)
    assert "taken" in record.error
    assert jobs.wait(jobs.submit(ask()), WAIT).state == DONE
    assert jobs.storage.trouble is None


def test_a_queue_on_a_full_disk_still_delivers_and_is_written_later(make_service, painter, paths):
    painter.gate.clear()
    jobs = make_service(painter)
    first = jobs.submit(ask(n_iter=3))
    assert painter.reached.wait(WAIT)
    second = jobs.submit(ask())
    room = fill(jobs)
    painter.gate.set()
    record = jobs.wait(first, WAIT)
    assert record.state == DONE
    assert [image.seed for image in record.pictures()] == [7, 8, 9]
    assert all(jobs.store.image(image.id) for image in record.pictures())
    assert jobs.storage.trouble is not None
    assert [line["id"] for line in jobs.briefs()] == [second]
    assert jobs.recent(1)[0].id == first
    with pytest.raises(sqlite3.OperationalError, match="full"):
        jobs.submit(ask())
    time.sleep(0.1)
    assert jobs.record(second).state == QUEUED
    room()
    assert jobs.wait(second, WAIT).state == DONE
    with sqlite3.connect(jobs.store.path) as connection:
        rows = connection.execute("SELECT saved FROM job_images WHERE job = ?", (first,)).fetchall()
        state = connection.execute("SELECT state FROM jobs WHERE id = ?", (first,)).fetchone()
    assert (len([row for row in rows if row[0]]), state) == (4, (DONE,))


def test_little_room_stops_the_queue_until_there_is_more(make_service, painter):
    jobs = make_service(painter)
    jobs.options.set_many({"disk_free_mb": 0})
    free = jobs.storage
    free._wanted_mb = lambda: 10**9
    free.look()
    waits = jobs.submit(ask(), save=False)
    assert jobs.storage.to_json()["code"] == LOW
    assert "setting: 1000000000 MB" in jobs.notices.to_json()[0]["text"]
    time.sleep(0.1)
    assert jobs.record(waits).state == QUEUED
    free._wanted_mb = lambda: 0
    free.look()
    assert jobs.wait(waits, WAIT).state == DONE
    assert jobs.notices.to_json() == []


def crashed(make_service, times, **options):
    """A service whose program died so often in a row while a job ran, and the waiting job."""
    jobs = make_service(start=False)
    if options:
        jobs.options.set_many(options)
    job_id = jobs.submit(ask())
    jobs.store.set_flag("crashes", str(times))
    jobs.store.update(job_id, state=RUNNING)
    jobs.store.close()
    return make_service(Painter()), job_id


def test_after_one_crash_the_queue_goes_on_and_after_two_it_waits(make_service):
    jobs, job_id = crashed(make_service, 0)
    assert jobs.wait(job_id, WAIT).state == DONE
    assert jobs.store.get_flag("crashes") == "0"
    jobs.stop()
    jobs, job_id = crashed(make_service, 1)
    assert jobs.paused
    assert "2 times in a row" in jobs.notices.to_json()[0]["text"]
    jobs.resume_all()
    assert jobs.wait(job_id, WAIT).state == DONE
    assert jobs.notices.to_json() == []


@pytest.mark.parametrize(("choice", "times", "paused"), [("Pause", 0, True), ("Resume", 3, False)])
def test_what_the_queue_does_after_a_crash_is_a_setting(make_service, choice, times, paused):
    jobs, _ = crashed(make_service, times, queue_after_crash=choice)
    assert jobs.paused is paused


def test_a_trouble_is_told_in_one_sentence():
    trouble = Trouble(LOW, "/data", {"free": "3", "wanted": "200"})
    assert trouble.sentence == "Only 3 MB are free in /data (setting: 200 MB)."


def test_a_program_without_a_page_never_waits(make_service, paths):
    block(paths)
    jobs = make_service(start=False)
    jobs.storage._holds = False
    jobs.start(load_first=False)
    try:
        records = [jobs.wait(jobs.submit(ask(seed=n)), WAIT) for n in range(2)]
        assert all("txt2img-images" in record.error for record in records)
    finally:
        jobs.stop()


def test_a_start_on_a_full_disk_takes_the_last_run_up_when_there_is_room(make_service):
    jobs = make_service(start=False)
    job_id = jobs.submit(ask())
    jobs.store.update(job_id, state=RUNNING)
    room = fill(jobs)
    jobs.start(load_first=False)
    try:
        assert jobs.storage.to_json()["code"] == "disk_full"
        assert jobs.record(job_id).state == RUNNING
        room()
        assert jobs.wait(job_id, WAIT).state == DONE
        assert jobs.notices.to_json() == []
    finally:
        jobs.stop()


@pytest.mark.full
def test_the_program_starts_where_not_one_byte_is_free(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone, on Linux")
    flags = parse_flags(["--data-dir", str(disk / "data"), "--no-hashing"])
    try:
        context = build_context(flags)
        context.jobs.pause_all()
        waits = context.jobs.submit(ask())
        context.jobs.stop()
        context.lock.release()
        with suppress(OSError), (disk / "filler").open("ab", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        context = build_context(flags)
        context.jobs.storage.look()
        assert context.jobs.record(waits).state == QUEUED
        with pytest.raises(sqlite3.OperationalError, match="full"):
            context.jobs.submit(ask())
        (disk / "filler").unlink()
        assert context.jobs.submit(ask())
        context.jobs.stop()
        context.lock.release()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_command_says_where_an_unsaved_picture_is_and_fails(make_service, paths, capsys):
    block(paths)
    jobs = make_service(start=False)
    jobs.storage._holds = False
    jobs.start(load_first=False)
    try:
        view = ProgressView(sys.stderr, True, "prompt")
        assert carry_out(SimpleNamespace(jobs=jobs), [ask(), ask()], view) == 1
    finally:
        jobs.stop()
    said = capsys.readouterr()
    assert said.out == ""
    kept = re.findall(r"It is kept as (.+)\.", said.err)
    assert len(kept) == 2
    assert all(read_image_info(path).text for path in kept)
