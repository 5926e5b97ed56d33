"""Memory modes: where weights rest, in which form they compute, and what is done when both are
too much for the machine."""

from modules.engine.memory.forms import MemorySettings, WeightForm
from modules.engine.memory.lodging import Stage, exact_weight, form_of, lodge, upcast, wake

__all__ = [
    "MemorySettings",
    "Stage",
    "WeightForm",
    "exact_weight",
    "form_of",
    "lodge",
    "upcast",
    "wake",
]
