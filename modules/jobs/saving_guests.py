"""Who else sees pictures while they are saved: the interface that extensions fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from PIL import Image


class SavingGuests(Protocol):
    """Extensions, as far as saving asks them. They never raise."""

    def before(
        self, image: Image.Image, text: str, name: str, prepared: Mapping[str, Any]
    ) -> tuple[Image.Image, str]:
        """The picture and its infotext as they shall be saved."""
        ...

    def after(self, image: Image.Image, text: str, path: str, prepared: Mapping[str, Any]) -> None:
        """A picture was saved."""
        ...
