"""Richer scenes: hues, pairs, counts and places, each with the captions that say so."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tools.starter.captions import plural, with_article
from tools.starter.concepts import Concept
from tools.starter.config import Config
from tools.starter.hues import HUES, own_hue, recolour
from tools.starter.scenes import resize_premultiplied

SMALL = 60 / 128
"""Side of a small object. Places are 64 pixels apart, so that every small object meets the
autoencoder's grid of 8 pixels in the same way, wherever it stands."""
_LOW, _MIDDLE, _HIGH = 2 / 128, 34 / 128, 66 / 128
_PLACES: dict[str, tuple[float, float]] = {
    "small": (_MIDDLE, _MIDDLE),
    "left": (_LOW, _MIDDLE),
    "right": (_HIGH, _MIDDLE),
    "top": (_MIDDLE, _LOW),
    "bottom": (_MIDDLE, _HIGH),
}
"""Left and upper edge of a small object as fractions of the picture's side."""
ROWS: dict[int, tuple[tuple[float, float], ...]] = {
    2: (_PLACES["left"], _PLACES["right"]),
    3: (_PLACES["top"], (_LOW, _HIGH), (_HIGH, _HIGH)),
    4: ((_LOW, _LOW), (_HIGH, _LOW), (_LOW, _HIGH), (_HIGH, _HIGH)),
}
_NUMBERS = {
    2: ("two", "two", "2", "a pair of"),
    3: ("three", "three", "3"),
    4: ("four", "four", "4"),
}
_PLACE_WORDING = {
    "small": ("a small {n}", "a tiny {n}", "a small {n} in the middle"),
    "left": ("{a} on the left", "a small {n} on the left", "{a} on the left side"),
    "right": ("{a} on the right", "a small {n} on the right", "{a} on the right side"),
    "top": ("{a} at the top", "a small {n} at the top"),
    "bottom": ("{a} at the bottom", "a small {n} at the bottom"),
}
_PAIR_WORDING = (
    "{a} and {b}",
    "{a} and {b}",
    "{a} and {b}",
    "{a} next to {b}",
    "{a} beside {b}",
    "{a}, {b}",
    "{a} on the left and {b} on the right",
)
_COLOUR_WORDS = {hue.name for hue in HUES} | {"grey", "gold"}


@dataclass(frozen=True)
class Placed:
    """One object of a scene: where it stands, in fractions of the picture's side."""

    concept: int
    left: float
    top: float
    side: float
    hue: str | None = None
    """The colour it is changed to, None for its own."""
    flipped: bool = False


@dataclass(frozen=True)
class Layout:
    """Objects on a flat background, and a caption that tells them."""

    kind: str
    """`hue`, `pair`, `count` or `place`."""
    background: int
    objects: tuple[Placed, ...]
    caption: str


class Director:
    """Draws layouts of the given concepts; common ones come up more often."""

    def __init__(
        self, config: Config, concepts: list[Concept], drawings: np.ndarray, seed: int
    ) -> None:
        """Draw only concepts that the UNet is trained on."""
        self._config, self._concepts, self._drawings = config, concepts, drawings
        self._drawn = [row for row, concept in enumerate(concepts) if concept.drawn]
        self._weights = [config.rich_common if concepts[row].common else 1.0 for row in self._drawn]
        self._rng = random.Random(seed)
        self._own: dict[int, str | None] = {}
        self._recoloured: dict[tuple[int, str], np.ndarray] = {}

    def layout(self) -> Layout:
        """Draw one layout."""
        kinds, shares = zip(*self._config.rich_kinds, strict=True)
        kind = self._rng.choices(kinds, shares)[0]
        return getattr(self, f"_{kind}")()

    def _concept(self) -> int:
        return self._rng.choices(self._drawn, self._weights)[0]

    def _name(self, concept: int) -> str:
        names = self._concepts[concept].names
        return names[0] if self._rng.random() < 0.7 else self._rng.choice(names)

    def _ending(self, without: str | None = None) -> tuple[int, str]:
        """Return a background and the words for it; mostly white, mostly unsaid."""
        rng, grounds = self._rng, self._config.backgrounds
        place = 0 if rng.random() < 0.55 else rng.randrange(len(grounds))
        while grounds[place].name == without:
            place = rng.randrange(len(grounds))
        name = grounds[place].name
        if place == 0:
            return 0, rng.choice(("", "", "", " on a white background"))
        wording = rng.choice((" on a {} background", " on a {} background", ", {} background"))
        return place, wording.format(name).replace("a orange", "an orange")

    def _hue(self) -> Layout:
        rng = self._rng
        while True:
            concept = self._concept()
            plain = [n for n in self._concepts[concept].names if not _COLOUR_WORDS & {*n.split()}]
            if plain:
                break
        name = plain[0] if rng.random() < 0.7 else rng.choice(plain)
        own = self._own_hue(concept)
        if own is not None and rng.random() < 0.2:
            hue, changed = own, None
        else:
            hue = rng.choice([hue.name for hue in HUES if hue.name != own])
            changed = hue
        background, ending = self._ending(without=hue)
        edge = (1 - self._config.object_size) / 2
        mark = "~" if name.startswith("~") else ""
        named = with_article(f"{mark}{hue} {name.removeprefix('~')}")
        side, flip = self._config.object_size, self._flip()
        placed = Placed(concept, edge, edge, side, changed, flip)
        return Layout("hue", background, (placed,), named + ending + self._style(concept))

    def _pair(self) -> Layout:
        first = second = self._concept()
        while second == first or self._style(second) != self._style(first):
            second = self._concept()
        background, ending = self._ending()
        wording = self._rng.choice(_PAIR_WORDING)
        a, b = with_article(self._name(first)), with_article(self._name(second))
        objects = tuple(
            Placed(concept, *place, SMALL, flipped=self._flip())
            for concept, place in zip((first, second), ROWS[2], strict=True)
        )
        return Layout(
            "pair", background, objects, wording.format(a=a, b=b) + ending + self._style(first)
        )

    def _count(self) -> Layout:
        rng = self._rng
        while True:
            concept = self._concept()
            name = self._name(concept)
            if not name.startswith("~"):
                break
        count = rng.choice((2, 2, 3, 3, 4))
        background, ending = self._ending()
        flip = self._flip()
        objects = tuple(Placed(concept, *place, SMALL, flipped=flip) for place in ROWS[count])
        text = f"{rng.choice(_NUMBERS[count])} {plural(name)}{ending}{self._style(concept)}"
        return Layout("count", background, objects, text)

    def _place(self) -> Layout:
        rng = self._rng
        concept, place = self._concept(), rng.choice(tuple(_PLACES))
        background, ending = self._ending()
        name = self._name(concept)
        wording = rng.choice(_PLACE_WORDING[place])
        if name.startswith("~"):
            wording = wording.replace("a small {n}", "small {n}").replace("a tiny {n}", "tiny {n}")
        text = wording.format(a=with_article(name), n=name.removeprefix("~")) + ending
        text += self._style(concept)
        placed = Placed(concept, *_PLACES[place], SMALL, flipped=self._flip())
        return Layout("place", background, (placed,), text)

    def _style(self, concept: int) -> str:
        return self._concepts[concept].ending

    def _flip(self) -> bool:
        return self._rng.random() < self._config.flip_share

    def _own_hue(self, concept: int) -> str | None:
        if concept not in self._own:
            self._own[concept] = own_hue(self._drawings[concept])
        return self._own[concept]

    def paint(self, layout: Layout) -> np.ndarray:
        """Return the picture of a layout: `[size, size, 3]` uint8."""
        size = self._config.picture_size
        canvas = Image.new(
            "RGBA", (size, size), (*self._config.backgrounds[layout.background].rgb, 255)
        )
        for placed in layout.objects:
            drawing = self._drawing(placed.concept, placed.hue)
            if placed.flipped:
                drawing = drawing[:, ::-1]
            picture = Image.fromarray(np.ascontiguousarray(drawing))
            picture = resize_premultiplied(picture, round(size * placed.side))
            canvas.alpha_composite(picture, (round(size * placed.left), round(size * placed.top)))
        return np.asarray(canvas.convert("RGB"))

    def _drawing(self, concept: int, hue: str | None) -> np.ndarray:
        if hue is None:
            return self._drawings[concept]
        if (concept, hue) not in self._recoloured:
            colour = next(one for one in HUES if one.name == hue)
            self._recoloured[concept, hue] = recolour(self._drawings[concept], colour)
        return self._recoloured[concept, hue]
