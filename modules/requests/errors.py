"""What a door says to a request that cannot be done: the field, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RequestError(ValueError):
    """A request that is refused before any work starts.

    Attributes:
        field: the request's field name, as the API spells it.
        value: the offending value, shortened.
        sentence: what is wrong and what is allowed, for people.
    """

    def __init__(self, field: str, value: object, message: str) -> None:
        self.field = field
        self.value = shorten(value)
        self.sentence = f"{field}: {message}"
        super().__init__(self.sentence)


class NotFoundInList(RequestError):  # noqa: N818 - reads as what happened; it is a RequestError
    """A name that is not one of the known ones."""

    def __init__(self, field: str, value: object, allowed: Iterable[str]) -> None:
        names = [str(name) for name in allowed]
        close = get_close_matches(str(value), names, n=1, cutoff=0.6)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        listed = ", ".join(names[:40]) + (" …" if len(names) > 40 else "")
        super().__init__(
            field,
            value,
            f"{shorten(value)!r} is not known.{hint} Allowed: {listed or 'nothing yet'}.",
        )
        self.allowed = names


def shorten(value: object, limit: int = 120) -> str:
    """Text of a value that is safe to show: printable, at most ``limit`` characters."""
    text = str(value)[: limit + 1].encode("utf-8", errors="replace").decode("utf-8")
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
