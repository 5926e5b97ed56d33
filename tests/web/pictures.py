"""Small pictures for tests, and reading those that come back."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo


def photo(width: int = 64, height: int = 64) -> Image.Image:
    """A gradient with a red disc."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
    ImageDraw.Draw(image).ellipse(box, fill=(200, 30, 30))
    return image


def mask(width: int = 64, height: int = 64, box: Any = (24, 24, 40, 40)) -> Image.Image:
    """White within the box."""
    image = Image.new("L", (width, height), 0)
    if box:
        ImageDraw.Draw(image).rectangle(box, fill=255)
    return image


def data_of(image: Image.Image, text: str = "") -> bytes:
    """A PNG file."""
    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def b64(image: Image.Image, text: str = "") -> str:
    """A PNG file in bare base64."""
    return base64.b64encode(data_of(image, text)).decode("ascii")


def opened(text: str) -> Image.Image:
    """A picture of an answer."""
    return Image.open(io.BytesIO(base64.b64decode(text)))
