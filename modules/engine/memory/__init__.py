"""Memory modes: where weights rest, in which form they compute, and what is done when both are
too much for the machine."""

from modules.engine.memory.forms import MemorySettings, WeightForm
from modules.engine.memory.lodging import (
    Stage,
    exact_weight,
    form_of,
    lodge,
    lodging_of,
    upcast,
    wake,
)
from modules.engine.memory.packed import Product, is_packed, shape_of, unfolded

__all__ = [
    "MemorySettings",
    "Product",
    "Stage",
    "WeightForm",
    "exact_weight",
    "form_of",
    "is_packed",
    "lodge",
    "lodging_of",
    "shape_of",
    "unfolded",
    "upcast",
    "wake",
]
