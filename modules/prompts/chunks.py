"""Cutting a prompt's tokens into the fixed-length chunks that a text encoder reads.

Pure Python on token ids, so that the engine and the token counter cut in exactly the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

CHUNK_LENGTH = 75
COMMA = 267
"""Id of `,` at a word's end in CLIP's vocabulary."""


@dataclass(frozen=True)
class Vectors:
    """A textual-inversion embedding among the tokens: `count` places that stay together."""

    name: str
    count: int


@dataclass(frozen=True)
class TokenRun:
    """Tokens of one attention weight; `is_break` (without tokens) ends the chunk."""

    ids: Sequence[int | Vectors] = ()
    weight: float = 1.0
    is_break: bool = False


@dataclass(frozen=True)
class Chunk:
    """Token ids and their weights, equally long; `embeddings` are (first place, which)."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    embeddings: tuple[tuple[int, Vectors], ...] = ()


@dataclass
class _OpenChunk:
    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    embeddings: list[tuple[int, Vectors]] = field(default_factory=list)
    last_comma: int = -1

    def closed(self) -> Chunk:
        return Chunk(tuple(self.ids), tuple(self.weights), tuple(self.embeddings))

    def split_off(self, place: int) -> _OpenChunk:
        """Take everything from `place` on into a new chunk."""
        moved = [(at - place, which) for at, which in self.embeddings if at >= place]
        rest = _OpenChunk(self.ids[place:], self.weights[place:], moved)
        self.embeddings = [(at, which) for at, which in self.embeddings if at < place]
        del self.ids[place:], self.weights[place:]
        return rest


def chunk_tokens(
    runs: Iterable[TokenRun],
    comma_token_id: int = COMMA,
    chunk_length: int = CHUNK_LENGTH,
    backtrack: int = 20,
) -> list[Chunk]:
    """Cut `runs` into chunks of at most `chunk_length` ids, without the special tokens.

    When a chunk is full and a comma stands within its last `backtrack` tokens, what follows the
    comma moves to the next chunk. There is always at least one chunk; every chunk but the last
    counts as full (see `pad_chunk`). An embedding longer than a chunk is cut to fit.
    """
    chunks: list[Chunk] = []
    current = _OpenChunk()
    for run in runs:
        if run.is_break:
            chunks.append(current.closed())
            current = _OpenChunk()
            continue
        for item in run.ids:
            if isinstance(item, Vectors):
                count = min(item.count, chunk_length)
                if len(current.ids) + count > chunk_length:
                    chunks.append(current.closed())
                    current = _OpenChunk()
                current.embeddings.append((len(current.ids), Vectors(item.name, count)))
                current.ids += [0] * count
                current.weights += [run.weight] * count
                continue
            if len(current.ids) == chunk_length:
                current = _next_chunk(current, chunks, item == comma_token_id, backtrack)
            elif item == comma_token_id:
                current.last_comma = len(current.ids)
            current.ids.append(item)
            current.weights.append(run.weight)
    if current.ids or not chunks:
        chunks.append(current.closed())
    return chunks


def _next_chunk(
    full: _OpenChunk, chunks: list[Chunk], comma_comes: bool, backtrack: int
) -> _OpenChunk:
    """Close the full chunk, at its last comma when that is near enough, and begin the next."""
    near = full.last_comma >= 0 and len(full.ids) - full.last_comma <= backtrack
    if comma_comes or not near:
        chunks.append(full.closed())
        return _OpenChunk()
    rest = full.split_off(full.last_comma + 1)
    chunks.append(full.closed())
    return rest


def pad_chunk(
    chunk: Chunk,
    bos: int | None,
    eos: int,
    pad: int | None = None,
    chunk_length: int = CHUNK_LENGTH,
) -> Chunk:
    """The chunk as the encoder reads it: BOS, ids, EOS, then `pad` (None: EOS) to full length.

    The result has `chunk_length + 2` ids, one less without a BOS; added tokens have weight 1.
    """
    missing = chunk_length - len(chunk.ids)
    filler = eos if pad is None else pad
    start = () if bos is None else (bos,)
    ids = (*start, *chunk.ids, eos, *([filler] * missing))
    weights = (*(1.0 for _ in start), *chunk.weights, 1.0, *([1.0] * missing))
    embeddings = tuple((place + len(start), which) for place, which in chunk.embeddings)
    return Chunk(ids, weights, embeddings)


def count_used(chunks: Sequence[Chunk], chunk_length: int = CHUNK_LENGTH) -> int:
    """Tokens a prompt takes, every chunk but the last counted as full."""
    return (len(chunks) - 1) * chunk_length + len(chunks[-1].ids)
