"""Steps that tests of several tabs share: fill a form, generate, wait for the result."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page


def open_tab(page: Page, tab: str) -> None:
    """Open a tab and wait until its form is there."""
    page.click(f"#tab_{tab}-button")
    page.wait_for_selector(f"#{tab}_generate")


def fill_tab(page: Page, tab: str, **fields: Any) -> None:
    """Put values into a tab's form and wait until it has them; ``__`` in a name is a dot."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    page.evaluate("([tab, fields]) => Easel.form.apply(tab, fields)", [tab, named])
    page.wait_for_function(
        "([tab, fields]) => Object.entries(fields).every(([name, value]) =>"
        " JSON.stringify(Easel.form.values(tab)[name]) === JSON.stringify(value))",
        arg=[tab, named],
    )


def result_of(page: Page, tab: str, selector: str) -> dict[str, Any]:
    """Press ``selector`` and wait for the job that the tab's panel shows then; its JSON."""
    panel = f"document.querySelector('easel-output[tab=\"{tab}\"]').job"
    before = page.evaluate(f"{panel}?.id ?? ''")
    page.click(selector)
    page.wait_for_function(
        f"before => {panel} && {panel}.id !== before"
        f" && !['queued', 'running'].includes({panel}.state)",
        arg=before,
    )
    return page.evaluate(panel)


def generated(page: Page, tab: str) -> dict[str, Any]:
    """Press Generate in ``tab`` and wait for its job; the job's JSON."""
    return result_of(page, tab, f"#{tab}_generate")


def drawing(width: int = 64, height: int = 64) -> bytes:
    """A PNG with a face-less little scene, cut off at its upper border."""
    image = Image.new("RGB", (width, height), "#3b73c8")
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 4, -height // 4, 3 * width // 4, height // 2), fill="#d8402c")
    draw.rectangle((0, 3 * height // 4, width, height), fill="#4d9a43")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def png(name: str = "scene.png", **size: int) -> dict[str, Any]:
    """The drawing as an upload of Playwright's."""
    return {"name": name, "mimeType": "image/png", "buffer": drawing(**size)}
