"""How a request ends at the gate."""

from __future__ import annotations

RawHeaders = tuple[tuple[bytes, bytes], ...]


class Refused(Exception):  # noqa: N818 - reads as what happened
    """A request that goes no further; ``detail`` is the sentence the client gets."""

    def __init__(self, status: int, detail: str, headers: RawHeaders = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
