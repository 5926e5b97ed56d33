"""The learned words of one job, found among a prompt's tokens: the longest match counts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from modules.engine.adapters.embeddings import Embedding
from modules.engine.conditioning.conditioner import TextOptions, tokenise
from modules.engine.conditioning.towers import TextTower
from modules.prompts.chunks import Vectors
from modules.prompts.learned import LearnedNames


class WordBook:
    """Textual inversions that fit a model's text encoders; a `LearnedWords`."""

    def __init__(self, towers: Sequence[TextTower], embeddings: Sequence[Embedding]) -> None:
        """Of several embeddings with the same name the last one counts."""
        self._towers = tuple(towers)
        self._vectors: dict[str, dict[int, Tensor]] = {}
        self._embeddings: dict[str, Embedding] = {}
        self._misfits: list[Embedding] = []
        widths = [tower.width for tower in towers]
        t5 = [place for place, tower in enumerate(towers) if tower.bos is None]
        for embedding in embeddings:
            fitted = embedding.fitted(widths, t5)
            if fitted is None:
                self._misfits.append(embedding)
                continue
            self._vectors[embedding.name] = fitted
            self._embeddings[embedding.name] = embedding
        self._names = [
            LearnedNames(
                tower.tokenizer.encode,
                {name: len(v[place]) for name, v in self._vectors.items() if place in v},
            )
            for place, tower in enumerate(self._towers)
        ]
        self.key: Hashable = tuple((e.name, e.stamp) for e in self._embeddings.values())

    def __bool__(self) -> bool:
        return bool(self._embeddings)

    def find(self, ids: Sequence[int], place: int) -> Sequence[int | Vectors]:
        """See `LearnedWords.find`."""
        return self._names[place].find(ids)

    def vectors(self, name: str, place: int) -> Tensor:
        """See `LearnedWords.vectors`."""
        return self._vectors[name][place]

    def used_in(self, texts: Sequence[str], options: TextOptions) -> list[Embedding]:
        """The embeddings that these texts use, in order of first use."""
        if not self:
            return []
        names: dict[str, None] = {}
        for text in texts:
            for chunk in tokenise(self._towers[0], text, options, self, 0):
                names.update(dict.fromkeys(which.name for _, which in chunk.embeddings))
        return [self._embeddings[name] for name in names]

    def misfits_in(self, texts: Sequence[str]) -> list[Embedding]:
        """Embeddings that these texts name, but that are for text encoders of other widths."""
        if not self._misfits:
            return []
        encode = self._towers[0].tokenizer.encode
        names = LearnedNames(encode, {one.name: one.vectors for one in self._misfits})
        named = names.names_in(encode(text) for text in texts)
        return [embedding for embedding in self._misfits if embedding.name in named]
