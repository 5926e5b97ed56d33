"""The learned words of one job, found among a prompt's tokens: the longest match counts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from modules.engine.adapters.embeddings import Embedding
from modules.engine.conditioning.conditioner import TextOptions, tokenise
from modules.engine.conditioning.towers import TextTower
from modules.prompts.chunks import Vectors


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
        self._by_first = [
            _table(tower, [name for name, places in self._vectors.items() if place in places])
            for place, tower in enumerate(self._towers)
        ]
        self.key: Hashable = tuple((e.name, e.stamp) for e in self._embeddings.values())

    def __bool__(self) -> bool:
        return bool(self._embeddings)

    def find(self, ids: Sequence[int], place: int) -> Sequence[int | Vectors]:
        """See `LearnedWords.find`."""
        table = self._by_first[place]
        if not table:
            return ids
        found: list[int | Vectors] = []
        at = 0
        while at < len(ids):
            for name_ids, name in table.get(ids[at], ()):
                if tuple(ids[at : at + len(name_ids)]) == name_ids:
                    found.append(Vectors(name, len(self._vectors[name][place])))
                    at += len(name_ids)
                    break
            else:
                found.append(ids[at])
                at += 1
        return found

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
        tower = self._towers[0]
        table = _table(tower, [embedding.name for embedding in self._misfits])
        named: set[str] = set()
        for text in texts:
            ids = tower.tokenizer.encode(text)
            for at, first in enumerate(ids):
                for name_ids, name in table.get(first, ()):
                    if tuple(ids[at : at + len(name_ids)]) == name_ids:
                        named.add(name)
        return [embedding for embedding in self._misfits if embedding.name in named]


def _table(tower: TextTower, names: Sequence[str]) -> dict[int, list[tuple[tuple[int, ...], str]]]:
    """First token of each name to the names that begin with it, the longest first."""
    table: dict[int, list[tuple[tuple[int, ...], str]]] = {}
    for name in names:
        ids = tuple(tower.tokenizer.encode(name))
        if ids:
            table.setdefault(ids[0], []).append((ids, name))
    for entries in table.values():
        entries.sort(key=lambda entry: len(entry[0]), reverse=True)
    return table
