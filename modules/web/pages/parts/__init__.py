"""Pieces of a tab; each has ``build(...)`` that places its components and returns them."""
