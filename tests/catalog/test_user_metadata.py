"""Notes beside a model: A1111's keys, other programs' keys kept, hostile files harmless."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modules.catalog.sidecar import read_sidecar
from modules.catalog.user_metadata import change_user_metadata, metadata_path, read_user_metadata
from modules.requests.errors import RequestError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "fox.v2.safetensors"
    path.write_bytes(b"weights")
    return path


def test_a1111s_notes_are_read(model: Path) -> None:
    noted = {"description": "a fox", "sd version": "SDXL", "activation text": "fx", "notes": "n"}
    noted |= {"preferred weight": 0.7, "negative text": "dog", "vae": "nice.safetensors"}
    metadata_path(model).write_text(json.dumps(noted), encoding="utf-8")
    found = read_user_metadata(model)
    assert (found.description, found.sd_version, found.activation_text) == ("a fox", "SDXL", "fx")
    assert (found.preferred_weight, found.negative_text, found.notes) == (0.7, "dog", "n")
    assert found.vae == "nice.safetensors"
    assert metadata_path(model).name == "fox.v2.json"


def test_changes_keep_the_keys_of_other_programs(model: Path) -> None:
    metadata_path(model).write_text('{"theirs": [1, {"a": 2}], "notes": "old"}')
    change_user_metadata(model, {"notes": "new", "description": ""})
    assert json.loads(metadata_path(model).read_text()) == {"theirs": [1, {"a": 2}], "notes": "new"}


def test_what_was_noted_can_be_cleared(model: Path) -> None:
    change_user_metadata(model, {"notes": "x", "default_parameters": {"steps": 4}})
    change_user_metadata(model, {"notes": "", "default_parameters": {}})
    assert read_user_metadata(model).to_json()["default_parameters"] == {}
    assert json.loads(metadata_path(model).read_text()) == {"notes": "", "default parameters": {}}


@pytest.mark.parametrize(
    "content",
    ["[1, 2]", "{", "{'a': 1}", "[" * 100_000, '"text"', "\x00", "{" + '"a":' * 5000 + "1"],
)
def test_a_file_that_is_no_object_counts_as_none_and_is_set_aside(
    model: Path, content: str
) -> None:
    metadata_path(model).write_text(content)
    assert read_user_metadata(model).description == ""
    change_user_metadata(model, {"notes": "mine"})
    assert read_user_metadata(model).notes == "mine"
    aside = list(model.parent.glob("fox.v2.json.unreadable-*"))
    assert [file.read_text() for file in aside] == [content]


def test_values_of_wrong_types_count_as_missing(model: Path) -> None:
    text = '{"description": 5, "preferred weight": NaN, "sd version": ["SD1"], '
    metadata_path(model).write_text(text + '"default parameters": {"steps": {"$": 1}, "width": 8}}')
    found = read_user_metadata(model)
    assert (found.description, found.preferred_weight, found.sd_version) == ("", 0.0, "")
    assert found.default_parameters == {"width": 8}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are of Unix")
def test_a_pipe_in_place_of_the_notes_does_not_hang(model: Path) -> None:
    os.mkfifo(metadata_path(model))
    assert read_user_metadata(model).notes == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("notes", 5),
        ("notes", "x" * 20_001),
        ("notes", "a\x00b"),
        ("preferred_weight", float("nan")),
        ("preferred_weight", 1e9),
        ("preferred_weight", True),
        ("sd_version", "SD9"),
        ("default_parameters", [1]),
        ("default_parameters", {"steps": [1]}),
        ("default_parameters", {"steps": float("inf")}),
        ("unknown", "x"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(
    model: Path, field: str, value: object
) -> None:
    with pytest.raises(RequestError) as refusal:
        change_user_metadata(model, {"description": "good", field: value})
    assert refusal.value.field.startswith(field)
    assert not metadata_path(model).exists()


def test_notes_win_over_what_ships_with_a_model(model: Path) -> None:
    shipped = {"description": "theirs", "vae_file": "a.safetensors"}
    shipped["default_parameters"] = {"steps": 20, "width": 512}
    model.with_suffix(".easel.json").write_text(json.dumps(shipped))
    change_user_metadata(
        model, {"description": "mine", "vae": "None", "default_parameters": {"steps": 4}}
    )
    found = read_sidecar(model)
    assert (found.description, found.vae_file) == ("mine", "None")
    assert found.default_parameters == {"steps": 4, "width": 512}


def test_a_folders_notes_lie_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "model.v1"
    folder.mkdir()
    change_user_metadata(folder, {"notes": "x"})
    assert (tmp_path / "model.v1.json").is_file()
