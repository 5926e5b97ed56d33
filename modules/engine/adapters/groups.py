"""Which adapters act how strongly, and which layers have to be computed together for that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.engine.adapters.layer_work import Place

if TYPE_CHECKING:
    from modules.engine.adapters.fitting import FittedAdapter, FittedPart

Parts = tuple[tuple[Hashable, str, float, int | None], ...]
"""What is merged into a layer: adapter, entry, strength, rank limit, in order."""


@dataclass(frozen=True)
class Strength:
    """How strongly one adapter acts at one moment."""

    text: float = 1.0
    image: float = 1.0
    """Of the denoising network."""
    rank: int | None = None
    """Use only so many ranks of a LoRA (A1111's `dyn`)."""
    blocks: Mapping[str, float] | None = None
    """Further factors by block; blocks that are not named have 1."""

    def of(self, part: FittedPart) -> float:
        """The strength of one entry."""
        usual = self.text if part.target.is_text else self.image
        if self.blocks is None:
            return usual
        return usual * self.blocks.get(part.target.block, 1.0)

    def key(self) -> Hashable:
        """Equal for equal effects on text encoders."""
        base = 1.0 if self.blocks is None else self.blocks.get("BASE", 1.0)
        return self.text * base, self.rank


@dataclass(frozen=True)
class Use:
    """One adapter at one strength."""

    adapter: FittedAdapter
    strength: Strength


@dataclass(frozen=True)
class Group:
    """Layers that have to be computed together, and what is merged into them, in order."""

    places: tuple[Place, ...]
    parts: tuple[tuple[FittedPart, float, int | None], ...]
    key: Parts


def groups_of(uses: Sequence[Use]) -> list[Group]:
    """Entries by the layers that they change; entries that share a layer come together."""
    order: list[tuple[FittedPart, float, int | None, Hashable]] = []
    for use in uses:
        for part in use.adapter.parts:
            strength = use.strength.of(part)
            if strength:
                order.append((part, strength, use.strength.rank, use.adapter.key))
    leader: dict[Place, Place] = {}

    def head(place: Place) -> Place:
        while leader.setdefault(place, place) != place:
            place = leader[place]
        return place

    for part, *_ in order:
        places = _places(part)
        for place in places[1:]:
            leader[head(place)] = head(places[0])
    members: dict[Place, dict[Place, None]] = {}
    parts: dict[Place, list[tuple[FittedPart, float, int | None, Hashable]]] = {}
    for entry in order:
        places = _places(entry[0])
        first = head(places[0])
        members.setdefault(first, {}).update(dict.fromkeys(places))
        parts.setdefault(first, []).append(entry)
    return [
        Group(
            places=tuple(places),
            parts=tuple((part, strength, rank) for part, strength, rank, _ in parts[first]),
            key=tuple(
                (key, part.name, strength, rank) for part, strength, rank, key in parts[first]
            ),
        )
        for first, places in members.items()
    ]


def _places(part: FittedPart) -> tuple[Place, ...]:
    return tuple(dict.fromkeys((piece.network, piece.module) for piece in part.target.pieces))
