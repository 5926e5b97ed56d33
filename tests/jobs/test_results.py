"""What becomes of pictures: roles, names, folders, texts."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.jobs.describe import info_object, job_json, ordered_images
from modules.jobs.records import JobRecord
from modules.requests import events
from modules.requests.extras import ExtrasRequest
from tests.jobs.conftest import ask

TEXT = "a disc\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8"
EXTRA = {"Postprocess upscale by": 2.0, "Postprocess upscaler": "Lanczos"}


def png(text: str = "") -> bytes:
    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (5, 6, 7)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@pytest.fixture
def jobs(make_service):
    service = make_service()
    service.pause_all()
    return service


def stored(jobs, **fields: Any) -> JobRecord:
    return jobs.record(jobs.submit(ask(**fields)))


def img2img(jobs, **fields: Any) -> JobRecord:
    return stored(jobs, kind="img2img", init_images=[b64(png())], **fields)


def done(record: JobRecord, role: str = "image", index: int = 0, **facts: Any) -> events.ImageDone:
    facts = {"seed": 7 + index, "prompt": "a pear", "steps": 3, **facts}
    return events.ImageDone(record.id, index, 8, 8, "RGB", bytes(192), facts=facts, role=role)


def kept(jobs, record: JobRecord, *finished: events.ImageDone) -> list[Any]:
    return [jobs.keeper.keep(record, event).result() for event in finished]


def test_pictures_beside_the_result_are_kept_only_when_wanted(jobs):
    record = img2img(jobs)
    picture, mask = kept(jobs, record, done(record), done(record, "mask"))
    assert picture.saved
    assert mask is None


def test_a_saved_mask_has_its_ending_and_is_not_among_the_results(jobs):
    record = img2img(jobs, override_settings={"save_mask": True})
    kept(jobs, record, done(record), done(record, "mask"))
    record = jobs.record(record.id)
    files = sorted(image.name for image in record.images)
    assert files == ["00000-7.png", "00001-7-mask.png"]
    assert [image.kind for image in ordered_images(record)] == ["image"]


def test_a_returned_mask_follows_its_picture_with_a_text_of_its_own(jobs):
    record = img2img(jobs, n_iter=2, override_settings={"return_mask": True})
    roles = [("image", 0), ("image", 1), ("mask", 0), ("mask", 1)]
    kept(jobs, record, *(done(record, role, index) for role, index in roles))
    record = jobs.record(record.id)
    shown = ordered_images(record)
    assert [(image.kind, image.index) for image in shown] == [
        ("image", 0), ("mask", 0), ("image", 1), ("mask", 1),
    ]  # fmt: skip
    assert not shown[1].saved
    info = info_object(record)
    assert len(info["infotexts"]) == 4
    assert len(info["all_seeds"]) == 2


def test_the_first_pass_is_saved_beside_the_second(jobs):
    record = stored(
        jobs, enable_hr=True, override_settings={"save_images_before_highres_fix": True}
    )
    before = events.ImageDone(record.id, 0, 8, 8, "RGB", bytes(192), role="before_highres_fix")
    (first,) = kept(jobs, record, before)
    assert first.name == "00000-7-before-highres-fix.png"
    assert "Seed: 7" in first.infotext
    assert first.saved


def test_info_has_a_strength_only_where_there_is_one(jobs):
    for fields, strength in (({}, None), ({"enable_hr": True, "denoising_strength": 0.6}, 0.6)):
        assert info_object(stored(jobs, **fields))["denoising_strength"] == strength
    assert info_object(img2img(jobs, denoising_strength=0.3))["denoising_strength"] == 0.3


def test_a_batch_file_keeps_its_name_in_the_chosen_folder(jobs, tmp_path):
    record = img2img(jobs, output_folder=str(tmp_path), output_name="holiday")
    (first,) = kept(jobs, record, done(record))
    (again,) = kept(jobs, record, done(record))
    assert [image.name for image in (first, again)] == ["holiday.png", "holiday-1.png"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "holiday-1.png",
        "holiday.png",
    ]


def test_a_name_cannot_leave_its_folder(jobs, tmp_path):
    record = img2img(jobs, output_folder=str(tmp_path / "in"), output_name="../../escaped")
    (image,) = kept(jobs, record, done(record))
    assert (tmp_path / "in" / image.name).is_file()


def test_init_images_are_kept_once_under_the_hash_in_the_infotext(jobs, paths):
    record = img2img(jobs, n_iter=2, override_settings={"save_init_img": True})
    first, second = kept(jobs, record, done(record), done(record, index=1))
    digest = hashlib.md5(bytes((5, 6, 7)) * 64).hexdigest()
    assert f"Init image hash: {digest}" in first.infotext
    assert f"Init image hash: {digest}" in second.infotext
    saved = list((paths.outputs / "init-images").iterdir())
    assert [path.name for path in saved] == [f"{digest}.png"]
    assert saved[0].read_bytes() == png()


# ---- extras


def extras(jobs, text: str = "", **fields: Any) -> JobRecord:
    request = ExtrasRequest(images=[b64(png(text))], upscaler_1="Lanczos", **fields)
    return jobs.record(jobs.submit(request))


def enlarged(record: JobRecord, **facts: Any) -> events.ImageDone:
    facts = {"name": "", "input": record.prepared["request"]["images"][0], "extra": EXTRA, **facts}
    return events.ImageDone(record.id, 0, 8, 8, "RGB", bytes(192), facts=facts)


def test_extras_keep_the_text_and_tell_in_a_chunk_what_they_did(jobs):
    record = extras(jobs, TEXT)
    (image,) = kept(jobs, record, enlarged(record))
    with Image.open(image.path) as file:
        assert file.text["parameters"] == TEXT
        assert file.text["extras"] == "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"
    assert image.infotext == TEXT
    assert "extras-images" in image.path


def test_a_picture_without_a_text_gets_none_but_says_what_was_done(jobs):
    record = extras(jobs)
    (image,) = kept(jobs, record, enlarged(record))
    with Image.open(image.path) as file:
        assert "parameters" not in file.text
    assert image.infotext.startswith("Postprocess upscale by: 2")


def test_extras_keep_names_and_write_captions(jobs, tmp_path):
    record = extras(jobs, names=["../a cat.jpg"], output_folder=str(tmp_path))
    facts = {"name": "../a cat.jpg", "suffix": "-flipped", "caption": "a cat, sitting"}
    (image,) = kept(jobs, record, enlarged(record, **facts))
    assert image.name == "a cat-flipped.png"
    assert (tmp_path / "a cat-flipped.txt").read_text() == "a cat, sitting"


def test_the_upscaler_can_be_part_of_the_name(jobs):
    record = extras(jobs, override_settings={"use_upscaler_name_as_suffix": True})
    (image,) = kept(jobs, record, enlarged(record))
    assert image.name.endswith("-Lanczos.png")


def test_an_extras_job_is_described_without_fields_it_has_not(jobs):
    record = extras(jobs)
    kept(jobs, record, enlarged(record))
    line = job_json(jobs.record(record.id), 1, 0.0)
    assert (line["kind"], line["seed"], line["sampler"], line["info"]) == (
        "extras", None, None, None,
    )  # fmt: skip
    assert line["images"][0]["seed"] is None
    assert line["upscaler"] == "Lanczos"


def test_what_a_script_only_shows_keeps_its_text_and_is_not_saved(jobs, paths):
    record = stored(jobs)
    (shown,) = kept(jobs, record, done(record, index=4, infotext="of a script", shown_only=True))
    assert (shown.saved, shown.infotext, shown.index) == (False, "of a script", 4)
    assert jobs.keeper.bytes_of(shown)
