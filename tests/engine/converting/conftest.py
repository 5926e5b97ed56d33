"""The workshop of the merging tests, for conversions."""

from __future__ import annotations

from tests.engine.merging.conftest import make_state, workshop

__all__ = ["make_state", "workshop"]
