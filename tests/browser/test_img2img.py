"""The img2img tab: its sub-tabs, what Generate sends, batches, and everyone's access to it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from modules.imaging.masks import padded_box
from tests.browser.canvases import Canvas, drop, fresh, open_mode, put, sample
from tests.browser.test_access import serious
from tests.support.tiny_families import sd2_family, unclip_family, write

pytestmark = pytest.mark.browser

QUICK = {
    "prompt": "a red apple",
    "steps": 2,
    "width": 64,
    "height": 64,
    "sampler_name": "Euler",
    "cfg_scale": 3,
    "seed": 5,
    "denoising_strength": 0.75,
    "resize_mode": 0,
    "mask_blur": 2,
    "mask_alpha": 0,
    "inpainting_mask_invert": 0,
    "inpainting_fill": 1,
    "inpaint_full_res": 0,
    "scale_by": 1,
    "batch.directory": "",
    "batch.use_png_info": False,
    "soft_inpainting.enabled": False,
}
PANEL = "document.querySelector('#img2img_results').job"


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The file's page with empty canvases and a quick form."""
    fill(fresh(shared_page), **QUICK)
    return shared_page


def fill(page: Page, **fields: Any) -> None:
    """Put values into the img2img form and wait until it has them."""
    page.evaluate("fields => Easel.form.apply('img2img', fields)", fields)
    page.wait_for_function(
        "fields => Object.entries(fields).every(([name, value]) =>"
        " JSON.stringify(Easel.form.values('img2img')[name]) === JSON.stringify(value))",
        arg=fields,
    )


@pytest.fixture
def generate(page: Page) -> Callable[[], dict[str, Any]]:
    """``generate()`` presses the button, waits for the result and gives what was sent."""

    def press_and_wait() -> dict[str, Any]:
        before = page.evaluate(f"{PANEL}?.id ?? ''")
        with page.expect_request("**/easel/v1/jobs") as sent:
            page.click("#img2img_generate")
        page.wait_for_function(
            f"before => {PANEL} && {PANEL}.id !== before"
            f" && !['queued', 'running'].includes({PANEL}.state)",
            arg=before,
        )
        assert page.evaluate(f"{PANEL}.error") is None
        return json.loads(sent.value.post_data)

    return press_and_wait


def stored(page: Page, server: Any, reference: str) -> Image.Image:
    """The picture behind a reference."""
    answer = page.request.get(f"{server.url}/easel/v1/inputs/{reference.removeprefix('input:')}")
    return Image.open(io.BytesIO(answer.body()))


def result(page: Page, server: Any) -> Image.Image:
    """The picture in the result panel."""
    url = page.evaluate("document.querySelector('#img2img_results').current.url")
    return Image.open(io.BytesIO(page.request.get(server.url + url).body())).convert("RGB")


def test_a_painted_mask_is_repainted_and_nothing_else(page: Page, generate, server) -> None:
    picture = sample(64, 64)
    canvas = put(page, "inpaint", picture)
    canvas.choose("rectangle")
    canvas.drag((0.25, 0.25), (0.7, 0.7))
    sent = generate()
    assert sent["kind"] == "img2img"
    assert sent["inpaint_full_res"] is False
    assert "scale_by" not in sent
    assert "soft_inpainting" not in sent
    mask = stored(page, server, sent["mask"]).convert("L")
    assert mask.getbbox() == (16, 16, 45, 45)
    expect(page.locator("#img2img_results .kept")).to_have_text("0 pixels changed outside the mask")
    original = Image.open(io.BytesIO(picture)).convert("RGB")
    left, top, right, bottom = ImageChops.difference(result(page, server), original).getbbox()
    margin = 12
    assert left >= 16 - margin and top >= 16 - margin
    assert right <= 45 + margin and bottom <= 45 + margin


def test_the_picture_can_be_resized_by_a_factor_or_give_its_size(
    page: Page, generate, server
) -> None:
    put(page, "img2img", sample(96, 80))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.click('#img2img_tabs_resize [data-tab-id="by"]')
    fill(page, scale_by=1.5)
    preview = page.locator("#img2img_scale_resolution_preview")
    expect(preview).to_have_text("from 96×80 to 144×120")
    sent = generate()
    assert sent["scale_by"] == 1.5
    assert result(page, server).size == (144, 120)
    page.click('#img2img_tabs_resize [data-tab-id="to"]')
    page.click("#img2img_detect_image_size_btn")
    page.wait_for_function("Easel.form.values('img2img').width === 96")
    assert page.evaluate("Easel.form.values('img2img').height") == 80


def test_a_sketch_goes_out_with_its_colour_and_copies_to_the_other_tabs(
    page: Page, generate, server
) -> None:
    canvas = put(page, "sketch", sample(64, 64))
    page.evaluate("Easel.img2img.drawingOf().setBrush({colour: '#ff0000', size: 12})")
    canvas.drag((0.1, 0.1), (0.9, 0.1))
    sent = generate()
    assert "mask" not in sent
    sketched = stored(page, server, sent["init_images"][0]).convert("RGB")
    assert sketched.getpixel((32, 6)) == (255, 0, 0)
    assert sketched.getpixel((32, 60)) == (0x30, 0x60, 0xA0)
    page.click('easel-picture-actions [data-to="inpaint"]')
    copy = Canvas(page, "img2maskimg")
    copy.wait()
    assert page.evaluate("Easel.img2img.mode()") == "inpaint"
    blob = "Easel.img2img.drawingOf().picture.bitmap"
    assert page.evaluate(f"[{blob}.width, {blob}.height]") == [64, 64]
    copy.drag((0.4, 0.4), (0.6, 0.6))
    again = generate()
    assert again["init_images"] == sent["init_images"]


def test_inpaint_sketch_makes_the_painted_area_the_mask(page: Page, generate, server) -> None:
    canvas = put(page, "inpaint_sketch", sample(64, 64))
    expect(page.locator("#img2img_mask_alpha")).to_be_visible()
    fill(page, mask_alpha=40, mask_blur=0)
    page.evaluate("Easel.img2img.drawingOf().setBrush({colour: '#00ff00'})")
    canvas.choose("rectangle")
    canvas.drag((0.25, 0.25), (0.75, 0.75))
    sent = generate()
    assert "mask_alpha" not in sent
    mask = stored(page, server, sent["mask"]).convert("L")
    assert mask.getbbox() == (16, 16, 48, 48)
    assert mask.getpixel((30, 30)) == 153
    start = stored(page, server, sent["init_images"][0]).convert("RGB")
    red, green, blue = start.getpixel((18, 18))
    assert abs(red - 0x30 * 0.4) < 3
    assert abs(green - (255 * 0.6 + 0x60 * 0.4)) < 3
    assert abs(blue - 0xA0 * 0.4) < 3
    assert start.getpixel((4, 4)) == (0x30, 0x60, 0xA0)


def test_inpaint_upload_takes_a_mask_file_and_soft_inpainting(page: Page, generate) -> None:
    put(page, "inpaint_upload", sample(64, 64))
    page.click("#img2img_generate")
    expect(page.locator(".easel-toast")).to_contain_text("Choose a mask too")
    drop(page, "#img_inpaint_mask", sample(64, 64, "#000000"), "mask.png")
    page.wait_for_selector("#img_inpaint_mask.filled")
    fill(page, **{"soft_inpainting.enabled": True, "soft_inpainting.schedule_bias": 2})
    sent = generate()
    assert sent["mask"] != sent["init_images"][0]
    assert sent["soft_inpainting"]["schedule_bias"] == 2


def test_only_inpaint_tabs_show_mask_controls_and_an_empty_mask_is_refused(page: Page) -> None:
    controls = page.locator("#inpaint_controls")
    for mode, shown in (("img2img", False), ("inpaint", True), ("sketch", False)):
        open_mode(page, mode)
        expect(controls).to_be_visible(visible=shown)
    page.click("#img2img_generate")
    expect(page.locator(".easel-toast")).to_contain_text("Choose a picture first")
    put(page, "inpaint")
    page.click("#img2img_generate")
    expect(page.locator(".easel-toast").last).to_contain_text("The mask is empty")


AREAS = [
    # box of the mask, padding, size to render
    ((60, 40, 100, 90), 32, (128, 128)),
    ((0, 0, 20, 20), 0, (512, 256)),
    ((150, 100, 200, 120), 16, (64, 512)),
    ((90, 5, 99, 115), 4, (768, 512)),
]


def test_the_frame_of_only_masked_is_the_part_that_is_rendered(page: Page) -> None:
    for box, padding, (width, height) in AREAS:
        mask = Image.new("L", (200, 120))
        mask.paste(255, box)
        left, top, right, bottom = box
        fields = {
            "inpaint_full_res": 1,
            "inpainting_mask_invert": 0,
            "mask_blur": 0,
            "inpaint_full_res_padding": padding,
            "width": width,
            "height": height,
        }
        found = page.evaluate(
            "async ([bounds, fields]) => {"
            " const {renderedArea} = await import("
            "   `/easel/static/${Easel.config.assets}/img2img-area.js`);"
            " return renderedArea(bounds, {width: 200, height: 120}, fields); }",
            [{"x": left, "y": top, "w": right - left, "h": bottom - top}, fields],
        )
        real = padded_box(mask, padding, (width, height))
        assert found == {"x": real.left, "y": real.top, "w": real.width, "h": real.height}, box


def test_a_pictures_parameters_set_the_choices_of_the_form(page: Page) -> None:
    open_mode(page, "inpaint")
    told = {"inpaint_full_res": True, "inpainting_fill": 2, "inpainting_mask_invert": 1}
    page.evaluate("fields => Easel.form.fill('img2img', fields, {})", told)
    page.wait_for_function("Easel.form.values('img2img').inpaint_full_res === 1")
    for name, choice in (
        ("img2img_inpaint_full_res", "Only masked"),
        ("img2img_inpainting_fill", "latent noise"),
        ("img2img_mask_mode", "Inpaint not masked"),
    ):
        expect(page.locator(f"#{name}").get_by_label(choice, exact=True)).to_be_checked()


def test_a_batch_goes_on_without_the_file_that_is_no_picture(page: Page) -> None:
    open_mode(page, "batch")
    for name, data in (
        ("one.png", sample(64, 64)),
        ("broken.png", b"\x89PNG\r\n\x1a\nand no more"),
        ("two.png", sample(64, 64, "#206020")),
    ):
        drop(page, "#img2img_batch_files .drop", data, name)
    expect(page.locator("#img2img_batch_files .files li")).to_have_count(3)
    page.click("#img2img_generate")
    lines = page.locator("#img2img_batch_results li")
    expect(lines.filter(has_text="broken.png")).to_contain_text("skipped")
    for name in ("one.png", "two.png"):
        line = lines.filter(has_text=name)
        expect(line).to_contain_text("done")
        expect(line.locator("img")).to_be_visible()
    expect(page.locator("#img2img_batch_results .bar")).to_contain_text("3 of 3 done")


def test_a_batch_from_a_folder_saves_where_it_is_told(page: Page, server, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "first.png").write_bytes(sample(64, 64))
    (source / "second.png").write_bytes(b"no picture")
    open_mode(page, "batch")
    page.click('#img2img_batch_source [data-tab-id="from_dir"]')
    page.click("#img2img_generate")
    expect(page.locator(".easel-toast")).to_contain_text("Name the input directory first")
    fill(page, **{"batch.directory": str(source), "batch.output_directory": str(target)})
    page.click("#img2img_generate")
    lines = page.locator("#img2img_batch_results li")
    expect(lines.filter(has_text="second.png")).to_contain_text("skipped")
    expect(lines.filter(has_text="first.png")).to_contain_text("done")
    assert [path.suffix for path in target.rglob("*") if path.is_file()] == [".png"]
    page.click('#img2img_batch_source [data-tab-id="upload"]')


def test_interrogate_says_what_is_missing(page: Page) -> None:
    put(page, "img2img", sample(32, 32))
    page.click("#interrogate")
    expect(page.locator(".easel-toast.error")).to_be_visible()
    assert page.evaluate("Easel.form.values('img2img').prompt") == QUICK["prompt"]


def test_a_result_is_sent_to_the_inpaint_canvas(page: Page, generate) -> None:
    put(page, "img2img", sample(64, 64))
    generate()
    page.click("#img2img_results [id$='send_to_inpaint']")
    Canvas(page, "img2maskimg").wait()
    assert page.evaluate("Easel.img2img.mode()") == "inpaint"


@pytest.fixture
def shown_more(server: Any) -> Iterator[Callable[[str], None]]:
    """``shown_more("depth")`` chooses a small model that is shown how near things are, ``"unclip"``
    one that is told what the picture shows."""
    options = server.get("/sdapi/v1/options")
    folder = server.data_dir / "models" / "Stable-diffusion"
    for name, family in (("depth", sd2_family(5)), ("unclip", unclip_family())):
        made = write(folder / "page-shown", family, "single")
        made.rename(folder / f"page-{name}.safetensors")
    server.post("/easel/v1/models/refresh")

    def choose(name: str) -> None:
        server.post("/sdapi/v1/options", {"sd_model_checkpoint": f"page-{name}.safetensors"})

    yield choose
    server.post("/sdapi/v1/options", {"sd_model_checkpoint": options["sd_model_checkpoint"]})
    for path in folder.glob("page-*.safetensors"):
        path.unlink()
    server.post("/easel/v1/models/refresh")


def test_a_depth_model_takes_a_map_and_unclip_a_noise_level(
    page: Page, generate: Callable[[], dict[str, Any]], server: Any, shown_more: Callable
) -> None:
    depth, noise = page.locator("#img2img_depth"), page.locator("#img2img_noise_level")
    put(page, "img2img", sample(64, 64))
    expect(depth).to_be_hidden()
    shown_more("depth")
    expect(depth).to_be_visible()
    expect(noise).to_be_hidden()
    drop(page, "#img2img_depth_map", sample(32, 32, "#000000"), "near.png")
    page.wait_for_selector("#img2img_depth_map.filled")
    sent = generate()
    assert stored(page, server, sent["depth_map"]).size == (32, 32)
    assert "noise_level" not in sent
    shown_more("unclip")
    expect(noise).to_be_visible()
    expect(depth).to_be_hidden()
    fill(page, noise_level=200)
    with page.expect_request("**/easel/v1/jobs") as asked:
        page.click("#img2img_generate")
    sent = json.loads(asked.value.post_data)
    assert (sent["noise_level"], sent.get("depth_map")) == (200, None)
    server.post("/easel/v1/interrupt")


@pytest.mark.parametrize(
    ("colours", "mode"), [("dark", "inpaint_sketch"), ("light", "inpaint"), ("dark", "batch")]
)
def test_axe_finds_nothing_serious_on_the_sub_tabs(page: Page, colours: str, mode: str) -> None:
    page.evaluate("name => Easel.theme.set(name)", colours)
    if mode == "batch":
        open_mode(page, mode)
    else:
        put(page, mode)
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    assert serious(page, "#tab_img2img") == []


def test_a_phone_and_chinese_readers_are_served(visit) -> None:
    page = visit(locale="zh-CN")
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#tab_img2img-button")
    expect(page.locator("#mode_img2img [data-tab-id='inpaint']")).to_have_text("局部重绘")
    put(page, "inpaint")
    expect(page.get_by_role("button", name="橡皮擦")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    bar = page.locator("#img2maskimg .bar").bounding_box()
    for part in page.locator("#img2maskimg .bar :is(button, input)").all():
        box = part.bounding_box()
        assert box["x"] + box["width"] <= bar["x"] + bar["width"] + 1
