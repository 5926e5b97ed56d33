"""Find model files, read their headers safely, tell their family, hash them. No torch here."""

from __future__ import annotations

from modules.catalog.catalog import Catalog
from modules.catalog.checkpoints import CheckpointInfo
from modules.catalog.errors import ModelFileError, UnreadableModelError, UnsupportedModelError
from modules.catalog.families import detect_family
from modules.catalog.folders import read_folder
from modules.catalog.hashes import HashCache
from modules.catalog.header import Header, TensorEntry, safetensors_header
from modules.catalog.sidecar import Sidecar, read_sidecar
from modules.catalog.vaes import VaeInfo, vae_at

__all__ = [
    "Catalog",
    "CheckpointInfo",
    "HashCache",
    "Header",
    "ModelFileError",
    "Sidecar",
    "TensorEntry",
    "UnreadableModelError",
    "UnsupportedModelError",
    "VaeInfo",
    "detect_family",
    "read_folder",
    "read_sidecar",
    "safetensors_header",
    "vae_at",
]
