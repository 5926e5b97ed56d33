"""Fails each call of saving, settings, styles and queue once; ends with 1 when a promise breaks.

python -m tests.support.fault_loops save|settings|styles|queue|log|job FOLDER [STRIDE]
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import logging
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from PIL import Image

from modules.catalog import Catalog
from modules.gallery import DiskFullError, ImageSaveError, NameContext, save_image
from modules.gallery.keeping_log import COLUMNS, add_row
from modules.jobs.compose import build_jobs
from modules.jobs.records import DONE, ImageRecord
from modules.jobs.service import JobService
from modules.jobs.store import JobStore
from modules.prompts import StyleBook, WildcardLibrary
from modules.prompts.styles import Style
from modules.settings.flags import Flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table
from tests.jobs.conftest import Painter, ask
from tests.support.faults import Injected, every_failure, failing

PICTURE = Image.effect_noise((96, 96), 60).convert("RGB")
TEXT = "a pear\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 96x96"


def check(kept: bool, injected: Injected, what: str) -> None:
    """A promise."""
    if not kept:
        raise AssertionError(f"{injected}: {what}")


def whole_pictures(folder: Path) -> list[Path]:
    """Every picture under its final name; raises for one that is cut short."""
    found = [path for path in folder.rglob("*.png") if not path.name.startswith(".")]
    for path in found:
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            picture.load()
    return found


def save(folder: Path, stride: int) -> dict[str, int]:
    """A picture is whole or not there, and who saves it is told; nothing else is left behind."""
    numbers = itertools.count()

    def attempt(injected: Injected) -> None:
        paths = Paths.from_flags(Flags(data_dir=str(folder / str(next(numbers)))))
        paths.ensure()
        told = None
        with failing(paths.data, injected):
            try:
                options = {"save_txt": True}
                saved = save_image(PICTURE, TEXT, NameContext(seed=1), options, paths)
            except ImageSaveError as error:
                told = error
        found = whole_pictures(paths.outputs)
        if told is None:
            check(found == [saved.path], injected, f"{found} instead of {saved.path}")
        else:
            check(not found, injected, f"told {told}, but {found} is there")
            full = isinstance(told, DiskFullError)
            check(full == (injected.error == errno.ENOSPC), injected, f"told {told!r}")
        left = list(paths.outputs.rglob(".*.tmp"))
        check(not left, injected, f"{left} is left behind")

    return every_failure(attempt, stride)


def settings(folder: Path, stride: int) -> dict[str, int]:
    """A change is in force and in the file, or neither."""
    store = OptionStore(folder / "config.json", build_table())
    values = itertools.cycle(range(1, 101))

    def attempt(injected: Injected) -> None:
        before, wanted = store["jpeg_quality"], next(values)
        told = None
        with failing(folder, injected):
            try:
                store.set_many({"jpeg_quality": wanted})
            except OSError as error:
                told = error
        expected = wanted if told is None else before
        stored = OptionStore(store.path, build_table(), damaged=lambda damage: 1 / 0)
        check(store["jpeg_quality"] == expected, injected, "another value is in force")
        check(stored["jpeg_quality"] == expected, injected, "another value is in the file")
        check(not list(folder.glob(".*.tmp")), injected, "a temporary file is left behind")

    store.set_many({"jpeg_quality": 99})
    return every_failure(attempt, stride)


def styles(folder: Path, stride: int) -> dict[str, int]:
    """The styles of before, or those with the new one."""
    book = StyleBook(folder / "styles.csv", lambda damage: 1 / 0)
    book.save(Style("first", "a"))
    numbers = itertools.count()

    def attempt(injected: Injected) -> None:
        name, told = f"style {next(numbers)}", None
        before = book.names()
        with failing(folder, injected):
            try:
                book.save(Style(name, "b, {prompt}"))
            except OSError as error:
                told = error
        names = StyleBook(book.path, lambda damage: 1 / 0).names()
        check(names == (before if told else [*before, name]), injected, f"told {told}: {names}")
        check(book.names() == names, injected, "the file has others")

    return every_failure(attempt, stride)


def queue(folder: Path, stride: int) -> dict[str, int]:
    """What the queue acknowledged is there, and it goes on working after every failure."""
    path = folder / "easel.sqlite"
    store = JobStore(path)
    store.troubled = lambda error: None
    numbers = itertools.count()
    acknowledged: list[str] = []
    pictures: list[str] = []

    def add(name: str) -> None:
        store.add({"id": name, "kind": "txt2img", "client": "test", "all_seeds": [1]}, save=True)
        acknowledged.append(name)

    def attempt(injected: Injected) -> None:
        name = str(next(numbers))
        with failing(folder, injected):
            try:
                add(name)
                store.update(name, state="running")
            except sqlite3.OperationalError:
                pass
            picture = _picture(name)
            store.add_image(picture)
            pictures.append(picture.id)
        check(store.image(picture.id) is not None, injected, "a picture cannot be found")
        add(f"after {name}")
        store.write_unwritten()
        with closing(sqlite3.connect(path)) as fresh:
            found = {row[0] for row in fresh.execute("SELECT id FROM jobs")}
            shown = {row[0] for row in fresh.execute("SELECT id FROM job_images")}
        check(set(acknowledged) <= found, injected, "an acknowledged job is lost")
        check(set(pictures) <= shown, injected, "a picture's record is lost")

    counts = every_failure(attempt, stride)
    store.close()
    with closing(sqlite3.connect(path)) as fresh:
        assert fresh.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return {**counts, "acknowledged": len(acknowledged)}


def _picture(job: str) -> ImageRecord:
    return ImageRecord(
        id=f"{job:0>32}",
        job=job,
        index=0,
        kind="image",
        path="/x.png",
        name="x.png",
        width=8,
        height=8,
        seed=1,
        infotext=TEXT,
        saved=True,
        note=None,
        created=1.0,
    )


def log(folder: Path, stride: int) -> dict[str, int]:
    """log.csv has whole rows, and those that were told to be written."""
    written: list[str] = []
    numbers = itertools.count()

    def attempt(injected: Injected) -> None:
        name = f"{next(numbers)}.png"
        with failing(folder, injected):
            try:
                add_row(folder, name, TEXT)
                written.append(name)
            except OSError:
                pass
        if not written:
            return
        with (folder / "log.csv").open(newline="") as stream:
            fields = list(csv.reader(stream))
        check(all(len(row) == len(COLUMNS) for row in fields), injected, "a row is cut short")
        check(set(written) <= {row[7] for row in fields}, injected, "a row is lost")

    return every_failure(attempt, stride)


def job(folder: Path, stride: int) -> dict[str, int]:
    """A job that was acknowledged is done; its pictures are saved and recorded when the disk lets.

    While it does not, they can be seen.
    """
    numbers = itertools.count()
    refused = itertools.count()

    def attempt(injected: Injected) -> None:
        paths = Paths.from_flags(Flags(data_dir=str(folder / str(next(numbers)))))
        paths.ensure()
        options = OptionStore(paths.config_file, build_table())
        jobs = build_jobs(
            paths,
            options,
            Catalog(paths, options, hashing=False),
            StyleBook(paths.styles_file),
            WildcardLibrary(paths.wildcards),
            Painter(),
        )
        jobs.start(load_first=False)
        try:
            with failing(paths.data, injected):
                try:
                    job_id = jobs.submit(ask(n_iter=2))
                except sqlite3.OperationalError:
                    next(refused)
                    job_id = ""
                if job_id:
                    _shown(jobs, job_id, injected)
            jobs.storage.look()
            job_id = job_id or jobs.submit(ask(n_iter=2))
            record = jobs.wait(job_id, 60)
            check(record.state == DONE, injected, f"{record.state}: {record.error}")
            jobs.storage.look()
            check(jobs.storage.trouble is None, injected, f"still {jobs.storage.trouble}")
            _delivered(jobs, paths, job_id, injected)
        finally:
            jobs.stop()

    counts = every_failure(attempt, stride)
    return {**counts, "refused": next(refused)}


def _shown(jobs: JobService, job_id: str, injected: Injected) -> None:
    """While the disk refuses, the pictures of a job that ended can be looked at."""
    with suppress(TimeoutError):  # a queue that cannot be written waits until it can
        for image in jobs.wait(job_id, 0.5).pictures():
            check(bool(jobs.keeper.bytes_of(image)), injected, "a picture cannot be seen")
            check(jobs.store.image(image.id) is not None, injected, "a picture is not found")


def _delivered(jobs: JobService, paths: Paths, job_id: str, injected: Injected) -> None:
    pictures = jobs.record(job_id).pictures()
    check([image.seed for image in pictures] == [7, 8], injected, "pictures are missing")
    check(all(image.saved for image in pictures), injected, "a picture is not saved")
    files = [path for path in whole_pictures(paths.outputs) if "grid" not in path.name]
    check(sorted(files) == sorted(Path(image.path) for image in pictures), injected, f"{files}")
    with closing(sqlite3.connect(paths.database)) as fresh:
        rows = fresh.execute("SELECT id FROM job_images WHERE kind = 'image' AND saved = 1")
        check(len(rows.fetchall()) == 2, injected, "a picture is not recorded")


LOOPS: dict[str, Callable[[Path, int], dict[str, int]]] = {
    "save": save,
    "settings": settings,
    "styles": styles,
    "queue": queue,
    "log": log,
    "job": job,
}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    chosen, place, *rest = sys.argv[1:]
    Path(place).mkdir(parents=True, exist_ok=True)
    counts = LOOPS[chosen](Path(place), int(rest[0]) if rest else 1)
    sys.stdout.write(json.dumps(counts))
