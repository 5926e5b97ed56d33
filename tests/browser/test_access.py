"""Usable by everyone: axe-core's rules, keyboard alone, small screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import drawing

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}


def serious(page: Page, within: str = "html") -> list[str]:
    """What axe finds serious or critical, one line each; ``within`` names a part of the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "([part, rules]) => axe.run(document.querySelector(part), rules)", [within, RULES]
    )
    return [
        f"{fault['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


TABS = ("txt2img", "outpaint", "extras", "pnginfo", "modelmerger", "queue", "settings")
FIRST_OF = {
    "txt2img": "#txt2img_prompt",
    "outpaint": "easel-outpaint-frame .canvas",
    "extras": "easel-picture img",
    "pnginfo": "#pnginfo_image",
    "modelmerger": "#modelmerger_result",
    "queue": "#queue_pause",
    "settings": "#settings_list .row",
}


@pytest.mark.parametrize("colours", ["dark", pytest.param("light", marks=pytest.mark.full)])
def test_axe_finds_nothing_serious_on_any_tab(page: Page, colours: str) -> None:
    page.evaluate("name => Easel.theme.set(name)", colours)
    page.evaluate(
        "async (bytes) => { for (const tab of ['outpaint', 'extras'])"
        " await Easel.sources.adopt(tab, new Blob([Uint8Array.from(bytes)])); }",
        list(drawing()),
    )
    every_section(page, "txt2img", "extras")
    for tab in TABS:
        page.click(f"#tab_{tab}-button")
        expect(page.locator(FIRST_OF[tab]).first).to_be_visible()
        page.wait_for_timeout(400)
        assert serious(page) == [], tab


def every_section(page: Page, *tabs: str) -> None:
    """Open all sections that a switch closes."""
    page.evaluate(
        "(tabs) => { for (const tab of tabs) { const values = Easel.form.values(tab);"
        " const switches = Object.keys(values).filter((name) => /enable/.test(name));"
        " Easel.form.apply(tab, Object.fromEntries(switches.map((name) => [name, true]))); } }",
        list(tabs),
    )


def test_axe_finds_planted_faults(page: Page) -> None:
    planted = '<button></button><p style="color:#777;background:#888">pale</p>'
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", planted)
    assert len(serious(page)) >= 2


def test_the_way_from_prompt_to_picture_needs_no_mouse(page: Page) -> None:
    page.evaluate("Easel.form.apply('txt2img', {steps: 2, width: 64, height: 64})")
    page.focus("#txt2img_prompt textarea")
    page.keyboard.type("a small boat")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        holder = page.evaluate("document.activeElement.closest('[id^=txt2img_]')?.id ?? ''")
        reached.add(holder)
        if holder == "txt2img_generate":
            break
    assert {"txt2img_neg_prompt", "txt2img_steps", "txt2img_seed"} <= reached
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#txt2img_gallery .full img")).to_be_visible()


def test_a_phone_gets_one_column_and_the_actions_at_the_bottom(visit) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button = page.locator("#txt2img_generate").bounding_box()
    assert button["y"] > 750
    for name in ("interrupt", "skip"):
        box = page.locator(f"#txt2img_{name}").bounding_box()
        assert box["x"] + box["width"] <= 390
