"""Grids with a legend: labels above the columns and before the rows, margins between cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor, ImageDraw, ImageFont

from modules.gallery.errors import GalleryError

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LINE_SPACING = 1.25
"""Distance of two lines in font sizes."""
SMALLEST = 10
"""Font size in pixels below which nobody can read it."""
LONGEST_LABEL = 2000
"""Characters of one label; prompts can be long."""

SYSTEM_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
"""Fonts with Chinese characters, tried when a label has some."""


@dataclass(frozen=True)
class Legend:
    """Labels of the columns and rows; a label may be empty."""

    columns: Sequence[str]
    rows: Sequence[str]


def labelled_grid(
    cells: Sequence[Image.Image | None],
    legend: Legend,
    options: Mapping[str, Any],
    margin: int = 0,
    *,
    draw_legend: bool = True,
) -> Image.Image:
    """The cells row by row, as wide and high as the largest one.

    Args:
        cells: ``len(legend.rows) * len(legend.columns)`` pictures; None leaves a cell empty.
        margin: pixels between cells.

    Raises:
        GalleryError: no picture at all, or the sheet would exceed ``img_max_size_mp``.
    """
    pictures = [cell for cell in cells if cell is not None]
    if not pictures:
        raise GalleryError("A grid needs at least one picture.")
    cell = max(one.width for one in pictures), max(one.height for one in pictures)
    layout = _Layout.of(legend if draw_legend else _none(legend), cell, margin)
    check_size(*layout.size, options)
    sheet = Image.new("RGB", layout.size, _colour(options, "grid_background_color", "#ffffff"))
    for number, picture in enumerate(cells):
        if picture is not None:
            row, column = divmod(number, len(legend.columns))
            sheet.paste(picture.convert("RGB"), layout.corner(row, column))
    _draw_legend(sheet, layout, _colour(options, "grid_text_active_color", "#000000"))
    return sheet


def _none(legend: Legend) -> Legend:
    return Legend([""] * len(legend.columns), [""] * len(legend.rows))


@dataclass(frozen=True)
class _Layout:
    """Where everything is on the sheet, in pixels."""

    cell: tuple[int, int]
    margin: int
    font_size: int
    left: int
    top: int
    columns: Sequence[Sequence[str]]
    """The lines of each column's label."""
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, legend: Legend, cell: tuple[int, int], margin: int) -> _Layout:
        width, height = cell
        size = max(SMALLEST, (width + height) // 25)
        left = width * 3 // 4 if any(legend.rows) else 0
        columns = [_wrapped(label, width, size) for label in legend.columns]
        rows = [_wrapped(label, max(left - size, 1), size) for label in legend.rows]
        top = _block(max(map(len, columns)), size) + size if any(legend.columns) else 0
        return cls(cell, margin, size, left, top, columns, rows)

    @property
    def size(self) -> tuple[int, int]:
        """Of the whole sheet."""
        columns, rows = len(self.columns), len(self.rows)
        return (
            self.left + columns * self.cell[0] + (columns - 1) * self.margin,
            self.top + rows * self.cell[1] + (rows - 1) * self.margin,
        )

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Upper left corner of a cell."""
        return (
            self.left + column * (self.cell[0] + self.margin),
            self.top + row * (self.cell[1] + self.margin),
        )


def check_size(width: int, height: int, options: Mapping[str, Any]) -> None:
    """
    Raises:
        GalleryError: a sheet of this size would exceed ``img_max_size_mp``.
    """
    limit = float(options.get("img_max_size_mp", 200))
    if width * height > limit * 1_000_000:
        raise GalleryError(
            f"The grid would have {width}x{height} pixels; the setting img_max_size_mp allows "
            f"{limit:g} million."
        )


def _draw_legend(sheet: Image.Image, layout: _Layout, colour: tuple[int, ...]) -> None:
    draw = ImageDraw.Draw(sheet)
    width, height = layout.cell

    def write(lines: Sequence[str], x: int, y: int) -> None:
        """The lines centred around a point."""
        size = layout.font_size
        at = y - _block(len(lines), size) / 2 + size * LINE_SPACING / 2
        for line in lines:
            draw.text((x, at), line, font=font_for(line, size), fill=colour, anchor="mm")
            at += size * LINE_SPACING

    if layout.top:
        for column, lines in enumerate(layout.columns):
            write(lines, layout.corner(0, column)[0] + width // 2, layout.top // 2)
    if layout.left:
        for row, lines in enumerate(layout.rows):
            write(lines, layout.left // 2, layout.corner(row, 0)[1] + height // 2)


def _block(lines: int, size: int) -> int:
    return int(lines * size * LINE_SPACING)


def _wrapped(label: str, width: int, size: int) -> list[str]:
    """The label in lines that fit, broken between words, or inside those that are too long."""
    label = label[:LONGEST_LABEL]
    font = font_for(label, size)
    lines: list[str] = []
    for paragraph in label.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while font.getlength(line) > width and len(line) > 1:
                cut = _fitting(line, width, font)
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return lines or [""]


def _fitting(text: str, width: int, font: Font) -> int:
    """How many of the first characters fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def font_for(text: str, size: int) -> Font:
    """A font of ``size`` pixels that has the characters of ``text`` if this machine has one."""
    return _font(size, any(ord(character) > 0x2E7F for character in text))


@lru_cache(maxsize=64)
def _font(size: int, chinese: bool) -> Font:
    if chinese:
        for path in SYSTEM_FONTS:
            if Path(path).is_file():
                return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


def _colour(options: Mapping[str, Any], key: str, otherwise: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(str(options.get(key, otherwise)))[:3]
    except ValueError:
        return ImageColor.getrgb(otherwise)[:3]
