"""Input pictures are checked once and kept by their content."""

from __future__ import annotations

import io
import os
import time

import pytest
from PIL import Image

from modules.jobs.inputs import InputStore, is_reference
from modules.requests.errors import RequestError


def png(width: int = 20, height: int = 10, mode: str = "RGB", color: object = 200) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def noisy() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def inputs(paths):
    return InputStore(paths)


def test_the_bytes_stay_as_they_were_given(inputs):
    data = png()
    stored = inputs.put(data, "mask")
    assert (stored.width, stored.height, stored.has_alpha) == (20, 10, False)
    assert is_reference(stored.ref)
    assert inputs.path(stored.ref).read_bytes() == data


def test_the_same_picture_is_kept_once(inputs):
    first, second = inputs.put(png()), inputs.put(png())
    assert first == second
    assert len([path for path in inputs.folder.rglob("*") if path.is_file()]) == 1


def test_a_later_program_knows_the_picture(inputs, paths):
    stored = inputs.put(png(color=(1, 2, 3)))
    assert InputStore(paths).get(stored.ref) == stored


def test_transparency_and_turned_pictures_are_reported_as_they_look(inputs):
    assert inputs.put(png(mode="RGBA", color=(9, 9, 9, 0))).has_alpha
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(buffer, "JPEG", exif=exif)
    stored = inputs.put(buffer.getvalue())
    assert (stored.width, stored.height) == (10, 30)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", noisy()[:2000], b"x" * 5000])
def test_what_is_no_picture_is_refused_by_its_field(inputs, data):
    with pytest.raises(RequestError) as refusal:
        inputs.put(data, "init_images")
    assert refusal.value.field == "init_images"
    assert not inputs.folder.exists()


def test_a_picture_over_the_limit_is_refused_new_or_stored(inputs):
    stored = inputs.put(png(200, 100))
    for again in (
        lambda: inputs.put(png(200, 100), "image", 0.01),
        lambda: inputs.get(stored.ref, "image", 0.01),
    ):
        with pytest.raises(RequestError, match="megapixels"):
            again()


@pytest.mark.parametrize("ref", ["input:", "input:" + "0" * 63, "input:../../etc/passwd", "x"])
def test_a_reference_can_name_nothing_but_a_stored_picture(inputs, ref):
    with pytest.raises(RequestError):
        inputs.path(ref, "mask")


def test_an_unknown_reference_says_what_to_do(inputs):
    with pytest.raises(RequestError, match="send it again"):
        inputs.get("input:" + "0" * 64, "mask")


def test_old_pictures_go_unless_a_job_needs_them(inputs):
    needed, old, fresh = (inputs.put(png(8, size)) for size in (8, 16, 24))
    week_ago = time.time() - 8 * 24 * 3600
    for stored in (needed, old):
        os.utime(stored.path, (week_ago, week_ago))
    assert inputs.prune({needed.ref}) == 1
    assert [stored.path.exists() for stored in (needed, old, fresh)] == [True, False, True]


def test_giving_a_picture_again_makes_it_young(inputs):
    stored = inputs.put(png())
    os.utime(stored.path, (1, 1))
    inputs.put(png())
    assert inputs.prune(set()) == 0


def test_too_many_bytes_let_the_oldest_go_sooner(inputs):
    noisy_pictures = [inputs.put(png(8, 8 + n)) for n in range(4)]
    size = noisy_pictures[0].path.stat().st_size
    for hours, stored in zip((9, 7, 5, 0), noisy_pictures, strict=True):
        moment = time.time() - hours * 3600
        os.utime(stored.path, (moment, moment))
    assert inputs.prune({noisy_pictures[0].ref}, max_bytes=int(2.5 * size)) == 2
    assert [stored.path.exists() for stored in noisy_pictures] == [True, False, False, True]
