"""The safety checker's folder: where it lies, and what to fetch when it is not there."""

from __future__ import annotations

from pathlib import Path

from modules.requests.errors import RequestError
from modules.settings.paths import Paths

FOLDER = "safety_checker"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
URL = "https://huggingface.co/CompVis/stable-diffusion-safety-checker"
"""A CLIP image encoder with 17 concepts (Rando et al. 2022, arXiv 2210.04610, look into it)."""


def safety_folder(paths: Paths) -> Path:
    """Where the checker's two files are looked for."""
    return paths.models / FOLDER


def find_safety_checker(paths: Paths) -> Path:
    """The folder with the checker's files.

    Raises:
        RequestError: which files are missing, where they belong, and where they are to be had.
    """
    folder = safety_folder(paths)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise RequestError(
            "safety_checker",
            "",
            f"it is switched on, and {' and '.join(missing)} of it not there: download from {URL} "
            f"into {folder.parent.name}/{folder.name}, or switch it off in the settings.",
        )
    return folder
