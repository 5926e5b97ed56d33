"""Hires. fix, refiner and detailer in the form, and the second pass of a finished picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import fill_tab, generated, result_of

pytestmark = pytest.mark.browser

QUICK = {"steps": 2, "width": 64, "height": 64, "sampler_name": "Euler", "prompt": "a cat"}


@pytest.fixture
def page(shared_page: Page) -> Page:
    """All tests of this file work on one page."""
    return shared_page


def test_hires_fix_says_the_final_size_and_makes_it(page: Page) -> None:
    said = page.locator("#txtimg_hr_finalres")
    fill_tab(page, "txt2img", enable_hr=False)
    expect(page.locator("#txt2img_hr_upscaler")).to_be_hidden()
    page.get_by_role("checkbox", name="Hires. fix").check()
    expect(page.locator("#txt2img_hr_upscaler")).to_be_visible()
    fill_tab(page, "txt2img", **QUICK, hr_scale=1.5, denoising_strength=0.5)
    expect(said).to_have_text("from 64 × 64 to 96 × 96")
    fill_tab(page, "txt2img", hr_resize_y=128)
    expect(said).to_have_text("from 64 × 64 to 128 × 128")
    fill_tab(page, "txt2img", hr_resize_y=0)
    job = generated(page, "txt2img")
    assert (job["images"][0]["width"], job["images"][0]["height"]) == (96, 96)
    assert "Hires upscale: 1.5" in job["images"][0]["infotext"]
    page.get_by_role("button", name="Use parameters").click()
    page.wait_for_function("Easel.form.values('txt2img').hr_scale === 1.5")
    assert page.evaluate("Easel.form.values('txt2img').enable_hr") is True


def test_a_finished_picture_gets_only_the_second_pass(page: Page) -> None:
    form = {**QUICK, "seed": 21, "hr_scale": 2, "hr_upscaler": "Latent (nearest)"}
    fill_tab(page, "txt2img", **form, enable_hr=False)
    first = generated(page, "txt2img")
    fill_tab(page, "txt2img", prompt="something else")
    job = result_of(page, "txt2img", "#txt2img_upscale")
    image = job["images"][0]
    assert (image["width"], image["height"], image["seed"]) == (128, 128, 21)
    assert job["prompt"] == first["prompt"] == "a cat"
    assert "Hires upscaler: Latent (nearest)" in image["infotext"]


def test_own_sampler_and_prompts_of_the_second_pass_follow_the_settings(page: Page, server) -> None:
    fill_tab(page, "txt2img", enable_hr=True, refiner_enabled=True)
    expect(page.locator("#txt2img_switch_at")).to_be_visible()
    sampler, prompt = page.locator("#hr_sampler"), page.locator("#hires_prompt")
    expect(sampler).to_be_hidden()
    names = ("hires_fix_show_sampler", "hires_fix_show_prompts")
    server.post("/sdapi/v1/options", dict.fromkeys(names, True))
    try:
        expect(sampler).to_be_visible()
        expect(prompt).to_be_visible()
    finally:
        server.post("/sdapi/v1/options", dict.fromkeys(names, False))
    expect(prompt).to_be_hidden()


def test_a_section_that_is_off_leaves_nothing_in_the_request(page: Page) -> None:
    ask = "Easel.form.request('txt2img', Easel.form.values('txt2img'), {})"
    fill_tab(page, "txt2img", detailer__strength=0.3, refiner_enabled=False)
    asked = page.evaluate(ask)
    assert "detailer" not in asked and "refiner_switch_at" not in asked
    assert "hr_sampler_name" not in asked
    fill_tab(page, "txt2img", detailer__enabled=True, detailer__max_faces=2)
    assert page.evaluate(ask)["detailer"]["max_faces"] == 2
