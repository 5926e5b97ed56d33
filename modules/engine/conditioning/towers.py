"""Text encoders as the conditioner sees them: chunks of token ids in, text states out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch

from modules.engine.memory import form_of
from modules.prompts.tokens import PromptTokenizer

OWN_LAYER = 0
"""Clip skip that stands for the layer that a tower's family was trained with."""
ALWAYS, ON_REQUEST, NEVER = "always", "on request", "never"
"""When the user's clip skip counts: in SD 1.x; in SDXL's CLIP-L, if the setting says so; else not,
as in A1111."""

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
    skips: str
    """`ALWAYS`, `ON_REQUEST` or `NEVER`."""

    def encode(
        self, ids: torch.Tensor, clip_skip: int, vectors: Sequence[PlacedVectors] = ()
    ) -> TextStates:
        """Encode chunks of ids [chunks, chunk_length + 2].

        `clip_skip` 1 uses all layers, 2 leaves out the last, … ; `OWN_LAYER` (0) is the family's.
        """


class ClipTower:
    """transformers' `CLIPTextModel`, with or without projection, and a CLIP tokenizer."""

    def __init__(
        self,
        network: torch.nn.Module,
        tokenizer_folder: Path,
        *,
        layer: int = 1,
        normed: bool = True,
        skips: str = ALWAYS,
        pad: int | None = None,
    ) -> None:
        """
        Args:
            layer: the layer that the family uses, counted from the end: 1 the last, 2 that before.
            normed: the final layer norm is applied, whichever layer is used.
            skips: when the user's clip skip counts.
            pad: filler after the end token; None for the end token itself.
        """
        self.network = network
        self.tokenizer = read_tokenizer(tokenizer_folder)
        self._text = getattr(network, "text_model", network)
        embeddings = self._text.embeddings
        self.vocabulary, self.width = embeddings.token_embedding.weight.shape
        self.layers = len(self._text.encoder.layers)
        self.chunk_length = embeddings.position_embedding.weight.shape[0] - 2
        self.bos, self.eos = self._special(START), self._special(END)
        self.skips = skips
        self.pad = pad
        self._layer = layer
        self._normed = normed

    def encode(
        self, ids: torch.Tensor, clip_skip: int, vectors: Sequence[PlacedVectors] = ()
    ) -> TextStates:
        """See `TextTower.encode`."""
        hook = self._hook(vectors) if vectors else None
        try:
            with torch.no_grad():
                return self._run(ids, clip_skip)
        finally:
            if hook is not None:
                hook.remove()

    def _run(self, ids: torch.Tensor, clip_skip: int) -> TextStates:
        ids = ids.to(form_of(self.network).device)
        layer = min(clip_skip or self._layer, self.layers)
        if layer <= 1 and self._normed:
            output = self.network(input_ids=ids)
            return TextStates(output.last_hidden_state, _summary(output))
        output = self.network(input_ids=ids, output_hidden_states=True)
        # hidden_states[0] is the input of the first layer, [-1] the output of the last.
        states = output.hidden_states[-layer]
        if self._normed:
            states = self._text.final_layer_norm(states)
        return TextStates(states, _summary(output))

    def _hook(self, vectors: Sequence[PlacedVectors]) -> torch.utils.hooks.RemovableHandle:
        def replace(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            for placed in vectors:
                end = placed.position + len(placed.vectors)
                output[placed.chunk, placed.position : end] = placed.vectors.to(output)
            return output

        return self._text.embeddings.token_embedding.register_forward_hook(replace)

    def _special(self, token: str) -> int:
        ids = self.tokenizer.encode(token)
        if len(ids) != 1 or ids[0] >= self.vocabulary:
            raise ValueError(
                f"the tokenizer does not fit the text encoder: {token} is {ids}, "
                f"the encoder knows {self.vocabulary} words"
            )
        return ids[0]


def _summary(output: object) -> torch.Tensor:
    """The text's summary [chunks, width]: projected, where the network has a projection."""
    embeds = getattr(output, "text_embeds", None)
    return output.pooler_output if embeds is None else embeds


def read_tokenizer(folder: Path) -> PromptTokenizer:
    """The tokenizer in a folder.

    Raises:
        ValueError: it is missing, far too big or not valid.
    """
    files = []
    for file in sorted(folder.iterdir()):
        status = file.stat()
        if status.st_size > MAX_TOKENIZER_BYTES:
            raise ValueError(f"its tokenizer's {file.name} is bigger than 64 MB")
        files.append((file.name, status.st_size, status.st_mtime_ns))
    return _kept_tokenizer(folder, tuple(files))


@lru_cache(maxsize=4)
def _kept_tokenizer(folder: Path, files: tuple[tuple[str, int, int], ...]) -> PromptTokenizer:
    """The tokenizer in a folder, shared by all text encoders as long as `files` are the same."""
    try:
        return PromptTokenizer.from_folder(folder)
    except Exception as error:
        # The tokenizers library raises bare exceptions for files that it does not understand.
        raise ValueError(f"its tokenizer is not valid: {error}") from error
