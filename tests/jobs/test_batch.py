"""A batch becomes one job per picture; what cannot be read is left out and named."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.jobs.batch import BatchRequest, list_pictures
from modules.requests.errors import RequestError

TEXT = (
    "a lake\nNegative prompt: fog\nSteps: 7, Sampler: Euler a, CFG scale: 3, Seed: 99, Size: 64x64"
)


def png(color=(9, 9, 9), text: str = "") -> bytes:
    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.fixture
def service(make_service):
    jobs = make_service()
    jobs.pause_all()
    return jobs


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "in"
    found.mkdir()
    for name, data in {
        "b10.png": png((1, 2, 3)),
        "b2.png": png((4, 5, 6), TEXT),
        "broken.jpg": b"\xff\xd8\xff nothing",
        "notes.txt": b"not a picture",
        ".hidden.png": png(),
    }.items():
        (found / name).write_bytes(data)
    return found


def submit(service, **fields):
    request = {"prompt": "a pear", "steps": 3, "width": 64, "height": 64, "seed": 5}
    return service.submit_batch(BatchRequest(**{"request": request, **fields}))


def requests_of(service, jobs):
    return [service.record(job["id"]).prepared["request"] for job in jobs]


def test_a_directory_gives_one_job_per_picture_and_names_the_rest(service, folder):
    jobs, skipped = submit(service, directory=str(folder))
    assert [job["name"] for job in jobs] == ["b2.png", "b10.png"]
    assert [entry["name"] for entry in skipped] == ["broken.jpg"]
    assert "picture" in skipped[0]["reason"]
    first, second = requests_of(service, jobs)
    assert first["init_images"] != second["init_images"]
    assert first["do_not_save_grid"] is True
    assert first["output_name"] is None


def test_an_output_directory_keeps_the_names(service, folder, tmp_path):
    jobs, _ = submit(service, directory=str(folder), output_directory=str(tmp_path / "out"))
    first = requests_of(service, jobs)[0]
    assert (first["output_name"], first["output_folder"]) == ("b2", str(tmp_path / "out"))


def test_uploaded_pictures_are_named_by_reference(service):
    refs = [service.keep_input(png((n, n, n))).ref for n in range(2)]
    refs.append("input:" + "0" * 64)
    jobs, skipped = submit(service, refs=refs, names=["a.png", "b.png"])
    assert [job["name"] for job in jobs] == ["a.png", "b.png"]
    assert skipped[0]["name"] == "Picture 3"
    assert "send it again" in skipped[0]["reason"]


def test_masks_belong_by_name_or_one_serves_all(service, folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "b2.webp").write_bytes(png((255, 255, 255)))
    jobs, _ = submit(service, directory=str(folder), mask_directory=str(masks))
    assert len(jobs) == 2
    (masks / "other.png").write_bytes(png((255, 255, 254)))
    jobs, skipped = submit(service, directory=str(folder), mask_directory=str(masks))
    assert [job["name"] for job in jobs] == ["b2.png"]
    assert requests_of(service, jobs)[0]["mask"]
    assert {"b10.png", "broken.jpg"} == {entry["name"] for entry in skipped}


def test_parameters_are_taken_from_each_picture(service, folder):
    fields = ["Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps"]
    jobs, _ = submit(service, directory=str(folder), png_info={"fields": fields})
    taken, own = requests_of(service, jobs)
    assert (taken["prompt"], taken["negative_prompt"]) == ("a pear a lake", "fog")
    assert (taken["seed"], taken["cfg_scale"], taken["steps"]) == (99, 3.0, 7)
    assert taken["sampler_name"] == "Euler a"
    assert (own["prompt"], own["seed"], own["steps"]) == ("a pear", 5, 3)


def test_parameters_can_lie_in_another_directory(service, folder, tmp_path):
    infos = tmp_path / "infos"
    infos.mkdir()
    (infos / "b10.png").write_bytes(png(text=TEXT))
    jobs, _ = submit(
        service, directory=str(folder), png_info={"directory": str(infos), "fields": ["Steps"]}
    )
    assert [request["steps"] for request in requests_of(service, jobs)] == [3, 7]


def test_extras_of_a_directory(service, folder):
    jobs, skipped = submit(
        service, kind="extras", directory=str(folder), request={"upscaler_1": "Lanczos"}
    )
    assert (len(jobs), len(skipped)) == (2, 1)
    assert requests_of(service, jobs)[0]["names"] == ["b2.png"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "refs"),
        ({"directory": "/no/such/place"}, "directory"),
        ({"refs": ["x"], "mask_directory": "/no/such/place"}, "mask_directory"),
        ({"refs": ["x"], "request": {"steps": 0}}, "steps"),
    ],
)
def test_what_concerns_all_pictures_is_refused(service, fields, field):
    with pytest.raises(RequestError) as caught:
        submit(service, **fields)
    assert caught.value.field == field


def test_an_empty_directory_is_refused(service, tmp_path):
    with pytest.raises(RequestError, match="no picture"):
        submit(service, directory=str(tmp_path))


def test_a_fault_of_the_request_is_told_once(service, folder):
    request = {"sampler_name": "Nobody", "width": 64, "height": 64}
    with pytest.raises(RequestError) as caught:
        submit(service, directory=str(folder), request=request)
    assert caught.value.field == "sampler_name"


def test_pictures_are_in_the_order_that_people_expect(folder):
    assert [path.name for path in list_pictures(folder)] == ["b2.png", "b10.png", "broken.jpg"]
