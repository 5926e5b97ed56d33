"""The form: kept values, keyboard, sizes, styles, parameters read from pictures and texts."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

Fill = Callable[..., None]
PROMPT = "#txt2img_prompt textarea"
NEGATIVE = "#txt2img_neg_prompt textarea"
INFOTEXT = (
    "a dropped cat\nNegative prompt: a dog\n"
    "Steps: 33, Sampler: Euler a, Schedule type: Karras, CFG scale: 6.5, Seed: 77, "
    "Size: 320x448, Model: something, Clip skip: 2"
)
DROP = """([selector, data, name]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/png"}));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
    document.querySelector(selector).dispatchEvent(event);
  }
}"""


def drop(page: Page, selector: str, data: bytes) -> None:
    page.evaluate(DROP, [selector, base64.b64encode(data).decode(), "picture.png"])


def number(page: Page, name: str) -> str:
    return page.input_value(f"#txt2img_{name} input[type=number]")


def test_the_first_visit_takes_the_models_own_settings(page: Page, server) -> None:
    wishes = server.get("/easel/page/state")["model_defaults_by_tab"]["txt2img"]
    assert number(page, "width") == str(wishes["width"])
    assert number(page, "steps") == str(wishes["steps"])
    example = page.locator("easel-examples button").first
    expect(example).to_be_visible()
    words = example.inner_text()
    example.click()
    expect(page.locator(PROMPT)).to_have_value(words)
    expect(page.locator("easel-examples")).to_be_hidden()


def test_the_form_survives_a_reload(page: Page, fill: Fill) -> None:
    kept = {
        "negative_prompt": "rain",
        "sampler_name": "Euler a",
        "scheduler": "Exponential",
        "steps": 31,
        "width": 192,
        "height": 256,
        "n_iter": 3,
        "batch_size": 2,
        "cfg_scale": 5.5,
        "seed": 1234,
        "seed_extra": True,
        "subseed_strength": 0.25,
    }
    fill(**kept)
    page.fill(PROMPT, "a quiet lake")
    page.wait_for_function("localStorage.getItem('easel.form.v1')?.includes('a quiet lake')")
    page.reload()
    expect(page.locator(PROMPT)).to_have_value("a quiet lake")
    page.wait_for_function("Easel.form?.values('txt2img')?.steps === 31")
    values = page.evaluate("Easel.form.values('txt2img')")
    assert {name: values[name] for name in kept} == kept
    expect(page.locator("#txt2img_sampling input")).to_have_value("Euler a")
    expect(page.locator("#txt2img_subseed_strength")).to_be_visible()


def test_weights_by_keyboard(page: Page) -> None:
    box = page.locator(PROMPT)
    box.fill("a red apple, blue sky")
    box.evaluate("box => box.setSelectionRange(3, 3)")
    page.keyboard.press("Control+ArrowUp")
    expect(box).to_have_value("a (red:1.1) apple, blue sky")
    page.keyboard.press("Control+ArrowUp")
    expect(box).to_have_value("a (red:1.2) apple, blue sky")
    for _ in range(2):
        page.keyboard.press("Control+ArrowDown")
    expect(box).to_have_value("a red apple, blue sky")
    box.fill("<lora:ink:1>, paper")
    box.evaluate("box => box.setSelectionRange(3, 3)")
    page.keyboard.press("Control+ArrowDown")
    expect(box).to_have_value("<lora:ink:0.95>, paper")
    box.fill("one, two, three")
    box.evaluate("box => box.setSelectionRange(6, 6)")
    page.keyboard.press("Alt+ArrowLeft")
    expect(box).to_have_value("two, one, three")
    page.wait_for_function("Easel.form.values('txt2img').prompt === 'two, one, three'")


WEIGHTS = [
    ("((deep)) sea", [3, 3], 1, "(deep:1.31) sea"),
    ("[soft] sea", [2, 2], 1, "(soft:1.0091) sea"),
    ("(a b:1.2) c", [2, 2], -1, "(a b:1.1) c"),
    ("one two", [0, 7], 1, "(one two:1.1)"),
    ("(one two:1.3)", [0, 13], -1, "(one two:1.2)"),
    (r"smile \(happy\)", [0, 5], 1, r"(smile:1.1) \(happy\)"),
    ("", [0, 0], 1, None),
]


def test_weights_of_every_kind_of_bracket(page: Page) -> None:
    for text, selection, direction, result in WEIGHTS:
        found = page.evaluate(
            "async ([text, [start, end], direction]) => {"
            " const {weigh} = await import(`/easel/static/${Easel.config.assets}/attention.js`);"
            " return weigh(text, start, end, direction)?.text ?? null; }",
            [text, selection, direction],
        )
        assert found == result, text


def test_ctrl_enter_generates_and_alt_enter_skips(page: Page, fill: Fill) -> None:
    fill(steps=150, width=128, height=128, n_iter=2, prompt="a bird")
    page.focus(PROMPT)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#txt2img_progress")).to_contain_text("batch 1 of 2")
    page.keyboard.press("Alt+Enter")
    expect(page.locator("#txt2img_progress")).to_contain_text("batch 2 of 2")
    page.keyboard.press("Escape")
    expect(page.locator("#txt2img_progress")).to_be_hidden()


def test_sizes_can_be_pasted_swapped_and_shaped(page: Page, fill: Fill) -> None:
    fill(width=128, height=128)
    page.focus("#txt2img_width input[type=number]")
    page.evaluate(
        "() => { const data = new DataTransfer(); data.setData('text/plain', '640x960');"
        " document.activeElement.dispatchEvent(new ClipboardEvent('paste',"
        " {clipboardData: data, bubbles: true, cancelable: true})); }"
    )
    height = page.locator("#txt2img_height input[type=number]")
    width = page.locator("#txt2img_width input[type=number]")
    expect(width).to_have_value("640")
    expect(height).to_have_value("960")
    page.click("#txt2img_res_switch_btn")
    expect(width).to_have_value("960")
    expect(height).to_have_value("640")
    page.locator("easel-shapes button", has_text="9:16").click()
    page.wait_for_function(
        "(() => { const {width, height} = Easel.form.values('txt2img');"
        " return Math.abs(width / height - 9 / 16) < 0.04; })()"
    )


def test_the_counter_counts_and_the_parser_warns(page: Page) -> None:
    page.fill(PROMPT, "a red apple")
    expect(page.locator("#txt2img_token_counter")).to_have_text("3/75")
    page.fill(PROMPT, "a (red apple")
    remark = page.locator('easel-prompt-status[box="prompt"] .warnings button')
    expect(remark).to_contain_text("never closed")
    remark.click()
    assert page.evaluate("document.activeElement.selectionStart") == 2


def test_without_the_counter_the_parser_still_warns(page: Page, server) -> None:
    counter = page.locator("#txt2img_token_counter")
    server.post("/sdapi/v1/options", {"disable_token_counters": True})
    try:
        expect(counter).to_be_hidden()
        page.fill(PROMPT, "a (red apple")
        remark = page.locator('easel-prompt-status[box="prompt"] .warnings button')
        expect(remark).to_contain_text("never closed")
    finally:
        server.post("/sdapi/v1/options", {"disable_token_counters": False})
    expect(counter).to_be_visible()


def test_a_style_takes_the_prompt_letter_by_letter(page: Page, server) -> None:
    address = f"{server.url}/easel/v1/styles/Odd"
    page.request.put(address, data={"prompt": "<{prompt}>", "negative_prompt": ""})
    merged = page.evaluate("Easel.styles.merge('a $& b $1 $$', '', ['Odd'])")
    page.request.delete(address)
    assert merged[0] == "<a $& b $1 $$>"


def test_a_picture_dropped_on_the_prompt_fills_the_form(page: Page, picture) -> None:
    page.fill(PROMPT, "before")
    page.wait_for_function("Easel.form.values('txt2img').prompt === 'before'")
    drop(page, PROMPT, picture(INFOTEXT))
    expect(page.locator(PROMPT)).to_have_value("a dropped cat")
    expect(page.locator(NEGATIVE)).to_have_value("a dog")
    expect(page.locator("#txt2img_sampling input")).to_have_value("Euler a")
    expect(page.locator("#txt2img_scheduler input")).to_have_value("Karras")
    page.wait_for_function("Easel.form.values('txt2img').seed === 77")
    assert [number(page, name) for name in ("steps", "width", "height")] == ["33", "320", "448"]
    assert number(page, "cfg_scale") == "6.5"
    expect(page.locator("#txt2img_override_settings")).to_contain_text("Clip skip: 2")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(PROMPT)).to_have_value("before")
    expect(page.locator("#txt2img_override_settings")).to_have_count(0)


def test_a_picture_without_parameters_changes_nothing(page: Page, picture) -> None:
    page.fill(PROMPT, "stays")
    page.wait_for_function("Easel.form.values('txt2img').prompt === 'stays'")
    drop(page, PROMPT, picture("just words"))
    expect(page.locator(".easel-toast")).to_contain_text("holds no generation parameters")
    expect(page.locator(PROMPT)).to_have_value("stays")


def test_parameters_are_read_from_the_prompt_box(page: Page) -> None:
    page.fill(PROMPT, INFOTEXT)
    page.click("#txt2img_paste")
    expect(page.locator(PROMPT)).to_have_value("a dropped cat")
    page.wait_for_function("Easel.form.values('txt2img').steps === 33")


def test_an_empty_prompt_takes_the_last_pictures_parameters(
    page: Page, fill: Fill, generate
) -> None:
    fill(steps=2, width=64, height=64, sampler_name="Euler", prompt="a last picture", seed=3)
    generate()
    fill(prompt="", seed=-1)
    page.click("#txt2img_paste")
    expect(page.locator(PROMPT)).to_have_value("a last picture")
    expect(page.locator("#txt2img_seed input")).to_have_value("3")


def test_clearing_the_prompt_asks_first(page: Page) -> None:
    page.fill(PROMPT, "precious")
    page.wait_for_function("Easel.form.values('txt2img').prompt === 'precious'")
    page.click("#txt2img_clear_prompt")
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(PROMPT)).to_have_value("precious")
    page.click("#txt2img_clear_prompt")
    page.locator("dialog .easel-button.primary").click()
    expect(page.locator(PROMPT)).to_have_value("")


def test_styles_are_made_chosen_applied_and_deleted(page: Page, fill: Fill, server) -> None:
    page.fill(PROMPT, "a lighthouse")
    page.fill(NEGATIVE, "fog")
    page.click("#txt2img_styles_edit_button")
    page.fill("#easel_style_name", "ink drawing")
    page.fill("#easel_style_prompt", "{prompt}, ink on paper")
    page.fill("#easel_style_negative", "colour")
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.click("#txt2img_styles input")
    page.get_by_role("option", name="ink drawing").click()
    page.keyboard.press("Escape")
    page.wait_for_function("Easel.form.values('txt2img').styles[0] === 'ink drawing'")
    page.click("#txt2img_style_apply")
    expect(page.locator(PROMPT)).to_have_value("a lighthouse, ink on paper")
    expect(page.locator(NEGATIVE)).to_have_value("fog, colour")
    page.click("#txt2img_styles_edit_button")
    page.fill("#easel_style_name", "ink drawing")
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.locator("dialog").last.locator(".easel-button.primary").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert "ink drawing" not in [s["name"] for s in server.get("/easel/v1/styles")["styles"]]
