"""A1111's ``localization``."""

from __future__ import annotations

import json
from typing import Any

localizations: dict[str, list[str]] = {}


def list_localizations(dirname: str) -> None:
    """Find the translations of extensions."""
    from modules.addons.a1111 import scripts

    localizations.clear()
    for file in scripts.list_scripts("localizations", ".json"):
        localizations.setdefault(file.filename.rsplit(".", 1)[0], []).append(file.path)


def localization_js(current_localization_name: str) -> str:
    """A translation as a script."""
    texts: dict[str, Any] = {}
    for path in localizations.get(current_localization_name, []):
        with open(path, encoding="utf-8") as file:
            texts.update(json.load(file))
    return f"window.localization = {json.dumps(texts)}"
