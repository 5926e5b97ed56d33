"""The arithmetic of every kind of adapter: from a file's parts and a weight to its change."""

from __future__ import annotations

from modules.engine.adapters.deltas.change import Change, DoesNotFit, Parts, multiplied
from modules.engine.adapters.deltas.registry import KINDS, Kind, kind_of

__all__ = ["KINDS", "Change", "DoesNotFit", "Kind", "Parts", "kind_of", "multiplied"]
