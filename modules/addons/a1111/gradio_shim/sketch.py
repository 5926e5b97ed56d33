"""The picture that one draws on, as Gradio 3 had it."""

from __future__ import annotations

from typing import Any

import gradio


class SketchImage(gradio.ImageEditor):
    """Gradio 3's ``Image(tool="sketch")``: its value is ``{"image": …, "mask": …}``."""

    def get_block_name(self) -> str:
        """Drawn as what it derives from."""
        return "imageeditor"

    def preprocess(self, payload: Any) -> Any:
        """The picture and what was drawn over it."""
        value = super().preprocess(payload)
        if not isinstance(value, dict):
            return value
        layers = value.get("layers") or [None]
        return {"image": value.get("background"), "mask": layers[0]}
