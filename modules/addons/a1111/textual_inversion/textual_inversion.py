"""A1111's learned words: their names, for those who list them."""

from __future__ import annotations

from typing import Any

from modules.addons import host


class Embedding:
    """One learned word."""

    def __init__(self, vec: Any, name: str, step: int | None = None) -> None:
        self.vec = vec
        self.name = name
        self.step = step
        self.shape: Any = None
        self.vectors = 0
        self.filename: str | None = None
        self.hash: str | None = None
        self.shorthash: str | None = None


class EmbeddingDatabase:
    """All learned words."""

    def __init__(self) -> None:
        self.skipped_embeddings: dict[str, Embedding] = {}
        self.embedding_dirs: dict[str, Any] = {}

    @property
    def word_embeddings(self) -> dict[str, Embedding]:
        """By name."""
        catalog = host.get().ask("catalog")
        found = {}
        for info in [] if catalog is None else catalog.embeddings():
            found[info.name] = Embedding(None, info.name)
            found[info.name].filename = str(info.path)
        return found

    def add_embedding_dir(self, path: str) -> None:
        """The catalog knows its folders."""

    def load_textual_inversion_embeddings(self, force_reload: bool = False, **kwargs: Any) -> None:
        """The catalog looks itself."""
