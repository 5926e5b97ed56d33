"""The main job in a real browser: write, generate, watch, stop, come back, reuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

QUICK = {
    "enable_hr": False,
    "steps": 3,
    "width": 64,
    "height": 64,
    "sampler_name": "Euler",
    "cfg_scale": 4,
}
LONG = {
    "enable_hr": False,
    "steps": 150,
    "width": 128,
    "height": 128,
    "sampler_name": "Euler",
    "cfg_scale": 4,
}
Fill = Callable[..., None]


def single(page: Page) -> Any:
    return page.locator("#txt2img_gallery .full img")


def test_a_person_writes_a_prompt_and_gets_a_saved_picture(
    page: Page, fill: Fill, generate, server
) -> None:
    fill(**QUICK, seed=7)
    page.fill("#txt2img_prompt textarea", "a red apple on a blue background")
    generate()
    expect(single(page)).to_be_visible()
    page.wait_for_function("document.querySelector('#txt2img_gallery img').naturalWidth === 64")
    info = page.locator("#html_info_txt2img")
    expect(info).to_contain_text("a red apple on a blue background")
    expect(info).to_contain_text("Seed 7")
    expect(page.locator("#html_log_txt2img")).to_contain_text("Took")
    saved = list((server.data_dir / "outputs").rglob("*.png"))
    assert any("-7" in path.name for path in saved)


def test_progress_preview_title_and_interrupt(page: Page, fill: Fill) -> None:
    fill(**LONG, prompt="a house")
    expect(page.locator("#txt2img_interrupt")).to_be_disabled()
    page.click("#txt2img_generate")
    expect(page.locator("#txt2img_gallery img.live")).to_be_visible()
    expect(page.locator("#txt2img_progress")).to_contain_text(re.compile(r"Step \d+ of 150"))
    page.wait_for_function("/^\\[\\d+%\\]/.test(document.title)")
    first = int(page.get_attribute("#txt2img_progress .bar", "aria-valuenow"))
    page.wait_for_function(
        "first => Number(document.querySelector('#txt2img_progress .bar').ariaValueNow) > first",
        arg=first,
    )
    expect(page.locator("#tab_queue-button")).to_have_attribute("data-count", "1")
    page.keyboard.press("Escape")
    expect(page.locator("#txt2img_progress")).to_be_hidden()
    expect(page.locator("#txt2img_interrupt")).to_be_disabled()
    page.wait_for_function("document.title === 'Easel'")


def test_a_reloaded_page_finds_its_running_job_again(page: Page, fill: Fill) -> None:
    fill(**LONG, prompt="a tree")
    page.click("#txt2img_generate")
    page.wait_for_selector("#txt2img_gallery img.live")
    page.reload()
    page.wait_for_selector("easel-output")
    page.evaluate("window.arrived = performance.now()")
    page.wait_for_selector("#txt2img_gallery img.live")
    assert page.evaluate("performance.now() - window.arrived") < 3000
    expect(page.locator("#txt2img_progress")).to_contain_text("of 150")
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("a tree")
    page.click("#txt2img_interrupt")
    expect(page.locator("#txt2img_progress")).to_be_hidden()


def test_two_open_pages_show_the_same_job(page: Page, fill: Fill, visit) -> None:
    other = visit()
    fill(**LONG, prompt="a boat")
    page.click("#txt2img_generate")
    for one in (page, other):
        expect(one.locator("#txt2img_progress")).to_contain_text("of 150")
    other.click("#txt2img_interrupt")
    for one in (page, other):
        expect(one.locator("#txt2img_progress")).to_be_hidden()


def test_a_batch_shows_the_grid_first_and_single_pictures_on_demand(
    page: Page, fill: Fill, generate
) -> None:
    fill(**QUICK, prompt="a fish", batch_size=2, n_iter=2, seed=100)
    generate()
    tiles = page.locator("#txt2img_gallery .tile")
    expect(tiles).to_have_count(5)
    assert "grid" in tiles.first.get_attribute("class")
    tiles.nth(2).click()
    expect(page.locator("#html_info_txt2img")).to_contain_text("Seed 101")
    page.click("#txt2img_reuse_seed")
    expect(page.locator("#txt2img_seed input")).to_have_value("101")
    page.click("#txt2img_random_seed")
    expect(page.locator("#txt2img_seed input")).to_have_value("-1")
    page.locator("#txt2img_gallery .full").click()
    viewer = page.locator("dialog.easel-viewer")
    expect(viewer).to_be_visible()
    expect(viewer.locator(".words")).to_contain_text("3 of 5")
    page.keyboard.press("ArrowRight")
    expect(viewer.locator(".words")).to_contain_text("4 of 5")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(page.locator("#html_info_txt2img")).to_contain_text("Seed 102")


def test_a_finished_picture_is_there_after_a_reload(page: Page, fill: Fill, generate) -> None:
    fill(**QUICK, prompt="a heart", seed=11)
    generate()
    expect(single(page)).to_be_visible()
    page.reload()
    expect(single(page)).to_be_visible()
    expect(page.locator("#html_info_txt2img")).to_contain_text("Seed 11")


def test_the_buttons_under_a_picture(page: Page, fill: Fill, generate) -> None:
    fill(**QUICK, prompt="a star", seed=5)
    generate()
    expect(single(page)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.endswith(".png")
    fill(prompt="something else", seed=-1, steps=9)
    page.get_by_role("button", name="Use parameters").click()
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("a star")
    expect(page.locator("#txt2img_seed input")).to_have_value("5")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("something else")
    page.locator("#txt2img_results").get_by_role("button", name="PNG Info").click()
    expect(page.locator("#pnginfo_result")).to_contain_text("a star")
    page.get_by_role("button", name="Send to txt2img").click()
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("a star")


def test_a_refused_request_becomes_one_sentence(page: Page, fill: Fill) -> None:
    fill(**QUICK, prompt="a cat")
    page.evaluate(
        "() => { const send = window.fetch;"
        " window.fetch = (address, request) => {"
        "  if (address.endsWith('/easel/v1/jobs') && request.method === 'POST')"
        "    request.body = JSON.stringify({...JSON.parse(request.body), sampler_name: 'Eulerr'});"
        "  return send(address, request);"
        "}; }"
    )
    page.click("#txt2img_generate")
    note = page.locator(".easel-toast.error")
    expect(note).to_be_visible()
    expect(note).to_contain_text("Euler")
    expect(page.locator("#txt2img_generate")).to_be_enabled()


def test_generate_forever_goes_on_until_it_is_stopped(
    page: Page, fill: Fill, server, until
) -> None:
    fill(**QUICK, prompt="a cloud")

    def jobs() -> list:
        return server.get("/easel/v1/jobs?limit=200")["jobs"]

    before = {job["id"] for job in jobs()}
    page.click("#txt2img_generate", button="right")
    page.get_by_role("menuitem", name="Generate forever").click()
    until(lambda: len({job["id"] for job in jobs()} - before) >= 2)
    page.click("#txt2img_generate", button="right")
    page.get_by_role("menuitem", name="Stop generating forever").click()
    expect(page.locator("#txt2img_generate.forever")).to_have_count(0)
