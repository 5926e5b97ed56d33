"""The Outpaint tab: its frame by hand and by keys, a job, and going on from the result."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import fill_tab, generated, open_tab, png, result_of

pytestmark = pytest.mark.browser

FRAME = "easel-outpaint-frame"
QUICK = {"steps": 2, "width": 64, "height": 64, "sampler_name": "Euler", "prompt": "a cat"}


@pytest.fixture
def page(shared_page: Page) -> Page:
    """All tests of this file work on one page."""
    return shared_page


def sides(page: Page) -> dict[str, int]:
    values = page.evaluate("Easel.form.values('outpaint')")
    return {side: values[f"outpaint.{side}"] for side in ("left", "right", "up", "down")}


def test_the_frame_is_drawn_out_with_keys_mouse_and_numbers(page: Page) -> None:
    open_tab(page, "outpaint")
    page.click("#outpaint_generate")
    expect(page.locator(".easel-toast")).to_contain_text("Choose a picture")
    page.set_input_files("#outpaint_frame_file", png())
    right = page.get_by_role("slider", name="Pixels to add on the right")
    right.focus()
    for key in ("ArrowRight", "ArrowRight", "PageUp", "ArrowLeft"):
        page.keyboard.press(key)
    expect(right).to_have_attribute("aria-valuenow", "72")
    expect(page.locator("#outpaint_right input")).to_have_value("72")
    page.locator("#outpaint_up input").fill("32")
    page.locator("#outpaint_up input").press("Tab")
    expect(page.locator(f"{FRAME} .size")).to_contain_text("136 × 96")
    page.wait_for_timeout(250)  # the frame moves to its new place
    box = page.locator(f"{FRAME} .handle.left").bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] - 40, at[1], steps=3)
    page.mouse.up()
    page.wait_for_function("Easel.form.values('outpaint')['outpaint.left'] > 0")
    assert sides(page)["left"] % 8 == 0
    page.get_by_role("button", name="16:9").click()
    page.wait_for_function("Easel.form.values('outpaint')['outpaint.left'] === 24")
    assert sides(page) == {"left": 24, "right": 24, "up": 0, "down": 0}
    page.reload()
    page.click("#tab_outpaint-button")
    expect(page.locator(f"{FRAME} .size")).to_contain_text("112 × 64")
    page.get_by_role("button", name="Take the picture away").click()
    expect(page.locator("#outpaint_frame_file")).to_be_attached()


def test_one_side_grows_and_the_result_grows_again(page: Page) -> None:
    open_tab(page, "outpaint")
    page.set_input_files("#outpaint_frame_file", png())
    still = {f"outpaint__{side}": 0 for side in ("left", "up", "down")}
    fill_tab(page, "outpaint", **QUICK, **still, outpaint__right=32, seed=7)
    job = generated(page, "outpaint")
    assert job["state"] == "done", job["error"]
    assert (job["images"][0]["width"], job["images"][0]["height"]) == (96, 64)
    results = page.locator("#html_info_outpaint")
    expect(results).to_contain_text("0 pixels changed outside the mask")
    expect(results.locator(".seam")).to_contain_text("right")
    page.click("#outpaint_continue")
    expect(page.locator(f"{FRAME} .size")).to_have_text("96 × 64")
    assert sum(sides(page).values()) == 0
    job = result_of(page, "outpaint", "#outpaint_uncrop")
    assert job["request"]["outpaint"]["uncrop"] is True
    # Which sides cut the subject off depends on what the model drew; one of them at least does.
    assert job["images"][0]["width"] * job["images"][0]["height"] > 96 * 64
    page.get_by_role("button", name="Back to the picture before").click()
    expect(page.locator(f"{FRAME} .size")).to_have_text("64 × 64")
    page.get_by_role("button", name="Take the picture away").click()
