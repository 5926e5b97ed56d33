"""The models in memory: shown, freed and filled from the Settings tab."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_models_in_memory_are_shown_freed_and_loaded_again(page: Page) -> None:
    page.click("#tab_settings-button")
    page.click('[data-section="Models in memory"]')
    panel = page.locator("easel-memory")
    expect(panel).to_contain_text("easel-starter")
    reload = panel.get_by_role("button", name="Load again")
    expect(reload).to_be_disabled()
    expect(page.locator("#setting_row_sd_checkpoints_pinned")).to_be_visible()
    panel.get_by_role("button", name="Unload all").click()
    expect(panel).to_contain_text("No checkpoint is in memory")
    reload.click()
    expect(panel).to_contain_text("easel-starter", timeout=60_000)
    expect(page.locator("#easel_cancel_loading")).to_be_hidden()
