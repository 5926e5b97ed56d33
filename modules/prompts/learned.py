"""Learned words (textual inversion) among a prompt's tokens: the longest name counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from modules.prompts.chunks import Vectors

Encode = Callable[[str], Sequence[int]]


class LearnedNames:
    """Names to be found in token ids, for one tokenizer."""

    def __init__(self, encode: Encode, counts: Mapping[str, int]) -> None:
        """`counts` gives each name the number of its vectors, which is how many tokens it takes."""
        self._table: dict[int, list[tuple[tuple[int, ...], Vectors]]] = {}
        for name, count in counts.items():
            ids = tuple(encode(name))
            if ids:
                self._table.setdefault(ids[0], []).append((ids, Vectors(name, count)))
        for entries in self._table.values():
            entries.sort(key=lambda entry: len(entry[0]), reverse=True)

    def __bool__(self) -> bool:
        return bool(self._table)

    def find(self, ids: Sequence[int]) -> Sequence[int | Vectors]:
        """The ids with names in them replaced. At each place the longest name counts."""
        if not self._table:
            return ids
        found: list[int | Vectors] = []
        at = 0
        while at < len(ids):
            match = next(
                (
                    (name_ids, vectors)
                    for name_ids, vectors in self._table.get(ids[at], ())
                    if tuple(ids[at : at + len(name_ids)]) == name_ids
                ),
                None,
            )
            if match is None:
                found.append(ids[at])
                at += 1
            else:
                found.append(match[1])
                at += len(match[0])
        return found

    def names_in(self, runs: Iterable[Sequence[int]]) -> list[str]:
        """The names that lists of ids contain, in order of first use."""
        found = (item.name for ids in runs for item in self.find(ids) if isinstance(item, Vectors))
        return list(dict.fromkeys(found))
