"""Cards under the prompt, the window of one card, the Models tab."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.test_access import serious
from tests.catalog.files import write_tensors

pytestmark = pytest.mark.browser

DOWN = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
HOSTILE = "<img src=x onerror=window.broken=1>"
PROMPT = "#txt2img_prompt textarea"
CARDS = "#txt2img_lora_cards"


@pytest.fixture(scope="module")
def loras(server) -> Iterator[Path]:
    """LoRA files for the cards: many plain ones, one with notes and a picture, a hostile name."""
    folder = server.data_dir / "models" / "Lora"
    for number in range(130):
        path = folder / "many" / f"style_{number:03}.safetensors"
        write_tensors(path, {DOWN: (4, 768)})
    write_tensors(folder / "fox.safetensors", {DOWN: (4, 768)})
    noted = {"activation text": "fx fox", "negative text": "dull", "description": HOSTILE}
    (folder / "fox.json").write_text(json.dumps(noted))
    Image.new("RGB", (90, 120), "orange").save(folder / "fox.png")
    write_tensors(folder / f"{HOSTILE}.safetensors", {DOWN: (4, 768)})
    write_tensors(folder / "elsewhere.safetensors", {DOWN: (4, 2048)})
    server.post("/easel/v1/cards/refresh")
    yield folder
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    server.post("/easel/v1/cards/refresh")


@pytest.fixture
def cards(shared_page: Page, loras: Path) -> Page:
    """The page with the LoRA cards open and nothing in the prompt."""
    page = shared_page
    page.click("#tab_txt2img-button")
    page.fill(PROMPT, "")
    page.fill("#txt2img_neg_prompt textarea", "")
    page.click("#txt2img_lora-button")
    page.fill("#txt2img_lora_extra_search", "")
    expect(page.locator("#txt2img_lora .count")).to_contain_text("132 of 133")
    return page


def face(page: Page, name: str):
    return page.locator(f'{CARDS} .card[data-name="{name}"] .face')


def find(page: Page, words: str) -> None:
    page.fill("#txt2img_lora_extra_search", words)
    expect(page.locator("#txt2img_lora .count")).to_contain_text("1 of 133")


def test_a_press_puts_a_network_into_the_prompt_and_another_takes_it_out(cards: Page) -> None:
    cards.fill(PROMPT, "a fox in snow")
    find(cards, "fx")
    face(cards, "fox").click()
    expect(cards.locator(PROMPT)).to_have_value("a fox in snow <lora:fox:1> fx fox")
    expect(cards.locator("#txt2img_neg_prompt textarea")).to_have_value("dull")
    expect(face(cards, "fox")).to_have_attribute("aria-pressed", "true")
    cards.fill(PROMPT, "a fox <lora:fox:0.35> fx fox, in snow")
    face(cards, "fox").click()
    expect(cards.locator(PROMPT)).to_have_value("a fox, in snow")
    expect(cards.locator("#txt2img_neg_prompt textarea")).to_have_value("")
    expect(face(cards, "fox")).to_have_attribute("aria-pressed", "false")


def test_generation_and_cards_take_turns(cards: Page) -> None:
    expect(cards.locator("#txt2img_sampling")).to_be_hidden()
    cards.click("#txt2img_generation-button")
    expect(cards.locator("#txt2img_sampling")).to_be_visible()
    expect(cards.locator(CARDS)).to_be_hidden()


def test_only_cards_in_sight_are_drawn_and_keys_reach_all(cards: Page) -> None:
    drawn = cards.locator(f"{CARDS} .card")
    assert drawn.count() < 60
    cards.focus("#txt2img_lora_extra_search")
    cards.keyboard.press("ArrowDown")
    cards.keyboard.press("End")
    last = cards.locator(f"{CARDS} .card:has(.face:focus)")
    expect(last).to_have_attribute("aria-posinset", "132")
    expect(last).to_have_attribute("data-name", "many/style_129")
    assert drawn.count() < 60
    cards.keyboard.press("Enter")
    expect(cards.locator(PROMPT)).to_have_value("<lora:style_129:1>")
    cards.keyboard.press("ArrowLeft")
    expect(cards.locator(f'{CARDS} .card[data-name="many/style_128"] .face')).to_be_focused()


def test_names_and_notes_are_text_and_never_markup(cards: Page) -> None:
    find(cards, "onerror -fx")
    face_of = cards.locator(f"{CARDS} .card .face")
    expect(face_of.locator(".name")).to_have_text(HOSTILE)
    assert cards.evaluate("window.broken") is None


def test_files_of_other_families_show_when_asked_for(cards: Page) -> None:
    chip = cards.locator("#txt2img_lora .families")
    expect(chip).to_contain_text("1 for other models than SD 1")
    chip.click()
    expect(cards.locator("#txt2img_lora .count")).to_have_text("133 files")
    chip.click()
    expect(cards.locator("#txt2img_lora .count")).to_contain_text("132 of 133")


def test_a_folder_narrows_the_list(cards: Page) -> None:
    cards.click('#txt2img_lora_dirs button[data-path="many"]')
    expect(cards.locator("#txt2img_lora .count")).to_contain_text("130 of 133")
    cards.click('#txt2img_lora_dirs button[data-path=""]')
    expect(cards.locator("#txt2img_lora .count")).to_contain_text("132 of 133")


def test_notes_are_changed_in_the_cards_window(cards: Page, loras: Path) -> None:
    find(cards, "fx")
    face(cards, "fox").focus()
    cards.keyboard.press("e")
    window = cards.locator(".easel-card-window")
    expect(window.locator("#easel_card_description")).to_have_value(HOSTILE)
    window.locator("#easel_card_preferred_weight").fill("0.6")
    window.locator("#easel_card_notes").fill("soft")
    assert serious(cards, "dialog") == []
    window.get_by_text("Save notes").click()
    expect(window).to_have_count(0)
    expect(face(cards, "fox")).to_be_focused()
    kept = json.loads((loras / "fox.json").read_text())
    assert (kept["preferred weight"], kept["notes"]) == (0.6, "soft")
    assert cards.evaluate("window.broken") is None
    cards.wait_for_timeout(1700)  # the list hears of it
    face(cards, "fox").click()
    expect(cards.locator(PROMPT)).to_have_value("<lora:fox:0.6> fx fox")


@pytest.mark.parametrize("colours", ["dark", "light"])
def test_cards_and_models_are_usable_by_everyone(cards: Page, colours: str) -> None:
    cards.evaluate("name => Easel.theme.set(name)", colours)
    find(cards, "fx")
    cards.wait_for_timeout(300)
    assert serious(cards, "#txt2img_extra_tabs") == []
    cards.click("#tab_models-button")
    for part in ("downloads", "ledger"):
        cards.click(f"#models_{part}-button")
        expect(cards.locator(f"#models_{part}").first).to_be_visible()
        cards.wait_for_timeout(400)
        assert serious(cards, "easel-models") == [], part


def test_an_address_of_this_network_is_refused_with_a_sentence(shared_page: Page) -> None:
    shared_page.click("#tab_models-button")
    shared_page.click("#models_downloads-button")
    shared_page.fill("#download_address", "http://127.0.0.1/model.safetensors")
    shared_page.keyboard.press("Enter")
    expect(shared_page.locator("easel-downloads .bad")).to_contain_text("local network")


def test_the_ledger_lists_models_and_finds_them(shared_page: Page, loras: Path) -> None:
    shared_page.click("#tab_models-button")
    shared_page.click("#models_ledger-button")
    shared_page.fill("#ledger_search", "easel-starter")
    row = shared_page.locator("#ledger_table tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("apache-2.0")


def test_the_list_of_checkpoints_says_what_each_is(shared_page: Page) -> None:
    shared_page.click("#setting_sd_model_checkpoint input")
    option = shared_page.locator('#setting_sd_model_checkpoint [role="option"]').first
    expect(option).to_have_attribute("data-facts", "SD 1 · 51.5 MB")
    shared_page.keyboard.press("Escape")
