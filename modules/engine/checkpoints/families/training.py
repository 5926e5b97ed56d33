"""How a checkpoint was trained, as far as its file says: what it predicts, its last noise level."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modules.catalog.header import Header

EPSILON, VELOCITY = "epsilon", "v_prediction"
_KINDS = {"v": VELOCITY, "v_prediction": VELOCITY, "epsilon": EPSILON, "eps": EPSILON}
_VELOCITY_NAME = re.compile(r"768[-_ ]?v\b|\bv[-_ ]?pred|v[-_ ]ema|vpred|v[-_ ]prediction")


def told_training(header: Header) -> dict[str, Any]:
    """Values of a scheduler config from marker tensors and Stability's metadata; maybe none."""
    told: dict[str, Any] = {}
    said = header.metadata.get("modelspec.prediction_type", "").strip().lower()
    if said in _KINDS:
        told["prediction_type"] = _KINDS[said]
    elif header.metadata.get("modelspec.architecture", "").startswith("stable-diffusion-v2-768"):
        told["prediction_type"] = VELOCITY
    if "v_pred" in header:
        told["prediction_type"] = VELOCITY
    if "ztsnr" in header:
        told["rescale_betas_zero_snr"] = True
        told["timestep_spacing"] = "trailing"
    return told


def name_hints_velocity(path: Path) -> bool:
    """Whether a file's name says that its model predicts v: the weakest of all hints."""
    name = path.stem if path.is_file() else path.name
    return _VELOCITY_NAME.search(name.lower()) is not None
