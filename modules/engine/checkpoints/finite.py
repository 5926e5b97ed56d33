"""Which files are known to hold only finite numbers, so that the check is paid for once."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.network import Stamp, stamp_of
from modules.settings.atomic import write_json

logger = logging.getLogger("easel.engine")

MAX_ENTRIES = 5000


class FiniteFiles:
    """Remembers, in a file, the parts of models that were read to the end without a NaN."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[list[object]]] | None = None

    def knows(self, plan: ComponentPlan) -> bool:
        """Whether this part of a model was read before and has not changed since."""
        return self._entries().get(_key(plan)) == _plain(stamp_of(plan))

    def remember(self, plan: ComponentPlan) -> None:
        """All weights of this part are finite."""
        entries = self._entries()
        entries.pop(_key(plan), None)
        entries[_key(plan)] = _plain(stamp_of(plan))
        while len(entries) > MAX_ENTRIES:
            del entries[next(iter(entries))]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._file, {"version": 1, "parts": entries})
        except OSError as error:
            logger.warning("%s could not be written: %s", self._file.name, error)

    def _entries(self) -> dict[str, list[list[object]]]:
        if self._known is None:
            try:
                parts = json.loads(self._file.read_text(encoding="utf-8"))["parts"]
                self._known = dict(parts) if isinstance(parts, dict) else {}
            except (OSError, ValueError, KeyError, TypeError):
                self._known = {}
        return self._known


def _key(plan: ComponentPlan) -> str:
    return f"{plan.path}|{plan.part}|{plan.kind}"


def _plain(stamp: Stamp) -> list[list[object]]:
    return [list(entry) for entry in stamp]
