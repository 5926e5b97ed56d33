"""Jobs that a script plans: unit after unit, over crashes, pauses and interruptions."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from modules.addons.scripts.registry import PLANNED
from modules.catalog import Catalog
from modules.gallery import parse
from modules.jobs.compose import build_jobs
from modules.jobs.records import DONE, FAILED, INTERRUPTED, PAUSED
from modules.prompts import StyleBook, WildcardLibrary
from modules.requests.errors import RequestError
from modules.settings.store import OptionStore
from modules.settings.tables import build_table
from tests.jobs.conftest import Painter, ask


@pytest.fixture
def make(paths):
    """Services with the scripts, over one data folder."""
    started = []

    def build(painter=None):
        options = OptionStore(paths.config_file, build_table())
        jobs = build_jobs(
            paths,
            options,
            Catalog(paths, options, hashing=False),
            StyleBook(paths.styles_file),
            WildcardLibrary(paths.wildcards),
            painter or Painter(),
            version="easel test",
            scripts=PLANNED,
        )
        jobs.start(load_first=False)
        started.append(jobs)
        return jobs

    yield build
    for jobs in started:
        jobs.stop()


def xyz(x="", y="", x_values="", y_values="", **fields):
    args = [x or "Nothing", x_values, [], y or "Nothing", y_values, []]
    return ask(script_name="X/Y/Z plot", script_args=args, **fields)


def texts(record):
    return [parse(image.infotext).parameters for image in record.pictures()]


def test_each_cell_is_a_picture_of_the_one_job_and_the_grid_is_last(make):
    jobs = make()

    record = jobs.wait(jobs.submit(xyz("Steps", "Seed", "1, 2", "5, 6")), 30)

    assert record.state == DONE
    assert record.image_count == 4
    assert [image.index for image in record.pictures()] == [0, 1, 2, 3]
    assert {(text["Steps"], text["Seed"]) for text in texts(record)} == {
        ("1", "5"), ("1", "6"), ("2", "5"), ("2", "6")
    }  # fmt: skip
    grid = record.grid()
    assert parse(grid.infotext).parameters["X Type"] == "Steps"
    assert grid.width > 2 * 64
    assert record.facts["files"][0].endswith(".csv")


def test_the_arguments_are_checked_before_the_job_is_taken(make):
    jobs = make()

    for wrong in (xyz("Nonsense"), xyz("Steps", x_values="many"), xyz("Seed", x_values="1-1000",
                  y="Steps", y_values="1, 2")):  # fmt: skip
        with pytest.raises(RequestError):
            jobs.submit(wrong)

    assert jobs.store.waiting(10) == []


def test_a_cell_that_cannot_be_painted_leaves_its_place_empty(make):
    jobs = make()

    record = jobs.wait(jobs.submit(xyz("Size", x_values="64x64, 60000x60000")), 30)

    assert record.state == DONE
    assert len(record.pictures()) == 1
    assert "60000" in " ".join(record.warnings)


def test_when_no_cell_can_be_painted_the_job_has_failed(make, painter):
    painter.fail_on["bad"] = ("memory", "Out of memory.")
    jobs = make(painter)

    record = jobs.wait(jobs.submit(xyz("Steps", x_values="1, 2"), task_id="bad"), 30)

    assert record.state == FAILED
    assert "Out of memory" in record.error


def test_an_interruption_keeps_what_is_done_and_draws_the_grid(make, painter):
    jobs = make(painter)
    painter.gate.clear()
    job = jobs.submit(xyz("Steps", x_values="1-6"))
    painter.gate.set()
    until(lambda: len(jobs.record(job).pictures()) >= 2)
    jobs.interrupt(job)

    record = jobs.wait(job, 30)

    assert record.state in (INTERRUPTED, DONE)
    assert record.grid() is not None
    assert 2 <= len(record.pictures()) <= 6


def test_after_a_crash_only_the_cells_that_are_missing_are_painted(make, painter):
    jobs = make(painter)
    painter.crash_after_pictures = 1  # the engine dies when the first cell's picture is out

    record = jobs.wait(jobs.submit(xyz("Steps", x_values="1-3")), 30)

    assert record.state == DONE
    assert [text["Steps"] for text in texts(record)] == ["1", "2", "3"]
    assert len(painter.began) == 3


def test_a_restart_goes_on_with_the_plan(make, painter):
    jobs = make(painter)
    painter.gate.clear()
    job = jobs.submit(xyz("Steps", x_values="1-3"))
    assert painter.reached.wait(10)
    jobs.stop()

    again = make()
    record = again.wait(job, 30)

    assert record.state == DONE
    assert [text["Steps"] for text in texts(record)] == ["1", "2", "3"]


def test_a_plan_is_paused_and_gone_on_with(make, painter):
    jobs = make(painter)
    painter.gate.clear()
    job = jobs.submit(xyz("Steps", x_values="2, 3"))
    assert painter.reached.wait(10)
    jobs.pause(job)
    until(lambda: jobs.record(job).state == PAUSED)
    jobs.resume(job)

    record = jobs.wait(job, 30)

    assert record.state == DONE
    assert [text["Steps"] for text in texts(record)] == ["2", "3"]
    assert len(painter.resumed) >= 1


def test_settings_changed_while_it_waits_do_not_change_its_cells(make, painter):
    jobs = make(painter)
    painter.gate.clear()
    first = jobs.submit(ask())
    assert painter.reached.wait(10)
    job = jobs.submit(xyz("Steps", x_values="1, 2"))
    jobs.preparer.options.set_many({"CLIP_stop_at_last_layers": 3})
    painter.gate.set()
    jobs.wait(first, 30)

    record = jobs.wait(job, 30)

    assert all("Clip skip" not in text for text in texts(record))


def test_films_are_shown_and_saved(make, paths):
    jobs = make()
    asked = ask(
        script_name="seed travel",
        script_args=["9", 0, 3, False, "Linear", "mp4", 10, False],
    )

    record = jobs.wait(jobs.submit(asked), 30)

    assert record.state == DONE
    assert len(record.pictures()) == 4
    film = record.grid()
    assert film.path.endswith(".webp")
    assert Image.open(film.path).size == (64, 64)
    assert record.facts["files"][0].endswith(".mp4")
    assert record.error is None


def test_steps_on_the_way_are_neither_results_nor_saved(make, paths):
    jobs = make()
    source = jobs.keep_input(png())
    asked = ask(
        kind="img2img",
        init_images=[source.ref],
        script_name="SD upscale",
        script_args=["", 16, "None", 2.0],
    )

    record = jobs.wait(jobs.submit(asked), 30)

    assert record.state == DONE
    (result,) = record.pictures()
    assert (result.width, result.height) == (160, 128)
    assert len(list((paths.outputs / "img2img-images").rglob("*.png"))) == 1


def test_a_script_of_another_tab_is_not_found(make):
    with pytest.raises(RequestError, match="not found"):
        make().submit(ask(script_name="loopback"))


def png():
    import io

    stream = io.BytesIO()
    Image.new("RGB", (80, 64), "teal").save(stream, "PNG")
    return stream.getvalue()


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
