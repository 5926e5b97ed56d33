"""What a person notes about a model: `<name>.json` beside the file, in A1111's form.

A1111's keys are `description`, `sd version`, `activation text`, `preferred weight`,
`negative text`, `notes` and, for checkpoints, `vae`; ours beside them are `default parameters`
(request fields), `license` and `source`. Keys of other programs stay as they are.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError
from modules.catalog.folders import read_json
from modules.requests.errors import RequestError
from modules.settings.atomic import write_json

MAX_TEXT = 20_000
"""Characters of one text."""
MAX_PARAMETERS = 60
MAX_WEIGHT = 10.0
VERSIONS = ("SD1", "SD2", "SDXL", "SD3", "Flux", "Unknown")
"""What `sd version` may be; A1111 knows the first three and "Unknown"."""

TEXTS: Mapping[str, str] = {
    "description": "description",
    "activation_text": "activation text",
    "negative_text": "negative text",
    "notes": "notes",
    "vae": "vae",
    "licence": "license",
    "source": "source",
}
"""Field → key in the file."""
VERSION_KEY = "sd version"
WEIGHT_KEY = "preferred weight"
DEFAULTS_KEY = "default parameters"

_writing = threading.Lock()


@dataclass(frozen=True)
class UserMetadata:
    """The notes beside one model; everything is empty without a file."""

    description: str = ""
    activation_text: str = ""
    negative_text: str = ""
    notes: str = ""
    vae: str = ""
    licence: str = ""
    source: str = ""
    sd_version: str = ""
    """One of `VERSIONS`, or empty."""
    preferred_weight: float = 0.0
    """0 for the usual one."""
    default_parameters: dict[str, Any] = field(default_factory=dict)
    """Fields of a generation request."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> UserMetadata:
        """What of a file's content can be used; wrong types count as missing."""
        texts = {name: _text(content.get(key)) for name, key in TEXTS.items()}
        version = _text(content.get(VERSION_KEY))
        return cls(
            **texts,
            sd_version=version if version in VERSIONS else "",
            preferred_weight=_weight(content.get(WEIGHT_KEY)),
            default_parameters=_parameters(content.get(DEFAULTS_KEY)),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields under their own names."""
        return {
            **{name: getattr(self, name) for name in TEXTS},
            "sd_version": self.sd_version,
            "preferred_weight": self.preferred_weight,
            "default_parameters": dict(self.default_parameters),
        }


def metadata_path(model: Path) -> Path:
    """Where the notes of a model lie, whether they exist or not."""
    if model.is_dir():
        return model.with_name(model.name + ".json")
    return model.with_suffix(".json")


def read_user_metadata(model: Path) -> UserMetadata:
    """Read the notes beside a model; empty ones when there are none or they cannot be read."""
    try:
        return UserMetadata.from_json(_content(metadata_path(model)))
    except UnreadableModelError:
        return UserMetadata()


def change_user_metadata(model: Path, changes: Mapping[str, Any]) -> UserMetadata:
    """Store changed fields; keys that nobody here knows are kept, the file is never half written.

    A file that is no JSON object is set aside under a dated name first.

    Raises:
        RequestError: a field is unknown or a value does not fit.
        OSError: the folder cannot be written.
    """
    checked = checked_changes(changes)
    path = metadata_path(model)
    with _writing:
        content = _content_or_aside(path)
        for key, value in checked.items():
            if value in ("", 0.0, {}) and key not in content:
                continue
            content[key] = value
        write_json(path, content)
    return UserMetadata.from_json(content)


def checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes under the file's keys.

    Raises:
        RequestError: a field is unknown or a value does not fit.
    """
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name in TEXTS:
            checked[TEXTS[name]] = _checked_text(name, value)
        elif name == "sd_version":
            checked[VERSION_KEY] = _checked_version(value)
        elif name == "preferred_weight":
            checked[WEIGHT_KEY] = _checked_weight(value)
        elif name == "default_parameters":
            checked[DEFAULTS_KEY] = _checked_parameters(value)
        else:
            allowed = ", ".join([*TEXTS, "sd_version", "preferred_weight", "default_parameters"])
            raise RequestError(name, value, f"there is no such field; allowed: {allowed}.")
    return checked


def _content(path: Path) -> dict[str, Any]:
    return read_json(path, path) if os.path.lexists(path) else {}


def _content_or_aside(path: Path) -> dict[str, Any]:
    try:
        return _content(path)
    except UnreadableModelError:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        os.replace(path, path.with_name(f"{path.name}.unreadable-{stamp}"))
        return {}


def _checked_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise RequestError(name, value, f"allowed: a text of at most {MAX_TEXT} characters.")
    if "\x00" in value:
        raise RequestError(name, value, "allowed: a text without NUL characters.")
    return value.encode("utf-8", "replace").decode("utf-8")


def _checked_version(value: Any) -> str:
    if value not in ("", *VERSIONS):
        raise RequestError("sd_version", value, f"allowed: {', '.join(VERSIONS)}, or nothing.")
    return value


def _checked_weight(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or abs(value) > MAX_WEIGHT:
        limits = f"allowed: a number from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}; 0 is the usual weight."
        raise RequestError("preferred_weight", value, limits)
    return float(value)


def _checked_parameters(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_PARAMETERS:
        raise RequestError("default_parameters", value, "allowed: an object of request fields.")
    found = _parameters(value)
    for name in value:
        if name not in found:
            raise RequestError(
                f"default_parameters.{name}", value[name], "allowed: a text, number, true or false."
            )
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def _weight(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) and abs(number) <= MAX_WEIGHT else 0.0


def _parameters(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    for name, entry in list(value.items())[:MAX_PARAMETERS]:
        plain = isinstance(entry, (str, bool, int)) or (
            isinstance(entry, float) and math.isfinite(entry)
        )
        if plain and len(str(name)) <= 100 and len(str(entry)) <= MAX_TEXT:
            found[str(name)] = entry
    return found
