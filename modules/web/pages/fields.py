"""The form's fields: which component carries which field of a ``GenerationRequest``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradio.components.base import Component


@dataclass(frozen=True)
class FormFields:
    """The components of one tab's form in one declared order.

    The scripts get the values in this order and the names with them, so that nothing depends on a
    position in a long argument list.
    """

    tab: str
    components: Mapping[str, Component]
    """Request field name → component."""

    @property
    def names(self) -> list[str]:
        """Field names in order."""
        return list(self.components)

    @property
    def list(self) -> list[Component]:
        """Components in the same order."""
        return list(self.components.values())
