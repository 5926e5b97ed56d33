"""Checkpoints: families, loading, hot swap, VAE, previews' factors."""

from __future__ import annotations

from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.checkpoints.loaded import LoadedModel
from modules.engine.checkpoints.manager import ModelManager
from modules.engine.checkpoints.vae_codec import NotANumberError

__all__ = ["LoadedModel", "ModelLoadError", "ModelManager", "NotANumberError"]
