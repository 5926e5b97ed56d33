"""Damaged files of ours: the program starts, keeps what it can, sets them aside and says so."""

from __future__ import annotations

import json
import sqlite3

import pytest

from modules.prompts import StyleBook
from modules.prompts.styles import Style
from modules.settings.damage import KEPT, set_aside
from modules.settings.flags import parse_flags
from modules.web.compose import build_context
from modules.web.live.channel import state_json

RUBBISH = (b"", b"\0" * 4096, b'{"half": [1, ', b"\xff\xfe\x00rubbish", b"[" * 100_000)


@pytest.fixture
def opened():
    """Opens contexts over a data folder and closes them again."""
    contexts = []

    def start(folder):
        flags = parse_flags(["--data-dir", str(folder), "--no-hashing"])
        contexts.append(build_context(flags))
        return contexts[-1]

    yield start
    for context in contexts:
        context.jobs.stop()
        context.lock.release()


def damaged(folder, name, content):
    """Put a damaged file there."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", RUBBISH)
def test_with_every_file_damaged_the_program_starts_and_names_them(tmp_path, opened, content):
    names = ["config.json", "cache/hashes.json", "cache/downloads.json", "tokens.json"]
    names += [] if content == b"" else ["easel.sqlite", "cache/cards.sqlite"]
    names += ["styles.csv"] if b"\0" in content else []
    for name in names:
        damaged(tmp_path, name, content)
    context = opened(tmp_path)
    assert context.options["jpeg_quality"] == 80
    assert context.styles.names() == []
    assert context.downloads.list() == []
    assert context.downloads.tokens.get("civitai") is None
    context.catalog.hashes.known(context.paths.database)
    with context.catalog.cards._store._lock:
        context.catalog.cards._store._all()
    told = {notice["params"]["file"]: notice for notice in context.notices.to_json()}
    assert set(told) == {name.split("/")[-1] for name in names}
    for name in names:
        path = tmp_path / name
        aside = path.with_name(told[path.name]["params"]["aside"])
        assert aside.read_bytes() == content
        assert aside.name in told[path.name]["text"]


def test_the_page_hears_of_it_and_can_put_it_away(tmp_path, opened):
    damaged(tmp_path, "config.json", b"{")
    context = opened(tmp_path)
    (notice,) = state_json(context)["notices"]
    assert notice["code"] == "damage_defaults"
    heard = context.jobs.subscribe(lambda: None)
    assert context.notices.dismiss(notice["id"])
    assert [message.body for message in heard.drain()] == [{"type": "notices", "notices": []}]


def test_a_queue_with_a_damaged_page_keeps_what_can_be_read(tmp_path, opened):
    context = opened(tmp_path)
    store = context.jobs.store
    for number in range(200):
        job = {"id": f"job-{number}", "kind": "txt2img", "client": "ui", "text": "x" * 2000}
        store.add(job, save=True)
    context.jobs.stop()
    context.lock.release()
    path = tmp_path / "easel.sqlite"
    content = bytearray(path.read_bytes())
    assert len(content) > 300_000
    content[200_000:212_288] = b"\xa5" * 12_288
    path.write_bytes(bytes(content))
    again = opened(tmp_path)
    (notice,) = again.notices.to_json()
    assert notice["code"] == "damage_readable"
    assert len(again.jobs.store.waiting_ids()) > 150
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_styles_that_were_zeroed_come_back_from_the_last_good_copy(tmp_path):
    path = tmp_path / "styles.csv"
    StyleBook(path).save(Style("night", "dark, {prompt}"))
    for content in (b"", b"\0" * 300):
        path.write_bytes(content)
        heard = []
        assert StyleBook(path, heard.append).names() == ["night"]
        assert [damage.instead for damage in heard] == ["last_good"]
        assert StyleBook(path, heard.append).names() == ["night"]
        assert len(heard) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-9],
        lambda data: data.replace(b"three", b"t\xe9\xe8ree"),
        lambda data: data + b"\0\0\0",
    ],
)
def test_the_rows_of_damaged_styles_that_can_be_read_stay_and_the_file_too(tmp_path, spoil):
    path = tmp_path / "styles.csv"
    book = StyleBook(path)
    for name in ("one", "two", "three"):
        book.save(Style(name, 'a "quoted" word, {prompt}'))
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    heard = []
    names = StyleBook(path, heard.append).names()
    assert names[:2] == ["one", "two"]
    assert [damage.instead for damage in heard] == ["readable"]
    assert (tmp_path / heard[0].aside).read_bytes() == spoiled
    StyleBook(path, heard.append).save(Style("four", "b"))
    assert StyleBook(path, heard.append).names() == [*names, "four"]
    assert len(heard) == 1


@pytest.mark.parametrize(
    "content", [b"", b"name,prompt,negative_prompt\r\n", b"name,text\r\nold,hi\r\n"]
)
def test_styles_that_are_only_empty_or_old_are_left_alone(tmp_path, content):
    path = tmp_path / "styles.csv"
    path.write_bytes(content)
    StyleBook(path, lambda damage: pytest.fail(damage.sentence)).names()
    assert path.read_bytes() == content


def test_a_damaged_file_is_set_aside_under_a_new_name_each_time_and_the_oldest_go(tmp_path):
    path = tmp_path / "config.json"
    for number in range(KEPT + 3):
        path.write_text(json.dumps(number))
        assert set_aside(path) is not None
    kept = {int(aside.read_text()) for aside in tmp_path.iterdir()}
    assert len(kept) == KEPT
    assert KEPT + 2 in kept
