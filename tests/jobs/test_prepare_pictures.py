"""Jobs with pictures: every form of a picture becomes a reference, sizes are checked first."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.limits import TEST_LIMITS
from tests.jobs.conftest import ask


def png(width: int = 96, height: int = 64, color: object = (200, 10, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@pytest.fixture
def preparer(make_service):
    return make_service(start=False).preparer


def img2img(preparer, **fields):
    fields = {"kind": "img2img", "init_images": [b64(png())], **fields}
    return preparer.prepare(ask(**fields), "id", "ui")


def extras(preparer, **fields):
    fields = {"images": [b64(png())], **fields}
    return preparer.prepare(ExtrasRequest(**fields), "id", "ui")


def test_pictures_become_references_with_their_files(preparer):
    data = png()
    stored = preparer.inputs.put(data)
    texts = [b64(data), "data:image/png;base64," + b64(data), stored.ref]
    jobs = [img2img(preparer, init_images=[text], mask=text) for text in texts]
    for job in jobs:
        assert job.request["init_images"] == [stored.ref]
        assert job.request["mask"] == stored.ref
        assert job.inputs == {stored.ref: str(stored.path)}


@pytest.mark.parametrize("field", ["init_images", "mask", "latent_mask", "depth_map"])
@pytest.mark.parametrize("text", ["!!!", "", "aGVsbG8=", "/etc/passwd", "input:" + "0" * 64])
def test_what_is_no_picture_is_refused_by_its_field(preparer, field, text):
    value = [text] if field == "init_images" else text
    if field != "init_images" and not text:
        return
    with pytest.raises(RequestError) as caught:
        img2img(preparer, **{field: value})
    assert caught.value.field == field


def test_a_depth_map_becomes_a_reference_in_both_kinds_of_job_and_is_not_sent_back(preparer):
    data = png(color=(9, 9, 9))
    stored = preparer.inputs.put(data)
    for kind, more in (("img2img", {"init_images": [b64(png())]}), ("txt2img", {})):
        request = ask(kind=kind, depth_map=b64(data), **more)
        job = preparer.prepare(request, "id", "ui")
        assert job.request["depth_map"] == stored.ref
        assert job.inputs[stored.ref] == str(stored.path)
        assert "depth_map" not in request.as_parameters()


def test_files_of_this_machine_are_no_pictures(preparer):
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x.png", "http://127.0.0.1:9/x.png"):
        with pytest.raises(RequestError) as caught:
            img2img(preparer, init_images=[address])
        assert caught.value.field == "init_images"


def test_the_size_follows_the_picture_when_it_is_scaled(preparer):
    job = img2img(preparer, scale_by=1.5, width=512, height=512)
    assert (job.request["width"], job.request["height"]) == (144, 96)
    with pytest.raises(RequestError, match="megapixels"):
        img2img(preparer, init_images=[b64(png(2000, 2000))], scale_by=8)


def test_several_pictures_are_a_batch(preparer):
    two = [b64(png()), b64(png(color=(1, 2, 3)))]
    assert len(img2img(preparer, init_images=two, batch_size=4).all_seeds) == 2
    with pytest.raises(RequestError) as caught:
        img2img(preparer, init_images=two, batch_size=1)
    assert caught.value.field == "init_images"


def test_one_mask_blur_sets_both(preparer):
    job = img2img(preparer, mask_blur=9)
    assert (job.request["mask_blur_x"], job.request["mask_blur_y"]) == (9, 9)


def test_txt2img_carries_no_pictures_along(preparer):
    job = preparer.prepare(ask(init_images=["nonsense"], mask="nonsense"), "id", "ui")
    assert (job.request["init_images"], job.request["mask"], job.inputs) == ([], None, {})


def test_a_finished_first_pass_decides_the_size(preparer):
    job = preparer.prepare(ask(enable_hr=True, firstpass_image=b64(png(120, 75))), "id", "ui")
    assert (job.request["width"], job.request["height"]) == (120, 72)
    assert job.request["firstpass_image"] in job.inputs


def test_outpainting_needs_a_side_and_stays_within_the_limit(preparer):
    with pytest.raises(RequestError, match="at least one side"):
        img2img(preparer, outpaint={})
    job = img2img(preparer, outpaint={"left": 64, "method": "edge"})
    assert job.request["outpaint"]["left"] == 64
    preparer.options.set_many({"max_result_megapixels": 1.0})
    with pytest.raises(RequestError) as caught:
        img2img(preparer, outpaint={"left": 4096, "right": 4096, "up": 4096})
    assert caught.value.field == "outpaint"


# ---- second pass and refiner


def test_the_second_pass_is_settled_by_name(preparer):
    job = preparer.prepare(
        ask(
            enable_hr=True,
            hr_upscaler="lanczos",
            hr_sampler_name="Euler a Karras",
            hr_scheduler="Use same scheduler",
            hr_checkpoint_name="Use same checkpoint",
            refiner_checkpoint="easel-starter",
            refiner_switch_at=0.8,
        ),
        "id",
        "ui",
    )
    assert job.request["hr_upscaler"] == "Lanczos"
    assert list(job.resources["upscalers"]) == ["Lanczos"]
    assert (job.request["hr_sampler_name"], job.request["hr_scheduler"]) == ("Euler a", "Karras")
    assert job.request["hr_checkpoint_name"] is None
    assert job.resources["refiner"] == job.checkpoint
    assert job.request["refiner_checkpoint"].startswith("easel-starter")


def test_without_wishes_the_second_pass_is_like_the_first(preparer):
    job = preparer.prepare(ask(enable_hr=True, hr_sampler_name="Use same sampler"), "id", "ui")
    assert job.request["hr_upscaler"] == "Latent"
    assert job.request["hr_sampler_name"] is job.request["hr_scheduler"] is None
    assert "hires_prompts" not in job.resources


def test_the_second_pass_has_prompts_of_its_own(preparer):
    job = preparer.prepare(
        ask(enable_hr=True, prompt="a {red|red} pear", hr_prompt="{blue|blue} # no", n_iter=2),
        "id",
        "ui",
    )
    assert [text.strip() for text in job.resources["hires_prompts"]] == ["blue", "blue"]
    assert job.resources["hires_negative_prompts"] == job.all_negative_prompts


def test_old_clients_give_the_goal_as_the_size(preparer):
    job = preparer.prepare(
        ask(enable_hr=True, width=256, height=128, firstphase_width=128), "id", "ui"
    )
    request = job.request
    assert (request["hr_resize_x"], request["hr_resize_y"]) == (256, 128)
    assert request["width"] == 128


def test_faces_are_restored_by_the_request_or_by_the_settings(preparer):
    assert img2img(preparer).resources == {}
    job = img2img(preparer, restore_faces=True)
    assert {"GFPGAN", "CodeFormer"} <= set(job.resources["restorers"])
    preparer.options.set_many({"face_restoration": True})
    assert img2img(preparer).request["restore_faces"] is True
    assert img2img(preparer, restore_faces=False).request["restore_faces"] is False


# ---- scripts


def script(preparer, name, args):
    return img2img(preparer, script_name=name, script_args=args).request


def test_a1111s_outpainting_scripts_are_doors_to_ours(preparer):
    mk2 = script(preparer, "Outpainting mk2", ["", 64, 12, ["left", "up"], 0.5, 0.2])
    assert mk2["outpaint"]["method"] == "noise"
    sides = [mk2["outpaint"][side] for side in ("left", "right", "up", "down")]
    assert sides == [64, 0, 64, 0]
    assert mk2["outpaint"]["mask_blur"] == 12
    assert (mk2["outpaint"]["fall_off"], mk2["outpaint"]["colour_variation"]) == (0.5, 0.2)
    assert (mk2["script_name"], mk2["script_args"]) == (None, [])
    poor = script(preparer, "poor man's outpainting", [8, 4, "original", ["down"]])
    assert (poor["outpaint"]["method"], poor["inpainting_fill"]) == ("tiled", 1)


def test_arguments_that_are_left_out_have_the_controls_values(preparer):
    request = script(preparer, "outpainting mk2", [])
    assert [request["outpaint"][side] for side in ("left", "down")] == [128, 128]


@pytest.mark.parametrize(
    "args", [["", "many"], ["", 64, 8, ["inwards"]], ["", -5], ["", 64, 8, ["left"], 99]]
)
def test_arguments_that_do_not_fit_are_refused(preparer, args):
    with pytest.raises(RequestError) as caught:
        script(preparer, "outpainting mk2", args)
    assert caught.value.field == "script_args"


def test_soft_inpainting_is_an_always_on_script(preparer):
    job = img2img(preparer, alwayson_scripts={"Soft Inpainting": {"args": [True, 2]}})
    assert job.request["soft_inpainting"]["schedule_bias"] == 2
    assert job.request["soft_inpainting"]["preservation_strength"] == 0.5
    off = img2img(preparer, alwayson_scripts={"soft inpainting": {"args": []}})
    assert off.request["soft_inpainting"] is None


def test_scripts_are_known_where_they_belong(preparer):
    for fields in (
        {"script_name": "outpainting mk2"},
        {"alwayson_scripts": {"soft inpainting": {"args": [True]}}},
    ):
        with pytest.raises(RequestError):
            preparer.prepare(ask(**fields), "id", "ui")
    with pytest.raises(RequestError) as caught:
        img2img(preparer, alwayson_scripts={"outpainting mk2": {"args": []}})
    assert caught.value.field == "alwayson_scripts"


# ---- extras


def test_extras_carry_their_pictures_and_upscalers(preparer):
    job = extras(preparer, upscaler_1="r-esrgan 4x+", upscaler_2="Lanczos", gfpgan_visibility=0.5)
    assert (job.kind, job.checkpoint, len(job.inputs)) == ("extras", None, 1)
    assert set(job.resources["upscalers"]) == {"R-ESRGAN 4x+", "Lanczos"}
    assert job.request["upscaler_1"] == "R-ESRGAN 4x+"
    assert "GFPGAN" in job.resources["restorers"]


@pytest.mark.parametrize("field", ["upscaler_1", "upscaler_2"])
def test_an_unknown_upscaler_is_refused_with_the_list(preparer, field):
    with pytest.raises(NotFoundInList) as caught:
        extras(preparer, **{field: "Enlarger 3000"})
    assert caught.value.field == field
    assert caught.value.allowed[:3] == ["None", "Lanczos", "Nearest"]


def test_huge_results_are_refused_by_arithmetic(preparer):
    for fields in (
        {"upscaling_resize": 32, "images": [b64(png(2000, 2000))]},
        {"resize_mode": 1, "upscaling_resize_w": 32768, "upscaling_resize_h": 32768},
        {"resize_mode": 1, "upscaling_resize_w": 8, "upscaling_resize_h": 30000},
    ):
        with pytest.raises(RequestError) as caught:
            extras(preparer, upscaler_1="Lanczos", **fields)
        assert caught.value.field in ("upscaling_resize", "upscaling_resize_w")
        extras(preparer, **fields)  # "None" leaves the size alone


def test_a_models_own_result_on_the_way_is_bounded_too(preparer):
    big = {"images": [b64(png(6000, 6000))], "upscaling_resize": 1.2}
    extras(preparer, upscaler_1="Lanczos", **big)
    with pytest.raises(RequestError, match="on the way"):
        extras(preparer, upscaler_1="R-ESRGAN 4x+", **big)


def test_no_picture_and_too_many_are_refused(preparer):
    with pytest.raises(RequestError):
        extras(preparer, images=[])
    preparer.options.set_many({"max_images_per_job": 2})
    with pytest.raises(RequestError):
        extras(preparer, images=[b64(png())] * 3)


@pytest.mark.parametrize("request_of", [img2img, extras])
def test_an_output_folder_inside_the_program_is_refused(preparer, request_of, tmp_path):
    request_of(preparer, output_folder=str(tmp_path / "elsewhere"))
    for folder in (preparer.catalog.paths.root / "modules", preparer.catalog.paths.models):
        with pytest.raises(RequestError) as caught:
            request_of(preparer, output_folder=str(folder))
        assert caught.value.field == "output_folder"


def test_a_ceiling_bounds_inputs_and_results(make_service):
    from dataclasses import replace

    preparer = replace(make_service(start=False).preparer, ceiling=TEST_LIMITS)
    with pytest.raises(RequestError, match="megapixels"):
        img2img(preparer, init_images=[b64(png(5000, 4000))])
    with pytest.raises(RequestError, match="megapixels"):
        extras(preparer, upscaler_1="Lanczos", images=[b64(png(2000, 2000))], upscaling_resize=4)
