"""T5's encoder as the conditioner sees it: long chunks without a start token, padded with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from modules.engine.conditioning.towers import (
    NEVER,
    PlacedVectors,
    TextStates,
    read_tokenizer,
)
from modules.engine.memory import form_of
from modules.prompts.t5_tokens import T5Tokenizer

END, PAD = "</s>", "<pad>"


class T5Tower:
    """transformers' `T5Stack` with its tokenizer. Padding is attended to, as in training."""

    bos = None
    skips = NEVER
    keeps_mean = False
    """Emphasis scales states and leaves it at that, as A1111 does for this encoder."""

    def __init__(self, network: torch.nn.Module, tokenizer_folder: Path, tokens: int) -> None:
        """
        Args:
            tokens: length of a chunk with its end token; shorter texts are padded to it.
        """
        self.network = network
        self.tokenizer = T5Tokenizer(read_tokenizer(tokenizer_folder))
        self.vocabulary, self.width = network.embed_tokens.weight.shape
        self.layers = len(network.block)
        self.chunk_length = tokens - 1
        self.eos, self.pad = self.tokenizer.special(END), self.tokenizer.special(PAD)
        if max(self.eos, self.pad) >= self.vocabulary:
            raise ValueError("its tokenizer does not fit its T5 text encoder")

    def encode(
        self, ids: torch.Tensor, clip_skip: int, vectors: Sequence[PlacedVectors] = ()
    ) -> TextStates:
        """States [chunks, tokens, width] of chunks of ids; there is no summary.

        All layers are used whatever `clip_skip` says; learned words do not exist for T5.
        """
        ids = ids.to(form_of(self.network).device)
        with torch.no_grad():
            states = self.network(input_ids=ids).last_hidden_state
        return TextStates(states.float())
