"""Where a picture says that it comes from: its Content Credentials and the mark in its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.gallery.credentials import Report, read_credentials
from modules.gallery.image_info import open_image
from modules.imaging.watermark import DEFAULT_TEXT, Found, find_mark
from modules.settings.paths import Paths


@dataclass(frozen=True)
class Provenance:
    """What was found in one picture."""

    credentials: Report
    watermark: Found | None

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object; ``watermark`` is null without any."""
        mark = self.watermark
        return {
            "credentials": self.credentials.to_json(),
            "watermark": mark
            and {
                "name": mark.name,
                "text": mark.text,
                "method": mark.method,
                "agreement": round(mark.agreement, 3),
            },
        }


def verify_picture(data: bytes, paths: Paths, options: Mapping[str, Any]) -> Provenance:
    """Read both.

    Raises:
        ImageReadError: it is no picture, damaged, or too large.
        CredentialsError: the package that reads credentials is missing.
    """
    image = open_image(data)
    texts = (str(options.get("watermark_text") or DEFAULT_TEXT), DEFAULT_TEXT)
    return Provenance(read_credentials(data, paths), find_mark(image, texts))
