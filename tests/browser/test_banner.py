"""Why the queue waits stands above the page, as text, until it is over."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import RunningServer

pytestmark = pytest.mark.browser

SMALL = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64}


def test_a_folder_that_refuses_is_told_until_it_takes_pictures(
    page: Page, server: RunningServer
) -> None:
    blocked = server.data_dir / "outputs" / "<b>blocked"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where the folder should be")
    server.post("/sdapi/v1/options", {"outdir_txt2img_samples": str(blocked)})
    try:
        server.post("/easel/v1/jobs", SMALL)
        notice = page.locator("#easel_banner [data-id=storage]")
        expect(notice).to_contain_text("<b>blocked")
        waiting = server.post("/easel/v1/jobs", SMALL)["id"]
        page.click("#tab_queue-button")
        expect(page.locator(f'#queue_waiting [data-id="{waiting}"]')).to_be_visible()
        expect(page.locator("easel-queue .note")).to_contain_text("Waiting until")
        notice.get_by_role("button", name="Go on all the same").click()
        expect(page.locator(f'#queue_done [data-id="{waiting}"]')).to_contain_text("<b>blocked")
        blocked.unlink()
        expect(notice).to_have_count(0)
        assert len(list(blocked.rglob("*.png"))) == 2
    finally:
        server.post("/sdapi/v1/options", {"outdir_txt2img_samples": "outputs/txt2img-images"})
        blocked.unlink(missing_ok=True) if blocked.is_file() else None
