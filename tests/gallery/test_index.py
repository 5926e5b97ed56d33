"""The index: ids instead of paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from modules.gallery import GalleryError, GalleryIndex, thumbnail


def make(path: Path, size: tuple[int, int] = (600, 300)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path)
    return path


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def index(tmp_path: Path, outputs: Path) -> GalleryIndex:
    return GalleryIndex(tmp_path / "db" / "gallery.sqlite", [outputs])


def test_an_id_leads_to_its_picture(index: GalleryIndex, outputs: Path) -> None:
    path = make(outputs / "a.png")
    entry = index.add(path, job="j", number=1, width=600, height=300, infotext="t")
    assert index.get(entry.id) == entry
    assert entry.path == path.resolve()


def test_ids_are_unguessable_and_strange_ones_unknown(index: GalleryIndex, outputs: Path) -> None:
    ids = {index.add(make(outputs / "a.png")).id for _ in range(20)}
    assert len(ids) == 20
    for image_id in ("", "../a.png", "x" * 24, "%00", next(iter(ids)).upper() + "a"):
        assert index.get(image_id) is None


def test_entries_survive_a_restart(tmp_path: Path, outputs: Path) -> None:
    database = tmp_path / "gallery.sqlite"
    first = GalleryIndex(database, [outputs])
    entry = first.add(make(outputs / "a.png"), infotext="Ä \ud800")
    first.close()
    again = GalleryIndex(database, [outputs]).get(entry.id)
    assert again is not None
    assert again.infotext == "Ä ?"


def test_deleted_files_vanish(index: GalleryIndex, outputs: Path) -> None:
    kept = index.add(make(outputs / "a.png"), job="j")
    gone = index.add(make(outputs / "b.png"), job="j")
    gone.path.unlink()
    assert index.get(gone.id) is None
    assert index.by_job("j") == [kept]
    assert index.recent() == [kept]
    assert index.prune() == 1
    assert index.prune() == 0


def test_a_job_shows_its_grid_first(index: GalleryIndex, outputs: Path) -> None:
    for number in (1, 0):
        index.add(make(outputs / f"{number}.png"), job="j", number=number)
    index.add(make(outputs / "g.png"), job="j", kind="grid", number=9)
    index.add(make(outputs / "o.png"), job="other")
    assert [entry.path.name for entry in index.by_job("j")] == ["g.png", "0.png", "1.png"]


def test_recent_pages_backwards(index: GalleryIndex, outputs: Path) -> None:
    for number in range(5):
        index.add(make(outputs / f"{number}.png"), created=float(number))
    assert [entry.path.stem for entry in index.recent(2)] == ["4", "3"]
    assert [entry.path.stem for entry in index.recent(2, 2)] == ["2", "1"]


def test_files_outside_the_outputs_or_no_pictures_are_not_served(
    index: GalleryIndex, outputs: Path, tmp_path: Path
) -> None:
    assert index.get(index.add(make(tmp_path / "other" / "a.png")).id) is None
    page = outputs / "x.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<script>")
    assert index.get(index.add(page).id) is None


@pytest.mark.skipif(os.name == "nt", reason="needs the right to make links")
def test_a_file_replaced_by_a_link_outside_is_not_served(
    index: GalleryIndex, outputs: Path, tmp_path: Path
) -> None:
    entry = index.add(make(outputs / "a.png"))
    entry.path.unlink()
    entry.path.symlink_to(make(tmp_path / "secret.png"))
    assert index.get(entry.id) is None


def test_removing_forgets_the_picture_and_keeps_the_file(
    index: GalleryIndex, outputs: Path
) -> None:
    entry = index.add(make(outputs / "a.png"))
    assert index.remove(entry.id)
    assert not index.remove(entry.id)
    assert entry.path.is_file()


def test_thumbnails_are_small_cached_and_follow_the_file(outputs: Path, tmp_path: Path) -> None:
    path = make(outputs / "a.png")
    small = thumbnail(path, tmp_path / "cache")
    with Image.open(small) as image:
        assert image.size == (256, 128)
    assert thumbnail(path, tmp_path / "cache") == small
    make(path, (100, 100))
    os.utime(path, ns=(1, 1))
    assert thumbnail(path, tmp_path / "cache") != small


def test_thumbnails_of_nothing_are_named_errors(outputs: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no longer there"):
        thumbnail(outputs / "none.png", tmp_path)
    broken = outputs / "broken.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no picture")
    with pytest.raises(GalleryError):
        thumbnail(broken, tmp_path)
    with pytest.raises(GalleryError, match="size"):
        thumbnail(broken, tmp_path, 9999)
