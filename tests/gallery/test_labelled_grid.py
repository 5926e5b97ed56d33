"""Grids with a legend."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.gallery.errors import GalleryError
from modules.gallery.labelled_grid import Legend, labelled_grid

RED = Image.new("RGB", (40, 30), (255, 0, 0))
SMALL = Image.new("RGBA", (20, 10), (0, 0, 255, 255))


def test_without_labels_it_is_the_pictures_with_margins():
    sheet = labelled_grid([RED, SMALL, None, RED], Legend(["", ""], ["", ""]), {}, 6)

    assert sheet.size == (86, 66)
    assert sheet.getpixel((42, 10)) == (255, 255, 255)
    assert sheet.getpixel((47, 1)) == (0, 0, 255)
    assert sheet.getpixel((10, 50)) == (255, 255, 255)
    assert sheet.getpixel((85, 65)) == (255, 0, 0)


def test_labels_have_room_and_ink_outside_the_cells():
    legend = Legend(["Steps: 1", "步数: 2"], ["CFG Scale: 7"])
    sheet = labelled_grid([RED, RED], legend, {})

    left = sheet.width - 80
    above = sheet.crop((left, 0, sheet.width, sheet.height - 30))
    before = sheet.crop((0, sheet.height - 30, left, sheet.height))
    assert above.convert("L").getextrema()[0] < 100
    assert before.convert("L").getextrema()[0] < 100


def test_the_legend_can_be_left_out():
    assert labelled_grid([RED], Legend(["a"], ["b"]), {}, draw_legend=False).size == (40, 30)


def test_colours_are_the_settings():
    options = {"grid_background_color": "#102030", "grid_text_active_color": "nonsense"}

    sheet = labelled_grid([None, RED], Legend(["", ""], [""]), options)

    assert sheet.getpixel((5, 5)) == (16, 32, 48)


@pytest.mark.parametrize("cells", [[], [None]])
def test_a_grid_needs_a_picture(cells):
    with pytest.raises(GalleryError):
        labelled_grid(cells, Legend(["a"] * len(cells), ["b"]), {})


def test_a_sheet_beyond_the_setting_is_refused():
    with pytest.raises(GalleryError, match="img_max_size_mp"):
        labelled_grid([RED], Legend([""], [""]), {"img_max_size_mp": 0.001})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=2, max_size=2), st.text(max_size=3000))
def test_any_text_can_be_a_label(columns, row):
    sheet = labelled_grid([RED, RED], Legend(columns, [row]), {})

    assert sheet.getpixel((sheet.width - 1, sheet.height - 1)) == (255, 0, 0)
