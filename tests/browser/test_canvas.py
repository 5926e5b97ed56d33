"""The canvas: tools, undo, zoom, keys, fingers and pens, pictures coming in, what is kept."""

from __future__ import annotations

import logging

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.canvases import Canvas, drop, fresh, open_mode, put, sample

pytestmark = pytest.mark.browser
log = logging.getLogger("easel.browser")

FRAMES = """async ([name, milliseconds, act]) => {
  const canvas = document.getElementById(name);
  const box = canvas.stage.getBoundingClientRect();
  const {view, drawing} = canvas;
  const at = (n) => view.toPicture(box.width * (0.5 + 0.4 * Math.cos(n / 9)),
                                   box.height * (0.5 + 0.4 * Math.sin(n / 7)));
  const start = performance.now();
  let n = 0;
  if (act === "stroke") drawing.begin();
  while (performance.now() - start < milliseconds) {
    await new Promise(requestAnimationFrame);
    if (act === "stroke") drawing.draw(at(n), at(n + 1));
    else { view.zoom(n % 40 < 20 ? 1.03 : 1 / 1.03); view.pan(4 * Math.cos(n), 4 * Math.sin(n)); }
    n += 1;
  }
  drawing.finish();
  return 1000 * n / (performance.now() - start);
}"""


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The file's page without notes, the Inpaint canvas empty."""
    return fresh(shared_page)


@pytest.fixture
def canvas(page: Page) -> Canvas:
    """The Inpaint canvas with a picture of 200x200."""
    return put(page, "inpaint", sample(200, 200))


def test_brush_shapes_fill_and_eraser_mark_what_they_touch(canvas: Canvas) -> None:
    canvas.drag((0.2, 0.2), (0.5, 0.2))
    brushed = canvas.marked
    assert 60 * 10 < brushed < 90 * 25
    canvas.choose("rectangle")
    canvas.drag((0.6, 0.6), (0.9, 0.8))
    assert abs(canvas.marked - brushed - 60 * 40) <= 120
    canvas.page.keyboard.down("Alt")
    canvas.drag((0.5, 0.5), (0.95, 0.95))
    canvas.page.keyboard.up("Alt")
    assert canvas.marked == brushed
    canvas.choose("lasso")
    canvas.drag((0.1, 0.5), (0.3, 0.5), (0.3, 0.7), (0.1, 0.7))
    assert abs(canvas.marked - brushed - 40 * 40) < 200
    before = canvas.marked
    canvas.choose("eraser")
    canvas.drag((0.2, 0.2), (0.5, 0.2))
    assert canvas.marked == before - brushed


def test_fill_stops_at_a_closed_outline(canvas: Canvas) -> None:
    canvas.drag((0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3))
    outline = canvas.marked
    canvas.choose("fill")
    canvas.click(0.5, 0.5)
    assert outline + 50 * 50 < canvas.marked < 110 * 110


def test_more_than_fifty_strokes_can_be_undone_and_done_again(canvas: Canvas) -> None:
    page = canvas.page
    left, top = canvas.place(0, 0)
    right, bottom = canvas.place(1, 1)
    for number in range(54):
        across, down = 0.08 + 0.1 * (number % 9), 0.1 + 0.14 * (number // 9)
        page.mouse.click(left + across * (right - left), top + down * (bottom - top))
        if number == 3:
            four = canvas.marked
    all_of_them = canvas.marked
    assert canvas.steps == 54
    assert all_of_them > 10 * four
    for _ in range(50):
        page.keyboard.press("Control+z")
    assert canvas.marked == four
    for _ in range(4):
        page.get_by_role("button", name="Undo", exact=True).click()
    assert canvas.marked == 0
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    for _ in range(53):
        page.keyboard.press("Control+Shift+Z")
    page.get_by_role("button", name="Redo", exact=True).click()
    assert canvas.marked == all_of_them


def test_picture_and_mask_survive_another_prompt_another_tab_and_a_reload(
    canvas: Canvas, page: Page
) -> None:
    canvas.drag((0.2, 0.2), (0.6, 0.6))
    marked = canvas.marked
    page.fill("#img2img_prompt textarea", "another prompt")
    page.click("#tab_txt2img-button")
    page.click("#tab_img2img-button")
    canvas.wait()
    assert canvas.marked == marked
    page.wait_for_function(
        "async () => { const open = indexedDB.open('easel-canvas', 1);"
        " await new Promise((go) => (open.onsuccess = go));"
        " const all = open.result.transaction('canvases').objectStore('canvases');"
        " const ask = all.get('img2maskimg');"
        " await new Promise((go) => (ask.onsuccess = go)); open.result.close();"
        " return Boolean(ask.result?.layer); }"
    )
    page.reload()
    page.wait_for_function("window.Easel?.img2img")
    page.click("#tab_img2img-button")
    canvas.wait()
    assert page.evaluate("Easel.img2img.mode()") == "inpaint"
    page.wait_for_function("document.querySelector('#img2maskimg').drawing.painted")
    assert canvas.marked == marked
    expect(page.locator("#img2maskimg .facts")).to_contain_text("200 × 200 · picture.png")


def test_zoom_by_wheel_and_keys_as_in_a1111(canvas: Canvas, page: Page) -> None:
    fitted, scrolled = canvas.scale, page.evaluate("scrollY")
    page.mouse.move(*canvas.place(0.5, 0.5))
    for key in ("Shift", "Alt"):
        page.keyboard.down(key)
        page.mouse.wheel(0, -300)
        page.wait_for_function(
            f"document.querySelector('#img2maskimg').view.scale > {fitted * 1.3}"
        )
        page.keyboard.up(key)
        page.keyboard.press("r")
        assert canvas.scale == fitted
    size = page.evaluate("document.querySelector('#img2maskimg').drawing.size")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.querySelector('#img2maskimg').drawing.size > {size}")
    page.keyboard.up("Control")
    for key in "q[":
        page.keyboard.press(key)
    assert page.evaluate("document.querySelector('#img2maskimg').drawing.size") < size
    assert page.evaluate("scrollY") == scrolled
    page.keyboard.press("+")
    before = canvas.place(0.5, 0.5)
    page.keyboard.down("f")
    canvas.drag((0.5, 0.5), (0.6, 0.6))
    page.keyboard.up("f")
    assert canvas.place(0.5, 0.5) != before
    assert canvas.steps == 0
    page.keyboard.press("s")
    expect(page.locator("#img2maskimg")).to_have_class("filled editable wide")
    page.keyboard.press("Escape")
    expect(page.locator("#img2maskimg")).to_have_class("filled editable")


def test_a_mask_can_be_painted_without_a_mouse(canvas: Canvas, page: Page) -> None:
    page.focus("#img2maskimg_stage")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert canvas.steps == 1
    assert canvas.marked > 400
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_whole_masks_invert_clear_save_and_load(canvas: Canvas, page: Page) -> None:
    canvas.choose("rectangle")
    canvas.drag((0.02, 0.02), (0.5, 0.98))
    marked = canvas.marked
    assert marked > 90 * 180
    page.keyboard.press("i")
    assert canvas.marked == 200 * 200 - marked
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="High contrast")).to_have_attribute(
        "aria-pressed", "true"
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the mask as a file").click()
    with Image.open(saved.value.path()) as file:
        left, right = (file.convert("L").getpixel((x, 100)) for x in (50, 190))
    assert (left, right) == (0, 255)
    page.keyboard.press("Delete")
    assert canvas.marked == 0
    page.locator("#img2maskimg > input[type=file]").set_input_files(saved.value.path())
    page.wait_for_function("document.querySelector('#img2maskimg').drawing.painted")
    assert canvas.marked == 200 * 200 - marked


def test_fingers_paint_and_pinch_and_a_pens_pressure_counts(canvas: Canvas, page: Page) -> None:
    device = page.context.new_cdp_session(page)
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [canvas.place(*place) for place in places]
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def pen(kind: str, x: float, y: float, force: float) -> None:
        at = dict(zip("xy", canvas.place(x, y), strict=True))
        more = {"button": "left", "buttons": 1, "pointerType": "pen", "force": force}
        device.send("Input.dispatchMouseEvent", {"type": kind, **at, **more})

    touch("touchStart", (0.2, 0.2))
    touch("touchMove", (0.4, 0.4))
    touch("touchEnd")
    assert canvas.steps == 1
    fitted = canvas.scale
    touch("touchStart", (0.45, 0.5))
    touch("touchStart", (0.45, 0.5), (0.55, 0.5))
    touch("touchMove", (0.35, 0.5), (0.65, 0.5))
    touch("touchMove", (0.3, 0.5), (0.7, 0.5))
    touch("touchEnd")
    assert canvas.scale > fitted * 1.5
    assert canvas.steps == 1
    page.evaluate("document.querySelector('#img2maskimg').view.fit()")
    widths = []
    for force, y in ((0.1, 0.6), (1.0, 0.8)):
        before = canvas.marked
        pen("mousePressed", 0.2, y, force)
        pen("mouseMoved", 0.5, y, force)
        pen("mouseReleased", 0.5, y, force)
        widths.append(canvas.marked - before)
    assert widths[1] > 2 * widths[0] > 0
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    device.detach()


def test_pictures_come_by_paste_and_from_the_page_and_can_be_taken_back(page: Page, server) -> None:
    open_mode(page, "inpaint")
    page.evaluate(
        """async (bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "image.png", {type: "image/png"}));
          document.body.dispatchEvent(new ClipboardEvent("paste",
            {clipboardData: transfer, bubbles: true, cancelable: true}));
        }""",
        list(sample(90, 60)),
    )
    facts = page.locator("#img2maskimg .facts")
    expect(facts).to_contain_text("90 × 60")
    Canvas(page, "img2maskimg").drag((0.2, 0.2), (0.8, 0.8))
    sent = page.request.post(f"{server.url}/easel/v1/inputs", data=sample(40, 50)).json()
    page.evaluate(
        """(address) => {
          const transfer = new DataTransfer();
          transfer.setData("text/uri-list", new URL(address, location.href).href);
          for (const kind of ["dragover", "drop"])
            document.querySelector("#img2maskimg_stage").dispatchEvent(
              new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        sent["url"],
    )
    expect(facts).to_contain_text("40 × 50")
    page.get_by_role("button", name="Undo", exact=True).last.click()
    expect(facts).to_contain_text("90 × 60")
    assert Canvas(page, "img2maskimg").marked > 0


def test_a_file_that_is_no_picture_is_named_so(page: Page) -> None:
    open_mode(page, "inpaint")
    drop(page, "#img2maskimg", b"GIF89a but not really", "notes.gif")
    expect(page.locator(".easel-toast")).to_contain_text("not a picture this browser can show")
    expect(page.locator("#img2maskimg .drop")).to_be_visible()


def test_a_large_picture_stays_fluent(page: Page) -> None:
    canvas = put(page, "inpaint", sample(2048, 2048))
    for act in ("stroke", "zoom"):
        frames = page.evaluate(FRAMES, ["img2maskimg", 1000, act])
        log.info("2048x2048, %s: %.0f frames a second", act, frames)
    assert canvas.marked > 100_000
    assert canvas.steps == 1
