"""The settings themselves, one file per category; :func:`build_table` puts them in page order."""

from __future__ import annotations

from modules.settings.options import OptionTable
from modules.settings.tables import (
    cards,
    extensions,
    generation,
    interface,
    later,
    networks,
    pictures,
    provenance,
    sampling,
    saving,
    sd3,
    sdxl,
)


def build_table() -> OptionTable:
    """A fresh table of all settings; extensions may add rows to it."""
    rooms = (saving, provenance, generation, sampling, pictures, sdxl, sd3, networks, cards)
    rooms += (interface, extensions, later)
    return OptionTable(option for room in rooms for option in room.OPTIONS)
