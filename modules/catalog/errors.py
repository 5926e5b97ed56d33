"""What can be wrong with a model file, as named errors that say it in one sentence."""

from __future__ import annotations

from pathlib import Path


class ModelFileError(Exception):
    """A model file or folder that cannot be used.

    Attributes:
        path: the file or folder.
        reason: what is wrong with it; continues the sentence "<name>: …".
        sentence: name and reason, for people.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        self.sentence = f"{shown(self.path.name)}: {reason}"
        super().__init__(self.sentence)

    def __reduce__(self) -> tuple[type[ModelFileError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


class UnreadableModelError(ModelFileError):
    """The file is damaged, hostile, or not of the format that its name says."""


class UnsupportedModelError(ModelFileError):
    """The file is sound, but of a kind that cannot be used (yet, or in this place)."""


def shown(text: str, limit: int = 160) -> str:
    """Text from a file that is safe to show: one line, printable, of limited length."""
    clean = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1]
    )
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
