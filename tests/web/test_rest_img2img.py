"""``/sdapi/v1/img2img`` with the real engine: quirks, masks, scripts, and what is refused."""

from __future__ import annotations

import json

import pytest
from PIL import Image, ImageChops

from tests.web.conftest import SMALL
from tests.web.pictures import b64, mask, opened, photo

PATH = "/sdapi/v1/img2img"


def ask(**fields):
    return {**SMALL, "init_images": [b64(photo())], "denoising_strength": 0.4, **fields}


def made(client, **fields):
    answer = client.post(PATH, ask(**fields))
    assert answer.status == 200, answer.body
    body = answer.json()
    return [opened(text) for text in body["images"]], json.loads(body["info"])


def test_a_picture_in_any_of_the_forms_gives_the_same_result(client):
    bare = b64(photo())
    stored = client.post("/easel/v1/inputs", __import__("base64").b64decode(bare)).json()["ref"]
    results = [
        client.post(PATH, ask(init_images=[text])).json()["images"][0]
        for text in (bare, "data:image/png;base64," + bare, stored)
    ]
    assert len(set(results)) == 1


def test_no_init_image_is_404_as_upstream(client):
    for body in (SMALL, {**SMALL, "init_images": None}, {**SMALL, "init_images": []}):
        answer = client.post(PATH, body)
        assert (answer.status, answer.json()["detail"]) == (404, "Init image not found")


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("init_images", {"init_images": ["no base64"]}),
        ("init_images", {"init_images": ["aGVsbG8="]}),
        ("init_images", {"init_images": ["http://127.0.0.1:1/x.png"]}),
        ("init_images", {"init_images": ["http://localhost/x.png"]}),
        ("init_images", {"init_images": ["file:///etc/passwd"]}),
        ("init_images", {"init_images": [b64(Image.new("1", (20000, 1)))]}),
        ("init_images", {"init_images": [b64(photo(8, 8))] * 2}),
        ("mask", {"mask": "no base64"}),
        ("denoising_strength", {"denoising_strength": 1.5}),
        ("resize_mode", {"resize_mode": 9}),
        ("inpainting_fill", {"inpainting_fill": 9}),
        ("mask_blur", {"mask_blur": -1}),
        ("script_args", {"script_name": "outpainting mk2", "script_args": ["", "x"]}),
        ("outpaint", {"script_name": "outpainting mk2", "script_args": ["", 64, 8, []]}),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(client, field, fields):
    answer = client.post(PATH, ask(**fields))
    assert answer.status == 422, answer.body
    assert field in json.dumps(answer.json())


def test_a_mask_of_another_size_or_without_anything_white_is_taken(client):
    images, _ = made(client, mask=b64(mask(32, 16, (8, 4, 16, 8))), mask_blur=0)
    assert images[0].size == (64, 64)
    images, info = made(client, mask=b64(mask(box=None)), inpaint_full_res=True)
    assert images[0].size == (64, 64)
    assert info["infotexts"][0]


def test_only_the_masked_area_keeps_the_pictures_own_size(client):
    big = photo(120, 90)
    images, info = made(
        client, init_images=[b64(big)], mask=b64(mask(120, 90, (50, 40, 70, 60))), mask_blur=2
    )
    assert images[0].size == (120, 90)
    corner = ImageChops.difference(images[0].convert("RGB"), big).crop((0, 0, 30, 20))
    assert corner.getbbox() is None
    assert (
        "Masked area padding" not in info["infotexts"][0] or "Only masked" in info["infotexts"][0]
    )


def test_masks_follow_their_pictures_when_the_settings_want_them(client):
    images, info = made(
        client,
        mask=b64(mask()),
        inpaint_full_res=False,
        batch_size=2,
        override_settings={"return_mask": True, "return_mask_composite": True},
    )
    assert len(images) == len(info["infotexts"]) == 6
    assert images[1].convert("L").getextrema() == (0, 255)


def test_the_scripts_grow_the_picture_and_keep_the_original(client):
    before = photo()
    images, info = made(
        client,
        init_images=[b64(before)],
        script_name="outpainting mk2",
        script_args=["", 64, 4, ["right"], 1.0, 0.05],
    )
    assert images[0].width >= 128
    kept = ImageChops.difference(
        images[0].convert("RGB").crop((0, 0, 48, 64)), before.crop((0, 0, 48, 64))
    )
    assert kept.getbbox() is None
    assert "Outpaint" in info["infotexts"][0]


def test_soft_inpainting_comes_as_an_always_on_script(client):
    _, info = made(
        client,
        mask=b64(mask()),
        inpaint_full_res=False,
        alwayson_scripts={"Soft Inpainting": {"args": [True, 1.5]}},
    )
    assert "Soft inpainting schedule bias: 1.5" in info["infotexts"][0]


def test_an_infotext_fills_what_the_request_leaves_open(client):
    body = {"init_images": [b64(photo())], "width": 64, "height": 64}
    text = "a boat\nSteps: 2, Sampler: Euler, CFG scale: 4, Seed: 3, Size: 64x64, "
    body["infotext"] = text + "Denoising strength: 0.3, Mask blur: 2"
    answer = client.post(PATH, body)
    info = json.loads(answer.json()["info"])
    assert (info["prompt"], info["seed"], info["denoising_strength"]) == ("a boat", 3, 0.3)


def test_progress_names_the_kind_of_job(client):
    job = client.post(
        "/easel/v1/jobs", {**ask(steps=40, denoising_strength=1.0), "kind": "img2img", "n_iter": 4}
    ).json()
    while client.get(f"/easel/v1/jobs/{job['id']}").json()["state"] == "queued":
        pass
    progress = client.get("/sdapi/v1/progress").json()
    client.post(f"/easel/v1/jobs/{job['id']}/cancel")
    assert progress["state"]["job"].startswith(("Batch", "scripts_img2img"))
    assert (job["kind"], job["tab"]) == ("img2img", "img2img")
