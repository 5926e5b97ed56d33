"""A model that could not be loaded, in one sentence."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.errors import ModelFileError


class ModelLoadError(Exception):
    """The checkpoint or VAE could not be loaded; whatever was loaded before still works.

    Attributes:
        name: the file or folder, for people.
        reason: what is wrong; continues the sentence "<name>: …".
        sentence: both.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        self.sentence = f"{name}: {reason}"
        super().__init__(self.sentence)

    @classmethod
    def of(cls, error: ModelFileError, model: Path) -> ModelLoadError:
        """The catalog's error about `model`, or about a file inside of it."""
        inside = error.path != model and error.path.is_relative_to(model)
        if not inside:
            return cls(error.path.name, error.reason)
        return cls(model.name, f"{error.path.relative_to(model).as_posix()} {error.reason}")


class LoadCancelled(Exception):  # noqa: N818 - an order from outside, not a fault
    """Somebody did not want to wait for a model; the one before is in force."""
