"""Picture fields of a request, in whatever form they came, as references to stored pictures."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from modules.jobs.fetching import FetchRules, fetch_picture, is_address
from modules.jobs.inputs import InputStore, StoredInput, is_reference
from modules.requests.errors import RequestError

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,")


def decode_picture(text: str, field: str = "image", rules: FetchRules | None = None) -> bytes:
    """The bytes of a picture given as base64, as a data: URL, or, with ``rules``, as an address.

    Raises:
        RequestError: it is none of these, or an address that may not be fetched.
    """
    text = text.strip()
    if is_address(text):
        return fetch_picture(text, field, rules or FetchRules(enabled=False))
    match = _DATA_URL.match(text)
    body = text[match.end() :] if match else text
    if not body:
        raise RequestError(field, "", "the picture is empty.")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(field, "…", "it is no base64 picture.") from None


@dataclass(frozen=True)
class PictureDoor:
    """Takes pictures in and keeps them; the same picture in several fields is kept once."""

    inputs: InputStore
    rules: FetchRules
    max_megapixels: float

    def take(self, text: str, field: str) -> StoredInput:
        """Store one picture, or find the one that a reference names.

        Raises:
            RequestError: it is no picture, too large, or not there any more.
        """
        if is_reference(text):
            return self.inputs.get(text, field, self.max_megapixels)
        return self.inputs.put(decode_picture(text, field, self.rules), field, self.max_megapixels)
