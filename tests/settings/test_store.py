from __future__ import annotations

import json
import os
import threading

import pytest

from modules.settings.options import OptionError
from modules.settings.store import OptionStore
from modules.settings.tables import build_table


@pytest.fixture
def store(tmp_path):
    return OptionStore(tmp_path / "config.json", build_table())


def reread(store):
    return OptionStore(store.path, build_table())


def test_a_change_is_on_the_disk_when_set_many_returns(store):
    assert store.set_many({"jpeg_quality": 55}) == {"jpeg_quality": (80, 55)}
    assert reread(store)["jpeg_quality"] == 55


def test_one_bad_value_stores_nothing_at_all(store):
    with pytest.raises(OptionError):
        store.set_many({"jpeg_quality": 55, "samples_format": "bmp"})
    assert store["jpeg_quality"] == 80
    assert not store.path.exists()


def test_posting_the_whole_object_back_changes_nothing(store):
    assert store.set_many(store.as_dict()) == {}


def test_unknown_keys_of_the_file_survive_a_change(store):
    store.path.write_text(json.dumps({"extension_key": [1, 2], "jpeg_quality": 60}))
    again = reread(store)
    again.set_many({"jpeg_quality": 61})
    assert json.loads(store.path.read_text())["extension_key"] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"jpeg_quality": NaN'])
def test_a_corrupt_file_is_set_aside_and_the_last_good_copy_taken(store, content):
    store.set_many({"jpeg_quality": 42})
    store.path.write_bytes(content)
    again = reread(store)
    assert again["jpeg_quality"] == 42
    assert "set aside" in again.notices[0]
    assert [p.read_bytes() for p in store.path.parent.glob("config.json.corrupt-*")] == [content]


def test_without_any_good_copy_the_defaults_are_taken(store):
    store.path.write_bytes(b"{broken")
    again = reread(store)
    assert again["jpeg_quality"] == 80
    assert "defaults" in again.notices[0]


def test_one_bad_stored_value_costs_only_that_value(store):
    store.path.write_text(json.dumps({"jpeg_quality": 900, "samples_format": "webp"}))
    again = reread(store)
    assert again["jpeg_quality"] == 80
    assert again["samples_format"] == "webp"
    assert "jpeg_quality" in again.notices[0]


def test_subscribers_hear_what_changed(store):
    heard = []
    store.subscribe(heard.append)
    store.set_many({"jpeg_quality": 55})
    store.set_many({"jpeg_quality": 55})
    assert heard == [{"jpeg_quality": (80, 55)}]


def test_overrides_act_on_a_copy_only(store):
    effective = store.with_overrides({"jpeg_quality": 10, "no_such_key": 1, "samples_format": None})
    assert effective["jpeg_quality"] == 10
    assert effective["samples_format"] == "png"
    assert store["jpeg_quality"] == 80


def test_values_handed_out_cannot_change_the_store(store):
    store["quicksettings_list"].append("x")
    store.as_dict()["quicksettings_list"].append("y")
    assert "x" not in store["quicksettings_list"]
    assert "y" not in store["quicksettings_list"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_changes_nothing(store):
    store.path.parent.chmod(0o500)
    try:
        with pytest.raises(OSError):
            store.set_many({"jpeg_quality": 55})
    finally:
        store.path.parent.chmod(0o700)
    assert store["jpeg_quality"] == 80


def test_many_writers_leave_a_whole_file(store):
    def write(value):
        store.set_many({"jpeg_quality": value})

    threads = [threading.Thread(target=write, args=(value,)) for value in range(1, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reread(store)["jpeg_quality"] == store["jpeg_quality"]
    assert not list(store.path.parent.glob("*.tmp"))


def test_safe_mode_neither_reads_nor_writes_the_file(store):
    store.set_many({"jpeg_quality": 42})
    before = store.path.read_bytes()
    safe = OptionStore(store.path, build_table(), use_file=False)
    assert safe["jpeg_quality"] == 80
    assert "config.json is left" in safe.notices[0]
    safe.set_many({"jpeg_quality": 55})
    assert safe["jpeg_quality"] == 55
    assert store.path.read_bytes() == before


def test_what_lives_in_memory_does_not_reach_the_file_with_the_next_save(tmp_path):
    path = tmp_path / "config.json"
    store = OptionStore(path, build_table())
    store.set_many({"jpeg_quality": 91})
    assert store.set_many({"randn_source": "NV", "jpeg_quality": 92}, save=False)
    assert (store["randn_source"], store["jpeg_quality"]) == ("NV", 92)
    store.set_many({"webp_lossless": True})
    again = OptionStore(path, build_table())
    assert (again["randn_source"], again["jpeg_quality"]) == ("GPU", 91)
    assert again["webp_lossless"] is True
    store.set_many({"randn_source": "NV"})
    assert OptionStore(path, build_table())["randn_source"] == "NV"


def test_a_value_in_memory_can_be_saved_or_taken_back(tmp_path):
    path = tmp_path / "config.json"
    store = OptionStore(path, build_table())
    store.set_many({"jpeg_quality": 50})
    store.set_many({"jpeg_quality": 60}, save=False)
    assert store.set_many({"jpeg_quality": 50}) == {"jpeg_quality": (60, 50)}
    store.set_many({"jpeg_quality": 70}, save=False)
    assert store.set_many({"jpeg_quality": 70}) == {}
    assert OptionStore(path, build_table())["jpeg_quality"] == 70
