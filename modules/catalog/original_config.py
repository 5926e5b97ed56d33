"""The `<name>.yaml` beside a checkpoint: the training configuration of the original code.

Only the few keys that say what tensors cannot are read, and only plain values: nothing in such a
file names code that would be run here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from modules.catalog.errors import UnreadableModelError, shown
from modules.catalog.header import open_regular

MAX_BYTES = 64 * 1024
MAX_ALIASES = 100
MAX_BRACKETS = 1000
_PREDICTIONS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
_SCALINGS = {"EpsScaling": "epsilon", "VScaling": "v_prediction"}
"""SDXL's code names a class instead; the end of its name is compared, nothing is imported."""


def original_config_path(model: Path) -> Path:
    """Where the configuration of a single file lies, whether it exists or not."""
    return model.with_suffix(".yaml")


def read_original_config(model: Path) -> dict[str, dict[str, Any]]:
    """Configuration values by component ("scheduler", "unet", "vae"); empty without a file.

    Raises:
        UnreadableModelError: the file is too big, not YAML, or holds impossible values.
    """
    path = original_config_path(model)
    if not path.is_file():
        return {}
    params = _mapping(_mapping(_read(path)).get("model")).get("params")
    params = _mapping(params)
    unet = _mapping(_mapping(params.get("unet_config")).get("params"))
    vae = _number(path, params, "scale_factor")
    found = {
        "scheduler": _scheduler(path, params),
        "unet": _heads(path, unet),
        "vae": {} if vae is None else {"scaling_factor": vae},
    }
    return {name: values for name, values in found.items() if values}


def _read(path: Path) -> Any:
    try:
        with open_regular(path) as stream:
            raw = stream.read(MAX_BYTES + 1) or b""
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error
    if len(raw) > MAX_BYTES:
        raise UnreadableModelError(path, f"is bigger than {MAX_BYTES >> 10} KB")
    if raw.count(b"*") > MAX_ALIASES:
        raise UnreadableModelError(path, "has too many references")
    if raw.count(b"[") + raw.count(b"{") > MAX_BRACKETS:
        raise UnreadableModelError(path, "has too many brackets")
    try:
        return yaml.safe_load(raw.decode("utf-8-sig"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableModelError(path, f"is not valid YAML ({shown(reason)})") from error


def _scheduler(path: Path, params: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    said = params.get("parameterization")
    if said is not None:
        if said not in _PREDICTIONS:
            allowed = ", ".join(_PREDICTIONS)
            reason = f"has the parameterization {shown(str(said), 40)!r}; allowed: {allowed}"
            raise UnreadableModelError(path, reason)
        found["prediction_type"] = _PREDICTIONS[said]
    denoiser = _mapping(_mapping(params.get("denoiser_config")).get("params"))
    scaling = str(_mapping(denoiser.get("scaling_config")).get("target", "")).rpartition(".")[2]
    if scaling in _SCALINGS:
        found["prediction_type"] = _SCALINGS[scaling]
    for theirs, ours in {"linear_start": "beta_start", "linear_end": "beta_end"}.items():
        value = _number(path, params, theirs)
        if value is not None:
            found[ours] = value
    return found


def _heads(path: Path, unet: dict[str, Any]) -> dict[str, Any]:
    """Heads of every level, where the file says their number; their width is the families'."""
    heads = _number(path, unet, "num_heads")
    return {"attention_head_dim": int(heads)} if heads is not None and heads >= 1 else {}


def _number(path: Path, values: dict[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        if name == "num_heads" and value == -1:
            return None  # "told by their width", in the original code
        raise UnreadableModelError(path, f"has {name} {shown(str(value), 40)!r}, not a number")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
