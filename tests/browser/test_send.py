"""Pictures go from tab to tab: by buttons, from PNG Info, dropped on a tab, as an archive."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import fill_tab, generated, open_tab, png

pytestmark = pytest.mark.browser

QUICK = {
    "enable_hr": False,
    "steps": 2,
    "width": 64,
    "height": 72,
    "sampler_name": "Euler",
    "prompt": "a cat",
}
DROP = """([selector, url]) => {
  const transfer = new DataTransfer();
  transfer.setData("text/uri-list", new URL(url, location.href).href);
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
    document.querySelector(selector).dispatchEvent(event);
  }
}"""


@pytest.fixture
def page(shared_page: Page) -> Page:
    """All tests of this file work on one page."""
    return shared_page


def test_a_result_goes_round_the_tabs(page: Page) -> None:
    fill_tab(page, "txt2img", **QUICK, seed=8)
    job = generated(page, "txt2img")
    page.click("#txt2img_send_to_outpaint")
    expect(page.locator("easel-outpaint-frame .size")).to_have_text("64 × 72")
    expect(page.locator("#outpaint_prompt textarea")).to_have_value("a cat")
    page.click("#tab_txt2img-button")
    page.click("#txt2img_send_to_extras")
    expect(page.locator("easel-picture .facts")).to_contain_text("64 × 72")
    page.click("#tab_txt2img-button")
    page.click("#txt2img_send_to_inpaint")
    expect(page.locator("#tab_img2img-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#img2img_prompt textarea")).to_have_value("a cat")
    page.wait_for_function("Easel.form.values('img2img').height === 72")
    page.evaluate("Easel.sources.set('extras', null)")
    page.evaluate(DROP, ["#tab_extras-button", job["images"][0]["url"]])
    expect(page.locator("easel-picture .facts")).to_contain_text("64 × 72")
    page.evaluate(DROP, ["#tab_pnginfo-button", job["images"][0]["url"]])
    expect(page.locator("#pnginfo_result")).to_contain_text("a cat")


def test_png_info_says_who_wrote_a_picture_and_sends_it_on(page: Page, picture) -> None:
    text = (
        "a barn\\nSteps: 9, Sampler: Euler a, CFG scale: 4, Seed: 3, Size: 24x16, "
        "App: SD.Next, Version: abc"
    ).replace("\\n", "\n")
    page.click("#tab_pnginfo-button")
    page.set_input_files(
        "#pnginfo_file", {"name": "a.png", "mimeType": "image/png", "buffer": picture(text)}
    )
    result = page.locator("#pnginfo_result")
    expect(result.locator(".origin")).to_contain_text("SD.Next")
    expect(result.locator(".remarks")).to_contain_text("samplers are not the same code")
    page.click("#pnginfo_send_to_outpaint")
    expect(page.locator("easel-outpaint-frame .size")).to_have_text("24 × 16")
    expect(page.locator("#outpaint_prompt textarea")).to_have_value("a barn")
    page.wait_for_function("Easel.form.values('outpaint').steps === 9")


def test_all_pictures_of_a_batch_come_as_one_archive(page: Page, server) -> None:
    open_tab(page, "txt2img")
    fill_tab(page, "txt2img", **QUICK, batch_size=2, seed=30)
    job = generated(page, "txt2img")
    with page.expect_download() as download:
        page.click("#save_zip_txt2img")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [image["name"] for image in job["images"]]
    page.locator("#txt2img_gallery .tile").nth(1).click()
    page.click("#save_txt2img")
    expect(page.locator(".easel-toast.success").filter(has_text="log")).to_be_visible()
    kept = server.data_dir / "log" / "images"
    assert (kept / job["images"][1]["name"]).is_file()
    assert job["images"][1]["name"] in (kept / "log.csv").read_text(encoding="utf-8")


def test_a_picture_stays_with_its_tab_over_a_reload(page: Page) -> None:
    open_tab(page, "extras")
    page.set_input_files("#extras_image_file", png("kept.png"))
    expect(page.locator("easel-picture .facts")).to_contain_text("kept.png · 64 × 64")
    page.reload()
    page.click("#tab_extras-button")
    expect(page.locator("easel-picture .facts")).to_contain_text("kept.png · 64 × 64")
    page.get_by_role("button", name="Take the picture away").click()
    expect(page.locator("easel-picture .easel-drop")).to_be_visible()
