"""Text encoders as the conditioner sees them: chunks of token ids in, text states out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from modules.prompts.tokens import PromptTokenizer

START = "<|startoftext|>"
END = "<|endoftext|>"
MAX_TOKENIZER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class TextStates:
    """What an encoder says about a number of chunks."""

    states: torch.Tensor
    """[chunks, tokens, width]"""
    pooled: torch.Tensor | None = None
    """[chunks, width]"""


@dataclass(frozen=True)
class PlacedVectors:
    """Word vectors that stand in for tokens (textual inversion)."""

    chunk: int
    position: int
    """Index of the first replaced token in its chunk, the start token counted."""
    vectors: torch.Tensor
    """[count, width]"""


class TextTower(Protocol):
    """One text encoder with its tokenizer."""

    tokenizer: PromptTokenizer
    bos: int
    eos: int
    pad: int | None
    """Filler after the end token; None for the end token itself."""
    chunk_length: int
    """Tokens per chunk without start and end: 75 for CLIP."""
    layers: int
    width: int

    def encode(
        self, ids: torch.Tensor, clip_skip: int, vectors: Sequence[PlacedVectors] = ()
    ) -> TextStates:
        """Encode chunks of ids [chunks, chunk_length + 2]. `clip_skip` 1 uses all layers."""


class ClipTower:
    """transformers' `CLIPTextModel` with a CLIP tokenizer."""

    pad = None

    def __init__(self, network: torch.nn.Module, tokenizer_folder: Path) -> None:
        self.network = network
        self.tokenizer = _read_tokenizer(tokenizer_folder)
        embeddings = network.embeddings
        self.vocabulary, self.width = embeddings.token_embedding.weight.shape
        self.layers = len(network.encoder.layers)
        self.chunk_length = embeddings.position_embedding.weight.shape[0] - 2
        self.bos, self.eos = self._special(START), self._special(END)

    def encode(
        self, ids: torch.Tensor, clip_skip: int, vectors: Sequence[PlacedVectors] = ()
    ) -> TextStates:
        """See `TextTower.encode`. With a clip skip the final layer norm is still applied."""
        hook = self._hook(vectors) if vectors else None
        try:
            with torch.no_grad():
                return self._run(ids, clip_skip)
        finally:
            if hook is not None:
                hook.remove()

    def _run(self, ids: torch.Tensor, clip_skip: int) -> TextStates:
        ids = ids.to(self.network.embeddings.token_embedding.weight.device)
        if clip_skip <= 1:
            output = self.network(input_ids=ids)
            return TextStates(output.last_hidden_state, output.pooler_output)
        output = self.network(input_ids=ids, output_hidden_states=True)
        # hidden_states[0] is the input of the first layer, [-1] the output of the last.
        early = output.hidden_states[-min(clip_skip, self.layers)]
        return TextStates(self.network.final_layer_norm(early), output.pooler_output)

    def _hook(self, vectors: Sequence[PlacedVectors]) -> torch.utils.hooks.RemovableHandle:
        def replace(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            for placed in vectors:
                end = placed.position + len(placed.vectors)
                output[placed.chunk, placed.position : end] = placed.vectors.to(output)
            return output

        return self.network.embeddings.token_embedding.register_forward_hook(replace)

    def _special(self, token: str) -> int:
        ids = self.tokenizer.encode(token)
        if len(ids) != 1 or ids[0] >= self.vocabulary:
            raise ValueError(
                f"the tokenizer does not fit the text encoder: {token} is {ids}, "
                f"the encoder knows {self.vocabulary} words"
            )
        return ids[0]


def _read_tokenizer(folder: Path) -> PromptTokenizer:
    """The tokenizer in a folder.

    Raises:
        ValueError: it is missing, far too big or not valid.
    """
    for file in folder.iterdir():
        if file.stat().st_size > MAX_TOKENIZER_BYTES:
            raise ValueError(f"its tokenizer's {file.name} is bigger than 64 MB")
    try:
        return PromptTokenizer.from_folder(folder)
    except Exception as error:
        # The tokenizers library raises bare exceptions for files that it does not understand.
        raise ValueError(f"its tokenizer is not valid: {error}") from error
