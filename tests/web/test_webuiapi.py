"""The PyPI client ``webuiapi`` works unmodified against the real server."""

from __future__ import annotations

import threading
import time

import pytest
import webuiapi
from PIL import Image, ImageChops, ImageDraw

SMALL = {"prompt": "a red apple", "steps": 3, "width": 64, "height": 64, "seed": 5}


@pytest.fixture(scope="module")
def api(server):
    return webuiapi.WebUIApi(host="127.0.0.1", port=server.port, steps=3)


@pytest.fixture(scope="module")
def photo():
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    ImageDraw.Draw(image).ellipse((16, 16, 48, 48), fill=(200, 30, 30))
    return image


def test_txt2img(api, client):
    result = api.txt2img(**SMALL, cfg_scale=5)
    assert result.image.size == (64, 64)
    assert (result.info["seed"], result.info["cfg_scale"]) == (5, 5)
    assert result.parameters["scheduler"] == "automatic"
    assert "init_images" not in result.parameters


def test_txt2img_with_hires_fix(api, client):
    result = api.txt2img(
        **SMALL,
        enable_hr=True,
        hr_scale=1.5,
        hr_upscaler=webuiapi.HiResUpscaler.Latent,
        hr_second_pass_steps=2,
        denoising_strength=0.6,
    )
    assert result.image.size == (96, 96)
    assert (result.info["width"], result.info["height"]) == (64, 64)
    assert result.info["denoising_strength"] == 0.6
    extra = result.info["extra_generation_params"]
    assert (extra["Hires upscale"], extra["Hires upscaler"]) == (1.5, "Latent")
    text = result.info["infotexts"][0]
    assert "Denoising strength: 0.6" in text
    assert "Hires upscale: 1.5, Hires steps: 2, Hires upscaler: Latent" in text


def test_img2img(api, client, photo):
    result = api.img2img(images=[photo], denoising_strength=0.5, **SMALL)
    assert result.image.size == (64, 64)
    assert result.info["denoising_strength"] == 0.5
    assert "Denoising strength: 0.5" in result.info["infotexts"][0]
    assert result.parameters["init_images"] is None
    sent_back = api.img2img(images=[photo], include_init_images=True, **SMALL)
    assert sent_back.parameters["init_images"][0].startswith("data:image/png;base64,")


def test_inpaint_leaves_what_is_not_masked_alone(api, client, photo):
    mask = Image.new("L", photo.size, 0)
    ImageDraw.Draw(mask).rectangle((24, 24, 40, 40), fill=255)
    result = api.img2img(images=[photo], mask_image=mask, mask_blur=2, inpainting_fill=1, **SMALL)
    assert result.image.size == photo.size
    outside = ImageChops.difference(result.image.convert("RGB"), photo).crop((0, 0, 64, 12))
    assert outside.getbbox() is None
    assert "Pixels changed outside the mask: 0" in result.info["infotexts"][0]
    assert "Mask blur: 2, Inpaint area: Only masked" in result.info["infotexts"][0]


def test_extras_single_and_batch(api, client, photo):
    single = api.extra_single_image(photo, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=2)
    assert single.image.size == (128, 128)
    assert "Postprocess upscaler: Lanczos" in single.json["html_info"]
    batch = api.extra_batch_images([photo, photo.rotate(90)], upscaler_1="Nearest")
    assert [image.size for image in batch.images] == [(128, 128)] * 2
    same = api.extra_single_image(photo)
    assert same.image.size == photo.size


def test_png_info(api, client):
    made = api.txt2img(**SMALL).image
    info = api.png_info(made)
    assert info.info.startswith("a red apple\nSteps: 3, ")
    assert info.parameters["Seed"] == "5"


def test_options(api, client):
    options = api.get_options()
    assert "forge_preset" not in options
    assert api.set_options({"CLIP_stop_at_last_layers": 2}) is None
    assert api.get_options()["CLIP_stop_at_last_layers"] == 2
    assert api.set_options({"CLIP_stop_at_last_layers": 1}) is None
    title = api.util_get_current_model()
    api.util_set_model("easel-starter")
    assert api.util_get_current_model() == title


def test_lists(api, client):
    assert api.get_upscalers()[0]["name"] == "None"
    assert "R-ESRGAN 4x+" in [row["name"] for row in api.get_realesrgan_models()]
    assert {row["name"] for row in api.get_face_restorers()} == {"CodeFormer", "GFPGAN"}
    assert "outpainting mk2" in api.get_scripts()["img2img"]
    assert "easel-starter" in " ".join(api.util_get_model_names())
    assert "Euler a" in api.util_get_sampler_names()
    for listed in (api.get_loras, api.get_hypernetworks, api.get_prompt_styles, api.get_memory):
        assert listed() is not None
    assert api.refresh_checkpoints() is None
    api.util_wait_for_ready(check_interval=0.05)


def test_interrupt_and_skip(api, client):
    assert api.skip() is None
    answers = []
    slow = {**SMALL, "steps": 40, "n_iter": 20}
    thread = threading.Thread(target=lambda: answers.append(api.txt2img(**slow)))
    thread.start()
    while api.get_progress()["state"]["job_no"] < 1:
        assert thread.is_alive()
        time.sleep(0.02)
    assert api.interrupt() == {}
    thread.join(60)
    assert 1 <= len(answers[0].images) < 20
