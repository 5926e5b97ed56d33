"""A job that was acknowledged is on disk, whatever happens to the process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modules.jobs.compose import DataFolderInUse, DataFolderLock
from modules.jobs.records import CANCELLED, DONE, QUEUED, ImageRecord, UnknownJob
from modules.jobs.store import DatabaseUnusable, JobStore

ROOT = Path(__file__).resolve().parents[2]


def prepared(job_id, client="ui"):
    return {
        "id": job_id,
        "kind": "txt2img",
        "client": client,
        "all_seeds": [1],
        "all_prompts": ["a"],
        "warnings": [],
    }


def picture(job, index=0, image_id="a" * 32, kind="image"):
    return ImageRecord(
        id=image_id,
        job=job,
        index=index,
        kind=kind,
        path="/x.png",
        name="x.png",
        width=8,
        height=8,
        seed=1,
        infotext="t",
        saved=True,
        note=None,
        created=1.0,
        facts={"seed": 1},
    )


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs.sqlite")


def test_jobs_wait_in_the_order_they_came(store):
    for name in "abc":
        store.add(prepared(name), save=True)
    assert [job.id for job in store.waiting()] == ["a", "b", "c"]
    assert store.waiting_ids() == ["a", "b", "c"]


def test_a_job_is_read_back_as_it_was_stored(store, tmp_path):
    store.add(prepared("a"), save=False)
    store.add_image(picture("a"))
    store.update("a", state=DONE, facts={"x": 1}, timings={"total": 2.0}, warnings=["w"])
    store.close()
    again = JobStore(tmp_path / "jobs.sqlite").get("a")
    assert (again.state, again.save, again.warnings) == (DONE, False, ("w",))
    assert again.facts == {"x": 1}
    assert again.images == (picture("a"),)
    assert again.prepared == prepared("a")


def test_an_id_can_be_taken_once(store):
    store.add(prepared("a"), save=True)
    with pytest.raises(ValueError, match="exists already"):
        store.add(prepared("a"), save=True)


def test_an_unknown_job_is_named(store):
    with pytest.raises(UnknownJob):
        store.get("nobody")


def test_waiting_jobs_can_be_reordered(store):
    for name in "abc":
        store.add(prepared(name), save=True)
    store.reorder(["c", "a", "b"])
    store.add(prepared("d"), save=True)
    assert store.waiting_ids() == ["c", "a", "b", "d"]


def test_counts_are_by_state_and_client(store):
    store.add(prepared("a", "api"), save=True)
    store.add(prepared("b", "ui"), save=True)
    store.update("b", state=CANCELLED)
    assert store.count(QUEUED) == 1
    assert store.count(QUEUED, "api") == 1
    assert store.count(QUEUED, "ui") == 0


def test_a_picture_made_again_replaces_the_first(store):
    store.add(prepared("a"), save=True)
    store.add_image(picture("a"))
    store.add_image(picture("a", image_id="b" * 32))
    assert [image.id for image in store.get("a").images] == ["b" * 32]
    assert store.image("a" * 32) is None


def test_clearing_the_list_keeps_records_and_unfinished_jobs(store):
    for name in "ab":
        store.add(prepared(name), save=True)
    store.update("a", state=DONE, finished=1.0)
    assert store.hide_finished() == 1
    assert store.recent(10) == []
    assert store.get("a").state == DONE
    assert store.waiting_ids() == ["b"]


def test_a_damaged_database_is_set_aside_and_a_new_one_begun(tmp_path):
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"this is no database" * 100)
    store = JobStore(path)
    store.add(prepared("a"), save=True)
    assert store.waiting_ids() == ["a"]
    aside = list(tmp_path.glob("jobs.sqlite.corrupt-*"))
    assert len(aside) == 1
    assert aside[0].read_bytes().startswith(b"this is no database")


def test_every_acknowledged_job_survives_a_kill(tmp_path):
    """A process adds jobs and says which ones it has; it is killed in the middle, several times."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from modules.jobs.store import JobStore\n"
        "store = JobStore(Path(sys.argv[1]))\n"
        "for n in range(100000):\n"
        "    name = f'{sys.argv[2]}-{n}'\n"
        "    job = {'id': name, 'kind': 'txt2img', 'client': 'ui', 'all_seeds': [1]}\n"
        "    store.add(job, save=True)\n"
        "    sys.stdout.write(name + '\\n')\n"
        "    sys.stdout.flush()\n"
    )
    path = tmp_path / "jobs.sqlite"
    acknowledged = []
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(turn)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(0.15)
        process.kill()
        acknowledged += process.stdout.read().split("\n")[:-1]
        process.wait()
    stored = set(JobStore(path).waiting_ids())
    assert len(acknowledged) > 10
    assert set(acknowledged) <= stored
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_second_process_is_kept_out_of_the_data_folder(paths):
    first = DataFolderLock(paths)
    with pytest.raises(DataFolderInUse, match="--data-dir"):
        DataFolderLock(paths)
    first.release()
    DataFolderLock(paths).release()


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda path: path.write_text("no database" * 999)])
def test_a_lock_that_cannot_be_used_is_named_and_no_other_easel_blamed(paths, spoil):
    spoil(paths.data / "easel.lock")
    with pytest.raises(DatabaseUnusable, match=r"easel\.lock") as caught:
        DataFolderLock(paths)
    assert "Another Easel" not in str(caught.value)


def test_a_queue_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "easel.sqlite").mkdir()
    with pytest.raises(DatabaseUnusable, match=r"easel\.sqlite"):
        JobStore(tmp_path / "easel.sqlite")


def test_only_the_newest_finished_jobs_are_kept_and_waiting_ones_always(store):
    for number, name in enumerate("abcd"):
        store.add(prepared(name), save=True)
        store.add_image(picture(name, image_id=name * 32))
        if name != "a":
            store.update(name, state=DONE, finished=float(number))
    assert store.forget_finished(keep=1) == 2
    assert [job.id for job in store.recent(10)] == ["d"]
    assert store.waiting_ids() == ["a"]
    kept = [name for name in "abcd" if store.image(name * 32)]
    assert kept == ["a", "d"]
