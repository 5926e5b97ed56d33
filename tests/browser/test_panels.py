"""PNG Info, Queue, Settings, quick settings, languages and colours."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tools.starter.config import MODEL_FOLDER as STARTER

pytestmark = pytest.mark.browser

Fill = Callable[..., None]
LONG = {"enable_hr": False, "steps": 150, "width": 128, "height": 128, "sampler_name": "Euler"}


def test_png_info_shows_everything_and_sends_it_on(page: Page, picture) -> None:
    text = "a glass of water\nSteps: 12, Sampler: Euler, CFG scale: 3, Seed: 9, Size: 64x72"
    page.click("#tab_pnginfo-button")
    page.set_input_files(
        "#pnginfo_file", {"name": "a.png", "mimeType": "image/png", "buffer": picture(text)}
    )
    result = page.locator("#pnginfo_result")
    expect(result).to_contain_text("a glass of water")
    expect(result.locator("table")).to_contain_text("Euler")
    expect(result).to_contain_text("Comment")
    page.get_by_role("button", name="Send to txt2img").click()
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("a glass of water")
    page.wait_for_function("Easel.form.values('txt2img').steps === 12")


def test_png_info_says_what_is_wrong_with_a_broken_file(page: Page) -> None:
    page.click("#tab_pnginfo-button")
    page.set_input_files(
        "#pnginfo_file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.locator("#pnginfo_result .bad")).to_be_visible()


def test_the_queue_panel_orders_cancels_pauses_and_clears(page: Page, fill: Fill) -> None:
    fill(**LONG, prompt="first")
    for name in ("first", "second", "third"):
        fill(prompt=name)
        page.click("#txt2img_generate")
    page.click("#tab_queue-button")
    waiting = page.locator("#queue_waiting li")
    expect(page.locator("#queue_running li")).to_contain_text("first")
    expect(waiting).to_have_count(2)
    page.click("#queue_pause")
    expect(page.locator("easel-queue .note")).to_contain_text("Paused")
    waiting.nth(1).get_by_role("button", name="Move up").click()
    expect(waiting.first).to_contain_text("third")
    waiting.first.get_by_role("button", name="Cancel").click()
    expect(waiting).to_have_count(1)
    page.locator("#queue_running").get_by_role("button", name="Interrupt").click()
    expect(page.locator("#queue_running")).to_contain_text("Nothing is running")
    expect(waiting.first).to_contain_text("second")
    done = page.locator("#queue_done li")
    expect(done.first).to_contain_text(re.compile("interrupted|cancelled"))
    waiting.first.get_by_role("button", name="Cancel").click()
    page.click("#queue_pause")
    expect(page.locator("easel-queue .note")).to_have_text("")
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator("#queue_done")).to_contain_text("No job is done yet")


def test_a_setting_is_saved_undone_and_reset(page: Page, server, until) -> None:
    page.click("#tab_settings-button")
    page.fill("#settings_search", "jpeg_quality")
    field = page.locator("#setting_row_jpeg_quality_input")
    expect(field).to_be_visible()
    field.fill("91")
    field.press("Tab")
    expect(page.locator(".easel-toast.success")).to_contain_text("91")
    assert server.get("/sdapi/v1/options")["jpeg_quality"] == 91
    page.reload()
    page.click("#tab_settings-button")
    page.locator('[data-section="*changed"]').click()
    row = page.locator('[data-key="jpeg_quality"]')
    expect(row.locator("input[type=number]")).to_have_value("91")
    row.get_by_role("button", name="Back to the default").click()
    expect(page.locator(".easel-toast.success")).to_contain_text("80")
    assert server.get("/sdapi/v1/options")["jpeg_quality"] == 80
    page.click("#settings_undo")
    until(lambda: server.get("/sdapi/v1/options")["jpeg_quality"] == 91)
    server.post("/sdapi/v1/options", {"jpeg_quality": 80})


def test_a_value_out_of_range_is_refused_with_a_sentence(page: Page, server) -> None:
    page.click("#tab_settings-button")
    page.fill("#settings_search", "jpeg_quality")
    field = page.locator("#setting_row_jpeg_quality_input")
    field.fill("500")
    field.press("Tab")
    expect(page.locator(".easel-toast.error")).to_contain_text("100")
    expect(page.locator("#setting_row_jpeg_quality_input")).to_have_value("80")
    assert server.get("/sdapi/v1/options")["jpeg_quality"] == 80


def test_sections_are_drawn_when_they_are_chosen(page: Page) -> None:
    page.click("#tab_settings-button")
    page.locator('[data-section="VAE"]').click()
    expect(page.locator('[data-key="sd_vae"]')).to_be_visible()
    assert page.locator('[data-key="samples_save"]').count() == 0


def test_quick_settings_follow_changes_from_elsewhere(page: Page, server, until) -> None:
    field = page.locator("#setting_CLIP_stop_at_last_layers input")
    field.fill("2")
    until(lambda: server.get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 2)
    server.post("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})
    expect(field).to_have_value("1")


def test_a_checkpoint_brings_its_own_settings_and_takes_them_away(page: Page, server) -> None:
    own = server.get("/easel/page/state")["model_defaults_by_tab"]["txt2img"]
    shipped = server.get("/sdapi/v1/options")["sd_model_checkpoint"]
    plain = server.data_dir / "models" / "Stable-diffusion" / "without-wishes"
    shutil.copytree(STARTER, plain, copy_function=_linked)
    (plain / "easel.json").unlink()
    page.wait_for_function(
        "width => Easel.form.values('txt2img')?.width === width", arg=own["width"]
    )
    try:
        page.click("#refresh_sd_model_checkpoint")
        choose = page.locator("#setting_sd_model_checkpoint input")
        choose.click()
        page.get_by_role("option", name="without-wishes").click()
        page.wait_for_function("Easel.form.values('txt2img').width === 512")
        assert not page.evaluate("Easel.form.values('txt2img').enable_hr")
        choose.click()
        page.get_by_role("option", name="easel-starter").click()
        page.wait_for_function("Easel.form.values('txt2img').enable_hr === true")
        values = page.evaluate("Easel.form.values('txt2img')")
        assert {name: values[name] for name in own} == own
        assert page.evaluate("Easel.form.values('img2img').denoising_strength") == 0.75
    finally:
        server.post("/sdapi/v1/options", {"sd_model_checkpoint": shipped})
        shutil.rmtree(plain)


def _linked(source: str, target: str) -> None:
    """As `shutil.copy`, without the bytes where the file system allows that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def test_a_chinese_browser_gets_chinese(visit) -> None:
    page = visit(locale="zh-CN")
    expect(page.locator("#txt2img_generate")).to_contain_text("生成")
    expect(page.locator("#tab_settings-button")).to_contain_text("设置")
    page.click("#tab_settings-button")
    expect(page.locator('[data-section="Live previews"]')).to_have_text("实时预览")


def test_the_language_can_be_forced_in_the_settings(page: Page, server) -> None:
    page.click("#tab_settings-button")
    page.fill("#settings_search", "localization")
    page.locator("#setting_row_localization_input").select_option("zh-Hans")
    try:
        expect(page.locator("#txt2img_generate")).to_contain_text("生成")
    finally:
        server.post("/sdapi/v1/options", {"localization": "None"})


def test_dark_is_the_default_and_a_choice_is_remembered(page: Page) -> None:
    assert page.evaluate("document.body.classList.contains('dark')")
    page.click("#easel_theme")
    page.wait_for_function("!document.body.classList.contains('dark')")
    page.reload()
    page.wait_for_selector("#txt2img_prompt textarea")
    assert not page.evaluate("document.body.classList.contains('dark')")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
