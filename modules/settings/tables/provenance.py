"""Settings of the categories "Provenance" and "Content controls"."""

from __future__ import annotations

from modules.settings.tables.rows import Section

_marks = Section("Provenance")
_controls = Section("Content controls")

OPTIONS = (
    _marks.flag(
        "watermark_enabled",
        "Put an invisible watermark into generated images",
        False,
        help="Read in PNG Info and by the package invisible-watermark. It survives JPEG, but no "
        "resizing; images below 256x256 pixels get none.",
    ),
    _marks.text(
        "watermark_text",
        "Text of the watermark",
        "Easel AI",
        help="1 to 16 bytes; the reader must know the text.",
    ),
    _marks.choice(
        "watermark_method",
        "Method of the watermark",
        "dwtDctSvd",
        "dwtDctSvd|dwtDct",
        help="dwtDct is what most programs read, and is lost with the first JPEG.",
    ),
    _marks.flag(
        "content_credentials",
        "Sign generated images with Content Credentials (C2PA)",
        False,
        help="Says that the image was generated, by which model and version; never the prompt. The "
        "key is made on this machine: pictures with the same signature come from the same one.",
    ),
    _controls.choice(
        "safety_checker",
        "Safety checker for generated images",
        "off",
        "off|blur|block",
        help="Needs the folder models/safety_checker. It errs in both directions, and live "
        "previews are off with it.",
    ),
    _controls.multi("disabled_term_lists", "Term lists that are not applied", [], hidden=True),
)
