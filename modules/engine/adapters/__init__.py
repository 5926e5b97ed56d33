"""What changes a model without being one: LoRA and its kin, textual inversions, hypernetworks."""

from __future__ import annotations

from modules.engine.adapters.merged import ModelAdapters

__all__ = ["ModelAdapters"]
