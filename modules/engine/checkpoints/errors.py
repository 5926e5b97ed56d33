"""A model that could not be loaded, in one sentence."""

from __future__ import annotations

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
    def of(cls, error: ModelFileError) -> ModelLoadError:
        """The same fault, told by the catalog."""
        return cls(error.path.name, error.reason)
