"""Helpers for the tests of canvases: sample pictures, drops, strokes."""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

_DROP = """([selector, data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
    document.querySelector(selector).dispatchEvent(event);
  }
}"""
CANVASES = {
    "img2img": "img2img_image",
    "sketch": "img2img_sketch",
    "inpaint": "img2maskimg",
    "inpaint_sketch": "inpaint_sketch",
    "inpaint_upload": "img_inpaint_base",
}


def sample(width: int = 128, height: int = 128, colour: str = "#3060a0") -> bytes:
    """A PNG with a plain ground and a lighter disc in the middle."""
    image = Image.new("RGB", (width, height), colour)
    box = (width * 0.3, height * 0.3, width * 0.7, height * 0.7)
    ImageDraw.Draw(image).ellipse(box, fill="#f0d060")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def drop(page: Page, selector: str, data: bytes, name: str = "picture.png") -> None:
    """Drop a file on an element."""
    kind = "image/png" if name.endswith(".png") else "application/octet-stream"
    page.evaluate(_DROP, [selector, base64.b64encode(data).decode(), name, kind])


def fresh(page: Page) -> Page:
    """Empty all canvases and put away the notes."""
    page.evaluate(
        """() => {
          for (const mode of ["img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload"])
            Easel.img2img.drawingOf(mode).clear();
          Easel.img2img.drawingOf("inpaint").setBrush({tool: "brush", size: null, softness: 0});
          document.querySelectorAll(".easel-toast").forEach((note) => note.remove());
        }"""
    )
    return page


def open_mode(page: Page, mode: str) -> None:
    """Open the img2img tab at one of its sub-tabs."""
    page.click("#tab_img2img-button")
    tab = page.locator(f'#mode_img2img [role="tab"][data-tab-id="{mode}"]')
    tab.click()
    page.wait_for_function("mode => Easel.img2img.mode() === mode", arg=mode)
    if mode in CANVASES:
        expect(page.locator(f"#{CANVASES[mode]}_stage")).to_be_visible()


def put(page: Page, mode: str, data: bytes | None = None) -> Canvas:
    """A sub-tab with a picture in it, scrolled into sight."""
    open_mode(page, mode)
    canvas = Canvas(page, CANVASES[mode])
    drop(page, f"#{canvas.name}", data or sample())
    canvas.wait()
    return canvas


class Canvas:
    """One canvas on the page; places are shares of the picture, 0 to 1."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name

    def wait(self) -> None:
        """Return when it shows a picture and lies still in the window."""
        self.page.wait_for_selector(f"#{self.name}.filled")
        self.page.evaluate(
            "name => document.getElementById(name).scrollIntoView({block: 'start'})", self.name
        )
        self.page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the picture is in the window."""
        at = self.page.evaluate(
            """([name, x, y]) => {
              const canvas = document.getElementById(name);
              const {width, height} = canvas.drawing.picture;
              const box = canvas.stage.getBoundingClientRect();
              const at = canvas.view.toFrame(x * width, y * height);
              return [box.x + at.x, box.y + at.y];
            }""",
            [self.name, x, y],
        )
        return at[0], at[1]

    def choose(self, tool: str) -> None:
        """Press a tool's button."""
        self.page.click(f'#{self.name} [data-tool="{tool}"]')

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, move through the others, let go."""
        mouse = self.page.mouse
        mouse.move(*self.place(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.place(*place), steps=4)
        mouse.up()

    def click(self, x: float, y: float) -> None:
        """Click at a place."""
        self.page.mouse.click(*self.place(x, y))

    @property
    def marked(self) -> int:
        """Pixels that are masked or painted at least by half."""
        return self.page.evaluate(
            """name => {
              const {data, kind} = document.getElementById(name).drawing.layer;
              const strength = (value) => (kind === "mask" ? value : value >>> 24);
              return data.reduce((sum, value) => sum + (strength(value) > 127), 0);
            }""",
            self.name,
        )

    @property
    def steps(self) -> int:
        """Length of the undo list."""
        return self.page.evaluate(
            "name => document.getElementById(name).drawing.history.length", self.name
        )

    @property
    def scale(self) -> float:
        """Zoom: pixels of the window for one of the picture."""
        return self.page.evaluate("name => document.getElementById(name).view.scale", self.name)
