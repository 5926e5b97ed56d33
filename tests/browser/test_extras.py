"""The Extras tab: one picture, several, a directory; the comparison of before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import drawing, fill_tab, generated, open_tab, png

pytestmark = pytest.mark.browser


@pytest.fixture
def page(shared_page: Page) -> Page:
    """All tests of this file work on one page."""
    return shared_page


def test_one_picture_is_enlarged_and_compared(page: Page) -> None:
    open_tab(page, "extras")
    page.click("#extras_generate")
    expect(page.locator(".easel-toast")).to_contain_text("Choose a picture")
    page.set_input_files("#extras_image_file", png())
    expect(page.locator("easel-picture img")).to_be_visible()
    fill_tab(page, "extras", upscaler_1="Lanczos", upscaling_resize=2, resize_mode=0)
    job = generated(page, "extras")
    assert job["state"] == "done", job["error"]
    assert (job["images"][0]["width"], job["images"][0]["height"]) == (128, 128)
    divider = page.get_by_role("slider", name="Divider between before and after")
    divider.focus()
    page.keyboard.press("Home")
    expect(page.locator("easel-compare")).to_have_css("--at", "0%")
    page.keyboard.press("ArrowRight")
    expect(page.locator("easel-compare")).to_have_css("--at", "0.5%")
    page.get_by_role("button", name="Compare with the source picture").click()
    expect(page.locator("#extras_gallery .full img")).to_be_visible()
    page.get_by_role("radio", name="Scale to").check()
    expect(page.locator("#extras_upscaling_resize_w")).to_be_visible()
    expect(page.locator("#extras_upscaling_resize")).to_be_hidden()


def test_real_esrgan_enlarges_with_the_weights_that_come_with_the_program(page: Page) -> None:
    open_tab(page, "extras")
    page.set_input_files("#extras_image_file", png(width=24, height=16))
    expect(page.locator("easel-picture img")).to_be_visible()
    fill_tab(page, "extras", upscaler_1="R-ESRGAN AnimeVideo", upscaling_resize=4, resize_mode=0)
    job = generated(page, "extras")
    assert job["state"] == "done", job["error"]
    assert (job["images"][0]["width"], job["images"][0]["height"]) == (96, 64)
    expect(page.locator("#html_info_extras")).to_contain_text("R-ESRGAN AnimeVideo")


def test_a_batch_goes_on_without_the_files_that_are_no_pictures(page: Page) -> None:
    open_tab(page, "extras")
    page.get_by_role("tab", name="Batch upload").click()
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.set_input_files("#extras_image_batch_file", [png("one.png"), broken, png("two.png")])
    expect(page.locator("easel-pictures li")).to_have_count(3)
    fill_tab(page, "extras", upscaler_1="Nearest", upscaling_resize=2, resize_mode=0)
    job = generated(page, "extras")
    assert [image["width"] for image in job["images"] if image["kind"] == "image"] == [128, 128]
    left_out = page.locator("dialog .easel-skipped")
    expect(left_out).to_contain_text("broken.png")
    page.keyboard.press("Escape")
    expect(left_out).to_have_count(0)


def test_every_picture_of_a_directory_becomes_a_job(
    page: Page, server, until, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(drawing())
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    open_tab(page, "extras")
    page.get_by_role("tab", name="From directory").click()
    fill_tab(
        page,
        "extras",
        upscaler_1="Nearest",
        upscaling_resize=2,
        resize_mode=0,
        input_directory=str(tmp_path / "in"),
        output_directory=str(tmp_path / "out"),
    )
    page.click("#extras_generate")
    expect(page.locator("dialog .easel-skipped")).to_contain_text("c.png")
    until(lambda: len(list((tmp_path / "out").glob("**/*.png"))) == 2)
