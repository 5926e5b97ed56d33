"""Translated texts of Gradio's components."""

from __future__ import annotations

from gradio.i18n import I18nData


def text(key: str) -> I18nData:
    """The text ``form.<key>`` in the visitor's language, resolved in the browser."""
    return I18nData(f"form.{key}")
