"""From texts to conditionings: chunks, weights, all text encoders, and a cache over prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modules.engine.conditioning.conditioning import Conditioning
from modules.engine.conditioning.emphasis import NONE, ORIGINAL, apply_emphasis
from modules.engine.conditioning.schedule import ConditioningSchedule, ScheduledPart
from modules.engine.conditioning.towers import TextTower
from modules.prompts.attention import parse_attention
from modules.prompts.chunks import Chunk, TokenRun, chunk_tokens, pad_chunk
from modules.prompts.plan import PromptPlan

CACHED_GROUPS = 64


@dataclass(frozen=True)
class TextOptions:
    """How texts are read and encoded; the names of A1111's settings are in `from_options`."""

    clip_skip: int = 1
    """1 uses all layers of the text encoder, 2 leaves out the last, …"""
    emphasis: str = ORIGINAL
    comma_backtrack: int = 20

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> TextOptions:
        """From `CLIP_stop_at_last_layers`, `emphasis` and `comma_padding_backtrack`."""
        return cls(
            clip_skip=int(options.get("CLIP_stop_at_last_layers", 1)),
            emphasis=str(options.get("emphasis", ORIGINAL)),
            comma_backtrack=int(options.get("comma_padding_backtrack", 20)),
        )


class Conditioner:
    """Encodes prompts for one loaded model and remembers the last ones."""

    def __init__(self, towers: Sequence[TextTower], capacity: int = CACHED_GROUPS) -> None:
        self.towers = tuple(towers)
        self.capacity = capacity
        self._cache: OrderedDict[tuple[tuple[str, ...], TextOptions], tuple[Conditioning, ...]]
        self._cache = OrderedDict()

    def effective_clip_skip(self, clip_skip: int) -> int:
        """The clip skip that is really used: an encoder cannot skip more layers than it has."""
        return max(1, min(clip_skip, *(tower.layers for tower in self.towers)))

    def encode(self, text: str, options: TextOptions | None = None) -> Conditioning:
        """Encode one text alone: context [1, 77 * chunks, width]."""
        return self.encode_group((text,), options)[0]

    def encode_group(
        self, texts: Sequence[str], options: TextOptions | None = None
    ) -> tuple[Conditioning, ...]:
        """Encode texts that belong to one schedule, each to context [1, tokens, width].

        All get as many chunks as the longest, and emphasis restores their common mean, because
        A1111 encodes the texts of one schedule as one batch.
        """
        options = options or TextOptions()
        key = (tuple(texts), options)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        encoded = self._encode(key[0], options)
        self._cache[key] = encoded
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
        return encoded

    def schedule(
        self, plan: PromptPlan, options: TextOptions | None = None
    ) -> ConditioningSchedule:
        """Encode everything a prompt needs over its steps."""
        parts = []
        for part in plan.parts:
            texts = tuple(dict.fromkeys(entry.text for entry in part.schedule))
            encoded = dict(zip(texts, self.encode_group(texts, options), strict=True))
            entries = tuple((entry.end_step, encoded[entry.text]) for entry in part.schedule)
            parts.append(ScheduledPart(part.weight, entries))
        return ConditioningSchedule(tuple(parts))

    def forget(self) -> None:
        """Empty the cache, as after a change of the text encoder's weights."""
        self._cache.clear()

    def _encode(self, texts: tuple[str, ...], options: TextOptions) -> tuple[Conditioning, ...]:
        contexts, pooled = [], None
        for tower in self.towers:
            states, summary = _through_tower(tower, texts, options)
            contexts.append(states)
            # The last encoder's summary is the one that families with several encoders use.
            pooled = summary
        longest = max(states.shape[1] for states in contexts)
        joined = torch.cat([_lengthened(states, longest) for states in contexts], dim=-1)
        return tuple(
            Conditioning(
                joined[index : index + 1],
                None if pooled is None else pooled[index : index + 1],
            )
            for index in range(len(texts))
        )


def tokenise(tower: TextTower, text: str, options: TextOptions) -> list[Chunk]:
    """The chunks of one text, padded and with start and end tokens."""
    if options.emphasis == NONE:
        runs = [TokenRun(tower.tokenizer.encode(text))]
    else:
        runs = [
            TokenRun(is_break=True)
            if segment.is_break
            else TokenRun(tower.tokenizer.encode(segment.text), segment.weight)
            for segment in parse_attention(text)
        ]
    cut = chunk_tokens(runs, tower.tokenizer.comma, tower.chunk_length, options.comma_backtrack)
    return [pad_chunk(chunk, tower.bos, tower.eos, tower.pad, tower.chunk_length) for chunk in cut]


def _through_tower(
    tower: TextTower, texts: tuple[str, ...], options: TextOptions
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """States [texts, tokens, width] and the summary [texts, width] of the first chunks."""
    chunked = [tokenise(tower, text, options) for text in texts]
    count = max(len(chunks) for chunks in chunked)
    empty = pad_chunk(Chunk((), ()), tower.bos, tower.eos, tower.pad, tower.chunk_length)
    columns, pooled = [], None
    for place in range(count):
        column = [chunks[place] if place < len(chunks) else empty for chunks in chunked]
        states = tower.encode(torch.tensor([chunk.ids for chunk in column]), options.clip_skip)
        weights = torch.tensor([chunk.weights for chunk in column])
        columns.append(apply_emphasis(states.states, weights, options.emphasis))
        if place == 0:
            pooled = states.pooled
    return torch.cat(columns, dim=1), pooled


def _lengthened(states: torch.Tensor, tokens: int) -> torch.Tensor:
    missing = tokens - states.shape[1]
    return torch.cat([states, states[:, -1:].expand(-1, missing, -1)], dim=1) if missing else states
