"""Encoded text as the denoising network takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Conditioning:
    """Text states, one row per picture."""

    context: torch.Tensor
    """[batch, tokens, width]; tokens is a multiple of 77 for CLIP."""
    pooled: torch.Tensor | None = None
    """[batch, width] for families that want a summary of the text."""

    @property
    def tokens(self) -> int:
        """Number of text states per picture."""
        return self.context.shape[1]

    def padded(self, tokens: int) -> Conditioning:
        """The same with the last state repeated up to `tokens` states, as A1111 does."""
        missing = tokens - self.tokens
        if missing <= 0:
            return self
        tail = self.context[:, -1:].expand(-1, missing, -1)
        return Conditioning(torch.cat([self.context, tail], dim=1), self.pooled)

    def padded_with(self, empty: Conditioning, tokens: int) -> Conditioning:
        """The same with chunks of the empty text appended (option "Pad prompt/negative prompt").

        `empty` is the encoded empty text of one chunk; a rest shorter than a chunk is cut from it.
        """
        missing = tokens - self.tokens
        if missing <= 0:
            return self
        times = -(-missing // empty.tokens)
        tail = empty.context.repeat(1, times, 1)[:, :missing]
        tail = tail.expand(self.context.shape[0], -1, -1).to(self.context)
        return Conditioning(torch.cat([self.context, tail], dim=1), self.pooled)

    def zeroed(self) -> Conditioning:
        """Zeros of the same shape: no text at all."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return Conditioning(torch.zeros_like(self.context), pooled)

    def rows(self) -> tuple[Conditioning, ...]:
        """Each picture's row alone."""
        return tuple(
            Conditioning(
                self.context[index : index + 1],
                None if self.pooled is None else self.pooled[index : index + 1],
            )
            for index in range(len(self.context))
        )

    def expanded(self, batch: int) -> Conditioning:
        """One row repeated for `batch` pictures (a view, no memory)."""
        pooled = None if self.pooled is None else self.pooled.expand(batch, -1)
        return Conditioning(self.context.expand(batch, -1, -1), pooled)


def stack(parts: Sequence[Conditioning]) -> Conditioning:
    """Join conditionings along the batch; shorter ones are padded by repeating their last state."""
    tokens = max(part.tokens for part in parts)
    padded = [part.padded(tokens) for part in parts]
    pooled = [part.pooled for part in padded if part.pooled is not None]
    return Conditioning(
        torch.cat([part.context for part in padded]),
        torch.cat(pooled) if len(pooled) == len(padded) else None,
    )
