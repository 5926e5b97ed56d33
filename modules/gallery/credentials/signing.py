"""Puts Content Credentials into the files of finished pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modules.gallery.credentials.identity import identity
from modules.gallery.credentials.manifest import Making, ingredient_of, manifest_of
from modules.gallery.credentials.process import CredentialsError, ask
from modules.gallery.encode import EncodedImage
from modules.imaging.kinds import mime_of
from modules.settings.paths import Paths

TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
}


@dataclass(frozen=True)
class CredentialWriter:
    """Signs the files of one picture."""

    paths: Paths
    making: Making

    def __call__(self, encoded: EncodedImage) -> EncodedImage:
        """The file with credentials; without them, and with a note, where that fails."""
        try:
            return replace(encoded, data=self._signed(encoded))
        except CredentialsError as error:
            note = f"{encoded.note} It carries no Content Credentials. {error.sentence}".strip()
            return replace(encoded, note=note)

    def _signed(self, encoded: EncodedImage) -> bytes:
        key = identity(self.paths)
        parts = {"certificate": key.certificate, "key": key.key, "picture": encoded.data}
        facts = {"type": TYPES[encoded.extension], "manifest": manifest_of(self.making)}
        source_type = mime_of(self.making.source or b"")
        if self.making.source is not None and source_type is not None:
            parts["source"] = self.making.source
            facts |= {"source_type": source_type, "ingredient": ingredient_of(self.making)}
        return ask("sign", parts, **facts)[1]["picture"]
