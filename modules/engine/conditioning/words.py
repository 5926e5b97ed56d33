"""Learned words: what textual inversion has to provide so that prompts can use its vectors."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import torch

from modules.prompts.chunks import Vectors


class LearnedWords(Protocol):
    """Words whose vectors were trained, as the conditioner asks for them.

    `place` is the text encoder's among the model's towers: 0 alone, or 0 and 1 in SDXL, whose
    words have vectors of one width for each.
    """

    key: Hashable
    """Equal for the same words with the same vectors: part of the key of cached texts."""

    def find(self, ids: Sequence[int], place: int) -> Sequence[int | Vectors]:
        """The token ids with the longest learned words in them replaced."""

    def vectors(self, name: str, place: int) -> torch.Tensor:
        """The vectors [count, width] of a word that `find` put in, for that encoder."""
