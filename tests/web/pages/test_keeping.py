"""Keeping a copy of a picture, and folders on the screen."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from modules.jobs.records import ImageRecord
from modules.settings.flags import parse_flags
from modules.web.context import AppContext
from modules.web.pages import keeping

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def record(context: AppContext) -> ImageRecord:
    folder = context.paths.outputs / "txt2img-images"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "00000-7.png"
    path.write_bytes(PNG + b"first")
    return ImageRecord(
        "0" * 32, "job", 0, "image", str(path), path.name, 8, 8, 7, "", True, None, 0.0
    )


def test_a_copy_is_made_once_and_another_picture_gets_another_name(
    context: AppContext, record: ImageRecord
) -> None:
    first = keeping._keep(context, record)
    assert first == context.paths.data / "log" / "images" / "00000-7.png"
    assert keeping._keep(context, record) == first
    Path(record.path).write_bytes(PNG + b"second")
    second = keeping._keep(context, record)
    assert second.name == "00000-7-1.png"
    assert (first.read_bytes(), second.read_bytes()) == (PNG + b"first", PNG + b"second")


INFOTEXT = (
    'a cat, "old"\nNegative prompt: rain\nSteps: 5, Sampler: DDIM, CFG scale: 3, Seed: 7, '
    "Size: 64x72, Model hash: 0123456789, Model: easel-starter"
)


def test_every_new_copy_is_a_row_of_the_log(context: AppContext, record: ImageRecord) -> None:
    record = ImageRecord(**{**vars(record), "infotext": INFOTEXT, "name": "logged.png"})
    log = context.paths.data / "log" / "images" / "log.csv"
    log.unlink(missing_ok=True)
    keeping._keep(context, record)
    keeping._keep(context, record)
    Path(record.path).write_bytes(PNG + b"third")
    keeping._keep(context, record)
    with log.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["filename"] for row in rows] == ["logged.png", "logged-1.png"]
    assert rows[0] == {
        "prompt": 'a cat, "old"',
        "seed": "7",
        "width": "64",
        "height": "72",
        "sampler": "DDIM",
        "cfgs": "3",
        "steps": "5",
        "filename": "logged.png",
        "negative_prompt": "rain",
        "sd_model_name": "easel-starter",
        "sd_model_hash": "0123456789",
    }


def test_the_log_can_be_switched_off(context: AppContext, record: ImageRecord) -> None:
    log = context.paths.data / "log" / "images" / "log.csv"
    log.unlink(missing_ok=True)
    context.options.set_many({"save_write_log_csv": False})
    try:
        keeping._keep(context, ImageRecord(**{**vars(record), "name": "silent.png"}))
    finally:
        context.options.reset("save_write_log_csv")
    assert not log.exists()


def test_only_folders_of_pictures_are_shown(
    context: AppContext, record: ImageRecord, tmp_path: Path
) -> None:
    assert keeping._folder_of(context, record) == Path(record.path).parent.resolve()
    elsewhere = ImageRecord(**{**vars(record), "path": str(tmp_path / "x.png")})
    with pytest.raises(keeping.HTTPException) as refused:
        keeping._folder_of(context, elsewhere)
    assert refused.value.status_code == 404


def test_a_server_that_others_can_reach_opens_no_folders(monkeypatch) -> None:
    monkeypatch.setattr(keeping, "_opener", lambda: ["true"])
    assert keeping.can_open_folders(parse_flags([]))
    assert not keeping.can_open_folders(parse_flags(["--listen"]))
    assert not keeping.can_open_folders(parse_flags(["--hide-ui-dir-config"]))
