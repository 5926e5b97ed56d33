"""A view of some of a file's tensors under other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modules.catalog.header import Header
from modules.engine.checkpoints.components import Source


class Names(Mapping[str, Source]):
    """Tensors of one or more files by the names that one network's layout gives them."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)

    @classmethod
    def below(cls, header: Header, prefix: str) -> Names:
        """The tensors whose name starts with `prefix`, without it."""
        return cls(
            {
                name[len(prefix) :]: Source(header, name)
                for name in header
                if name.startswith(prefix)
            }
        )

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor.

        Raises:
            KeyError: there is none of this name.
        """
        return self._sources[name].shape

    def renamed(self, table: Mapping[str, str]) -> Names:
        """The tensors that `table` lists, under the names it gives them."""
        return Names({new: self._sources[old] for old, new in table.items()})

    def count(self, pattern: str) -> int:
        """How many of `pattern.format(0)`, `pattern.format(1)` … there are without a gap."""
        number = 0
        while pattern.format(number) in self._sources:
            number += 1
        return number
