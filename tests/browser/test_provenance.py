"""PNG Info tells where a picture comes from; term lists are edited in the settings."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from modules.gallery import encode_image, read_image_info
from modules.gallery.credentials import CredentialWriter, Making
from modules.imaging.watermark import embed
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

pytestmark = [pytest.mark.browser, pytest.mark.full]

HOSTILE = "<img src=x onerror=\"document.body.dataset.ran='1'\">"


def test_a_picture_is_verified_shown_as_text_and_downloaded_without_metadata(
    page: Page, tmp_path: Path
) -> None:
    paths = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))
    seal = CredentialWriter(paths, Making("txt2img", "easel 1", HOSTILE, "0123456789"))
    marked = embed(Image.new("RGB", (256, 256), "#708090"))
    data = encode_image(marked, "png", "a secret garden\nSteps: 3, Seed: 5", seal=seal).data
    page.click("#tab_pnginfo-button")
    page.set_input_files(
        "#pnginfo_file", {"name": "a.png", "mimeType": "image/png", "buffer": data}
    )
    section = page.locator("#pnginfo_provenance")
    expect(section.locator(".verdict")).to_have_attribute("data-state", "intact")
    expect(section.locator('[data-name="model"]')).to_have_text(f"{HOSTILE} 0123456789")
    expect(section.locator('[data-name="watermark"]')).to_contain_text("Easel AI")
    assert page.evaluate("document.body.dataset.ran") is None
    with page.expect_download() as download:
        page.click("#pnginfo_clean")
    clean = Path(download.value.path()).read_bytes()
    assert read_image_info(clean).text == ""
    assert b"c2pa" not in clean
    assert Image.open(io.BytesIO(clean)).size == (256, 256)


def test_term_lists_are_made_switched_and_deleted(page: Page) -> None:
    page.click("#tab_settings-button")
    page.click('easel-settings nav button[data-section="Content controls"]')
    page.click("#term_lists_add")
    page.fill("#term_list_name", "a/b")
    page.fill("#term_list_text", "wolf\nsnow leopard")
    page.click("#term_list_save")
    expect(page.locator(".easel-term-list .bad")).to_contain_text("1 to 60")
    page.fill("#term_list_name", "beasts")
    page.click("#term_list_save")
    row = page.locator('[data-list="beasts"]')
    expect(row).to_contain_text("Terms: 2")
    row.locator("input").uncheck()
    expect(row.locator("input")).not_to_be_checked()
    row.get_by_role("button", name="Delete beasts").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
