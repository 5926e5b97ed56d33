"""From texts to conditionings: chunks, weights, all text encoders, and a cache over prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modules.engine.conditioning.conditioning import Conditioning
from modules.engine.conditioning.emphasis import NO_NORM, NONE, ORIGINAL, apply_emphasis
from modules.engine.conditioning.schedule import ConditioningSchedule, ScheduledPart
from modules.engine.conditioning.towers import (
    ALWAYS,
    NEVER,
    ON_REQUEST,
    OWN_LAYER,
    PlacedVectors,
    TextStates,
    TextTower,
)
from modules.engine.conditioning.words import LearnedWords
from modules.prompts.attention import parse_attention
from modules.prompts.chunks import Chunk, TokenRun, chunk_tokens, pad_chunk
from modules.prompts.plan import PromptPlan

CACHED_GROUPS = 64

Join = Callable[[Sequence[TextStates]], Conditioning]
"""Makes one conditioning of what the encoders say about some texts, in the order of the towers:
states [texts, tokens, width] and summaries [texts, width] of each."""


@dataclass(frozen=True)
class TextOptions:
    """How texts are read and encoded; the names of A1111's settings are in `from_options`."""

    clip_skip: int = 1
    """1 uses all layers of the text encoder, 2 leaves out the last, …"""
    emphasis: str = ORIGINAL
    comma_backtrack: int = 20
    skip_on_request: bool = False
    """Clip skip also counts for encoders whose family has a layer of its own (SDXL's CLIP-L)."""
    zero_empty_negative: bool = True
    """An empty negative prompt is nothing at all (zeros), in families that were trained so."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> TextOptions:
        """From `CLIP_stop_at_last_layers`, `emphasis`, `comma_padding_backtrack`,
        `sdxl_clip_l_skip` and `sdxl_zero_empty_negative`."""
        return cls(
            clip_skip=int(options.get("CLIP_stop_at_last_layers", 1)),
            emphasis=str(options.get("emphasis", ORIGINAL)),
            comma_backtrack=int(options.get("comma_padding_backtrack", 20)),
            skip_on_request=bool(options.get("sdxl_clip_l_skip", False)),
            zero_empty_negative=bool(options.get("sdxl_zero_empty_negative", True)),
        )


def join_widths(parts: Sequence[TextStates]) -> Conditioning:
    """Put the encoders' states side by side, the shorter ones lengthened by their last state.

    The last encoder's summary is the one that families with several encoders use.
    """
    longest = max(part.states.shape[1] for part in parts)
    joined = torch.cat([_lengthened(part.states, longest) for part in parts], dim=-1)
    return Conditioning(joined, parts[-1].pooled)


class Conditioner:
    """Encodes prompts for one loaded model and remembers the last ones."""

    words: LearnedWords | None = None
    """Learned words (textual inversion) to be found in prompts."""
    weights_key: Callable[[], Hashable] = staticmethod(tuple)
    """Tells the state of the encoders' weights, which adapters change; part of the cache's keys."""

    def __init__(
        self,
        towers: Sequence[TextTower],
        capacity: int = CACHED_GROUPS,
        *,
        join: Join = join_widths,
        zero_empty_negative: bool = False,
    ) -> None:
        """
        Args:
            join: how the family puts its encoders' states together.
            zero_empty_negative: the family was trained with zeros for "no text".
        """
        self.towers = tuple(towers)
        self.capacity = capacity
        self._join = join
        self._zero_empty_negative = zero_empty_negative
        self._cache: OrderedDict[Hashable, tuple[Conditioning, ...]] = OrderedDict()

    def effective_clip_skip(self, clip_skip: int) -> int:
        """The clip skip that is really used: an encoder cannot skip more layers than it has."""
        layers = [tower.layers for tower in self.towers if _skips(tower) != NEVER]
        return max(1, min(clip_skip, *layers)) if layers else clip_skip

    def encode(self, text: str, options: TextOptions | None = None) -> Conditioning:
        """Encode one text alone: context [1, 77 * chunks, width]."""
        return self.encode_group((text,), options)[0]

    def encode_group(
        self,
        texts: Sequence[str],
        options: TextOptions | None = None,
        *,
        negative: bool = False,
    ) -> tuple[Conditioning, ...]:
        """Encode texts that belong to one schedule, each to context [1, tokens, width].

        All get as many chunks as the longest, and emphasis restores their common mean, because
        A1111 encodes the texts of one schedule as one batch. Negative prompts without any text are
        zeros in families that were trained so.
        """
        options = options or TextOptions()
        zero = (
            negative
            and self._zero_empty_negative
            and options.zero_empty_negative
            and not any(texts)
        )
        words = None if self.words is None else self.words.key
        key = (tuple(texts), options, zero, self.weights_key(), words)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        encoded = self._encode(key[0], options)
        if zero:
            encoded = tuple(one.zeroed() for one in encoded)
        self._cache[key] = encoded
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
        return encoded

    def schedule(
        self,
        plan: PromptPlan,
        options: TextOptions | None = None,
        *,
        negative: bool = False,
    ) -> ConditioningSchedule:
        """Encode everything a prompt needs over its steps."""
        parts = []
        for part in plan.parts:
            texts = tuple(dict.fromkeys(entry.text for entry in part.schedule))
            group = self.encode_group(texts, options, negative=negative)
            encoded = dict(zip(texts, group, strict=True))
            entries = tuple((entry.end_step, encoded[entry.text]) for entry in part.schedule)
            parts.append(ScheduledPart(part.weight, entries))
        return ConditioningSchedule(tuple(parts))

    def forget(self) -> None:
        """Empty the cache, as after a change of the text encoder's weights."""
        self._cache.clear()

    def _encode(self, texts: tuple[str, ...], options: TextOptions) -> tuple[Conditioning, ...]:
        parts = [
            self._through_tower(place, tower, texts, options)
            for place, tower in enumerate(self.towers)
        ]
        return self._join(parts).rows()

    def _through_tower(
        self, place: int, tower: TextTower, texts: tuple[str, ...], options: TextOptions
    ) -> TextStates:
        """States [texts, tokens, width] and the summary [texts, width] of the first chunks."""
        chunked = [tokenise(tower, text, options, self.words, place) for text in texts]
        count = max(len(chunks) for chunks in chunked)
        empty = pad_chunk(Chunk((), ()), tower.bos, tower.eos, tower.pad, tower.chunk_length)
        skip = _clip_skip(tower, options)
        columns, pooled = [], None
        for number in range(count):
            column = [chunks[number] if number < len(chunks) else empty for chunks in chunked]
            ids = torch.tensor([chunk.ids for chunk in column])
            said = tower.encode(ids, skip, self._placed(column, place))
            weights = torch.tensor([chunk.weights for chunk in column])
            columns.append(apply_emphasis(said.states, weights, _emphasis(tower, options)))
            if number == 0:
                pooled = said.pooled
        return TextStates(torch.cat(columns, dim=1), pooled)

    def _placed(self, column: Sequence[Chunk], place: int) -> tuple[PlacedVectors, ...]:
        """The learned words of a column of chunks, one per text."""
        if self.words is None:
            return ()
        return tuple(
            PlacedVectors(row, position, self.words.vectors(which.name, place)[: which.count])
            for row, chunk in enumerate(column)
            for position, which in chunk.embeddings
        )


def tokenise(
    tower: TextTower,
    text: str,
    options: TextOptions,
    words: LearnedWords | None = None,
    place: int = 0,
) -> list[Chunk]:
    """The chunks of one text, padded and with start and end tokens.

    `words` are looked for in the tokens; `place` is the tower's among the model's.
    """

    def tokens(piece: str, weight: float = 1.0) -> TokenRun:
        ids = tower.tokenizer.encode(piece)
        return TokenRun(ids if words is None else words.find(ids, place), weight)

    if options.emphasis == NONE:
        runs = [tokens(text)]
    else:
        runs = [
            TokenRun(is_break=True) if segment.is_break else tokens(segment.text, segment.weight)
            for segment in parse_attention(text)
        ]
    cut = chunk_tokens(runs, tower.tokenizer.comma, tower.chunk_length, options.comma_backtrack)
    return [pad_chunk(chunk, tower.bos, tower.eos, tower.pad, tower.chunk_length) for chunk in cut]


def _emphasis(tower: TextTower, options: TextOptions) -> str:
    """The mode for a tower; not every encoder's states have a mean worth restoring."""
    keeps_mean = getattr(tower, "keeps_mean", True)
    return NO_NORM if options.emphasis == ORIGINAL and not keeps_mean else options.emphasis


def _skips(tower: TextTower) -> str:
    return getattr(tower, "skips", NEVER)


def _clip_skip(tower: TextTower, options: TextOptions) -> int:
    """What a tower is told: the user's clip skip where it counts, else to use its own layer."""
    skips = _skips(tower)
    if skips == ALWAYS or (skips == ON_REQUEST and options.skip_on_request):
        return options.clip_skip
    return OWN_LAYER


def _lengthened(states: torch.Tensor, tokens: int) -> torch.Tensor:
    missing = tokens - states.shape[1]
    return torch.cat([states, states[:, -1:].expand(-1, missing, -1)], dim=1) if missing else states
