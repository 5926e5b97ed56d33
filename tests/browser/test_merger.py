"""The Checkpoint Merger tab: two models become one, a `.ckpt` becomes safetensors, both in view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import load_file

from tests.support.tiny_models import tiny_sd

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(server: Any) -> Iterator[Path]:
    """Two small checkpoints, and one in torch's own format."""
    found = server.data_dir / "models" / "Stable-diffusion"
    made = [tiny_sd(found, layout="single", name=f"page-{n}", seed=n == "b") for n in "ab"]
    torch.save({"state_dict": load_file(made[0])}, found / "page-old.ckpt")
    server.post("/easel/v1/models/refresh")
    yield found
    for path in found.glob("page-*"):
        if path.is_file():
            path.unlink()
    server.post("/easel/v1/models/refresh")


@pytest.fixture
def page(folder: Path, shared_page: Page) -> Page:
    """All tests of this file work on one page."""
    shared_page.click("#tab_modelmerger-button")
    shared_page.wait_for_selector("#modelmerger_merge")
    return shared_page


def choose(page: Page, field: str, title: str) -> None:
    page.locator(f"#{field} input").click()
    page.get_by_role("option", name=title).first.click()


def test_two_models_are_merged_block_by_block(page: Page, folder: Path) -> None:
    page.click("#modelmerger_merge")
    expect(page.locator(".easel-toast").last).to_contain_text("Choose model A")
    expect(page.locator("#modelmerger_tertiary_model_name")).to_be_hidden()
    choose(page, "modelmerger_primary_model_name", "page-a.safetensors")
    choose(page, "modelmerger_secondary_model_name", "page-b.safetensors")
    page.get_by_label("Block weights (MBW)").check()
    page.select_option("#modelmerger_preset", "FLAT_25")
    expect(page.get_by_role("slider", name="M00")).to_have_value("0.25")
    page.get_by_label("Name of the result").first.fill("page-mix")
    page.click("#modelmerger_merge")
    result = page.locator("#modelmerger_result")
    expect(result).to_have_attribute("data-state", "done")
    expect(result).to_contain_text("page-mix.safetensors")
    a, b, mix = (load_file(folder / f"page-{name}.safetensors") for name in ("a", "b", "mix"))
    key = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    wanted = (0.75 * a[key].float() + 0.25 * b[key].float()).half()
    assert torch.equal(mix[key], wanted)


def test_what_cannot_be_merged_is_told(page: Page) -> None:
    page.get_by_label("Name of the result").first.fill("page-a")
    page.click("#modelmerger_merge")
    expect(page.locator(".easel-toast").last).to_contain_text("already")


def test_the_result_stays_in_sight_while_the_form_is_scrolled(page: Page) -> None:
    page.get_by_label("Block weights (MBW)").check()
    page.locator("#modelmerger_merge").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 0
    expect(page.locator("#modelmerger_interrupt")).to_be_in_viewport()


def test_a_ckpt_is_converted(page: Page, folder: Path) -> None:
    page.locator("#modelmerger_tabs").get_by_role("tab", name="Convert").click()
    choose(page, "modelconvert_model_name", "page-old.ckpt")
    page.click("#modelconvert_convert")
    result = page.locator("#modelmerger_result")
    expect(result).to_contain_text("page-old.safetensors")
    expect(result).to_have_attribute("data-state", "done")
    assert (folder / "page-old.safetensors").is_file()
    page.locator("#modelmerger_tabs").get_by_role("tab", name="Merge", exact=True).click()


def test_a_finished_merge_can_be_used_again_from_the_queue(page: Page) -> None:
    page.locator("#modelmerger_custom_name textarea, #modelmerger_custom_name input").fill("")
    page.click("#tab_queue-button")
    row = page.locator("#queue_done li", has_text="page-mix.safetensors").first
    row.get_by_role("button").first.click()
    expect(page.locator("#modelmerger_custom_name").locator("textarea, input")).to_have_value(
        "page-mix"
    )
