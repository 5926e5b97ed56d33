"""The Extensions tab: foreign names are text, switches and states act, refusals are told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_access import serious
from tests.conftest import RunningServer

pytestmark = pytest.mark.browser

HOSTILE = "a<img src=x onerror=boom()>"


@pytest.fixture
def folder(server: RunningServer) -> Iterator[None]:
    """An extension copied there by hand; the server never loads it, as it is not started again."""
    made = server.data_dir / "extensions" / HOSTILE
    (made / "scripts").mkdir(parents=True)
    (made / "scripts" / "x.py").write_text("value = 1\n")
    yield
    shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(server.data_dir / "config_states", ignore_errors=True)


def test_extensions_are_listed_switched_kept_and_removed(
    page: Page, server: RunningServer, folder: None
) -> None:
    page.click("#tab_extensions-button")
    row = page.locator("#extensions_list article", has_text=HOSTILE)
    expect(row).to_contain_text("copied here by hand")
    assert serious(page) == []

    page.click("#extensions_states-button")
    page.fill("#extensions_state_name", "before")
    page.click("#extensions_state_keep")
    kept = page.locator("#extensions_state_list article", has_text="before")
    expect(kept).to_contain_text("before")

    page.click("#extensions_installed-button")
    row.get_by_role("switch").click()
    expect(row).to_contain_text("Off: switched off.")
    assert HOSTILE in server.get("/sdapi/v1/options")["disabled_extensions"]

    page.click("#extensions_states-button")
    kept.get_by_role("button", name="Go back").click()
    window = page.locator(".easel-dialog")
    expect(window).to_contain_text(f"{HOSTILE}: on")
    window.get_by_role("button", name="Go back").click()
    expect(window).to_have_count(0)
    page.click("#extensions_installed-button")
    expect(row.get_by_role("switch")).to_be_checked()

    row.get_by_role("button", name="Remove").click()
    window.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    assert not (server.data_dir / "extensions" / HOSTILE).exists()


def test_lists_are_searched_and_bad_addresses_are_refused(page: Page) -> None:
    page.click("#tab_extensions-button")
    page.click("#extensions_available-button")
    rows = page.locator("#extensions_available_list article")
    page.fill("#extensions_search", "controlnet")
    expect(rows.filter(has_text="Mikubill")).to_contain_text("cannot work")
    page.select_option("#extensions_works", "expected")
    expect(rows.filter(has_text="Mikubill")).to_have_count(0)

    page.click("#extensions_address-button")
    for address in ("http://example.com/a/b", "https://127.0.0.1/a/b", "file:///etc"):
        page.fill("#extension_url", address)
        page.click("#extension_look")
        expect(page.locator("#extension_found .bad")).to_contain_text(address)
