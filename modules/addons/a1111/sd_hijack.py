"""A1111's ``sd_hijack``: what extensions ask of it; nothing is patched here."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111.textual_inversion.textual_inversion import EmbeddingDatabase


class StableDiffusionModelHijack:
    """Learned words and the length of prompts."""

    def __init__(self) -> None:
        self.fixes: Any = None
        self.layers: Any = None
        self.circular_enabled = False
        self.clip: Any = None
        self.optimization_method: str | None = None
        self.comments: list[str] = []
        self.extra_generation_params: dict[str, Any] = {}
        self.embedding_db = EmbeddingDatabase()

    def get_prompt_lengths(self, text: str) -> tuple[int, int]:
        """Tokens, and how many fit into the chunks that they fill; about, without a tokenizer."""
        import re

        count = len(re.findall(r"\w+|[^\w\s]", text))
        return count, max(1, -(-count // 75)) * 75

    def apply_circular(self, enable: bool) -> None:
        """Tiling is a setting of the job."""

    def apply_optimizations(self, option: Any = None) -> None:
        """The engine chooses."""

    undo_optimizations = apply_optimizations
    hijack = apply_optimizations
    undo_hijack = apply_optimizations

    def clear_comments(self) -> None:
        """Forget remarks."""
        self.comments = []
        self.extra_generation_params = {}

    def redo_hijack(self, m: Any) -> None:
        """Nothing is patched."""


model_hijack = StableDiffusionModelHijack()
optimizers: list[Any] = []
