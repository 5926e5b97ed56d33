"""Putting a job aside and making a picture again, as a person does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

LONG = {
    "enable_hr": False,
    "steps": 60,
    "width": 128,
    "height": 128,
    "sampler_name": "DPM++ 2M",
    "cfg_scale": 4,
    "seed": 11,
}


def test_a_job_is_paused_goes_on_and_its_picture_is_made_again(
    page: Page, fill: Callable[..., None]
) -> None:
    fill(**LONG, prompt="a lighthouse")
    expect(page.locator("#txt2img_pause")).to_be_disabled()
    page.click("#txt2img_generate")
    page.wait_for_selector("#txt2img_gallery img.live")
    page.click("#txt2img_pause")
    stage = page.locator("#txt2img_gallery")
    expect(stage).to_contain_text("Paused at")
    expect(page.locator("#txt2img_interrupt")).to_be_disabled()
    page.reload()
    expect(page.locator("#txt2img_pause")).to_have_attribute("title", "Go on with the paused job")
    page.click("#tab_queue-button")
    row = page.locator("#queue_aside li")
    expect(row).to_contain_text("a lighthouse")
    row.get_by_role("button", name="Go on").click()
    page.click("#tab_txt2img-button")
    expect(page.locator("#txt2img_gallery .full img")).to_be_visible()
    page.click("#txt2img_replay")
    expect(page.locator(".easel-replay .verdict")).to_have_text(
        "Identical: all 16,384 pixels are the same."
    )
