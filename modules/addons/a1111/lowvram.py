"""A1111's ``lowvram``: the engine moves networks itself."""

from __future__ import annotations

from typing import Any


def send_everything_to_cpu() -> None:
    """Nothing to do."""


def is_needed(sd_model: Any) -> bool:
    """Never by extensions."""
    return False


def is_enabled(sd_model: Any) -> bool:
    """Never by extensions."""
    return False


def apply(sd_model: Any) -> None:
    """Nothing to do."""


def setup_for_low_vram(sd_model: Any, use_medvram: bool) -> None:
    """Nothing to do."""
