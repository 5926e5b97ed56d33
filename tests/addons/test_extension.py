"""Which extensions there are and in which order their files come."""

from __future__ import annotations

import pytest

from modules.addons.extension import find_extensions, ordered_files
from modules.addons.metadata import SIZE_LIMIT, Metadata


@pytest.fixture
def make(tmp_path):
    def make_one(name, *scripts, metadata=""):
        folder = tmp_path / name
        (folder / "scripts").mkdir(parents=True)
        for script in scripts or ("main.py",):
            (folder / "scripts" / script).write_text("")
        if metadata:
            (folder / "metadata.ini").write_text(metadata, encoding="utf-8")
        return folder

    make_one.folder = tmp_path
    return make_one


def names(extensions):
    return [file.key for file in ordered_files(extensions, "scripts", ".py")]


def test_extensions_are_folders_named_in_lower_case_in_order_of_their_names(make):
    make("Zebra")
    make("apple")
    make(".git")
    make("__pycache__")
    (make.folder / "README.md").write_text("")

    assert [one.name for one in find_extensions(make.folder)] == ["apple", "zebra"]


def test_those_that_come_with_easel_are_first(make):
    make("apple")
    make("zebra")

    found = find_extensions(make.folder, builtin=["Zebra"])

    assert [(one.name, one.builtin) for one in found] == [("zebra", True), ("apple", False)]


def test_without_a_folder_there_are_none(tmp_path):
    assert find_extensions(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("disable_all", "on"), [("none", ["ours", "b"]), ("extra", ["ours"]), ("all", [])]
)
def test_extensions_are_switched_off_one_by_one_or_together(make, disable_all, on):
    for name in ("ours", "a", "b"):
        make(name)

    found = find_extensions(make.folder, builtin=["ours"], disabled=["A"], disable_all=disable_all)

    assert [one.name for one in found if one.active] == on
    assert all(one.off for one in found if one.name not in on)


def test_one_that_failed_stays_off_with_its_reason(make):
    make("a")

    (only,) = find_extensions(make.folder, reasons={"a": "it ended the program twice"})

    assert only.off == "it ended the program twice"


def test_one_whose_need_is_not_there_is_off(make):
    make("a", metadata="[Extension]\nRequires = missing")
    make("b", metadata="[Extension]\nRequires = x|a2")
    make("a2")

    found = {one.name: one for one in find_extensions(make.folder)}

    assert "missing" in found["a"].off
    assert found["b"].active


def test_files_come_by_extension_and_name(make):
    make("b", "z.py", "a.py", "notes.txt")
    make("a", "m.py")

    assert names(find_extensions(make.folder)) == ["a/m.py", "b/a.py", "b/z.py"]


def test_before_and_after_move_files_and_nothing_else(make):
    make("a", "1.py", "2.py", metadata="[scripts/1.py]\nAfter = c")
    make("b", "1.py")
    make("c", "1.py", "2.py", metadata="[scripts]\nBefore = b/1.py")

    order = names(find_extensions(make.folder))

    assert order.index("a/1.py") > max(order.index("c/1.py"), order.index("c/2.py"))
    assert order.index("b/1.py") > max(order.index("c/1.py"), order.index("c/2.py"))
    assert order.index("c/1.py") < order.index("c/2.py")


def test_a_circle_keeps_the_order_of_names(make, caplog):
    make("a", metadata="[scripts]\nAfter = b")
    make("b", metadata="[scripts]\nAfter = a")

    assert names(find_extensions(make.folder)) == ["a/main.py", "b/main.py"]
    assert "circle" in caplog.text


def test_switched_off_extensions_have_no_files_in_the_order(make):
    make("a")
    make("b")

    assert names(find_extensions(make.folder, disabled=["a"])) == ["b/main.py"]


@pytest.mark.parametrize(
    "text", ["no section\n", "[Extension\nx", "[a]\n[a]\nRequires=%(x)s", "\x00" * 10, "[x]\n=\n"]
)
def test_a_broken_file_counts_as_far_as_it_can_be_read(make, text):
    folder = make("a", metadata=text)

    Metadata.read(folder)

    assert names(find_extensions(make.folder)) == ["a/main.py"]


def test_a_huge_file_is_left_out(make):
    folder = make("a", metadata="[Extension]\nRequires = missing\n" + "#" * SIZE_LIMIT)

    assert Metadata.read(folder).sections == {}


def test_orders_of_callbacks_are_read(make):
    folder = make("a", metadata="[callbacks/a/x.py/ui_tabs]\nBefore = b/y.py/ui_tabs c")

    assert Metadata.read(folder).callback_orders() == {
        "a/x.py/ui_tabs": (("b/y.py/ui_tabs", "c"), ())
    }
