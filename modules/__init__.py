"""Easel's rooms; see docs/architecture.md for the way they may depend on each other."""
