"""The passes of an outpainting: side after side or tile after tile, then the worst seams again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from PIL import Image

from modules.engine.generation.control import StopSampling
from modules.engine.generation.outpaint_canvas import Master
from modules.imaging.extend import Canvas, Stretch, Window
from modules.imaging.masks import Box
from modules.imaging.seams import Border, seam_score
from modules.requests.generation import Outpaint

GOOD_SEAM = 1.15
"""A seam that nobody sees is not tried again."""
FILL, ORIGINAL = 0, 1
"""Masked content: painted from the surroundings, or what is there. Tiles take the request's."""


class Painter(Protocol):
    """What outpainting needs of the engine: see ``modules.engine.generation.repaint``."""

    def repaint(
        self,
        image: Image.Image,
        mask: Image.Image | None,
        *,
        width: int,
        height: int,
        strength: float,
        prompt: str,
        negative_prompt: str,
        seed: int,
        mask_blur: int,
        fill: int,
        full_res: bool,
        padding: int,
        label: str,
    ) -> Image.Image:
        """One inpainting pass; the composited picture."""
        ...


class Growing:
    """One growth of one picture."""

    def __init__(
        self,
        image: Image.Image,
        spec: Outpaint,
        canvas: Canvas,
        repainter: Painter,
        request: Mapping[str, Any],
        seed: int,
    ) -> None:
        self._spec = spec
        self._canvas = canvas
        self._repainter = repainter
        self._request = request
        self._size = (int(request["width"]), int(request["height"]))
        self._seeds = iter(range(seed, seed + 2**32))
        self._first_seed = seed
        self.master = Master.around(image, canvas)
        self.finished = Box(0, 0, *canvas.size)
        self._stretches = [] if spec.method == "tiled" else canvas.stretches(self._size)
        self.scores: dict[str, float] = {}

    def run(self) -> bool:
        """Paint everything, then repeat the worst sides; False when it was interrupted."""
        whole = self._tile(self.finished) if self._spec.method == "tiled" else self._grow()
        sides = [side for side in self._canvas.pixels if whole or self._done(side)]
        self.scores = {side: self._score(side) for side in sides}
        if whole:
            # An interrupt from here on ends the repeats alone: everything is there.
            with suppress(StopSampling):
                self._repeat_worst()
        return whole

    # -- the ways to paint --------------------------------------------------------------------

    def _grow(self) -> bool:
        """Side after side; after an interrupt, what was finished is what counts."""
        for stretch in self._stretches:
            try:
                self._stretch(stretch)
            except StopSampling:
                if stretch.before == self._canvas.original:
                    raise
                self.finished = stretch.before
                return False
        return True

    def _stretch(self, stretch: Stretch) -> None:
        if self._spec.method == "noise":
            seed = self._first_seed + self._stretches.index(stretch)
            self.master.begin_noise(stretch, self._spec, seed)
        else:
            self.master.begin_edges(stretch.paint)
        for number, window in enumerate(stretch.windows, 1):
            several = f" {number}/{len(stretch.windows)}" if len(stretch.windows) > 1 else ""
            self._paint(window, ORIGINAL, f"{stretch.side}{several}")

    def _tile(self, area: Box) -> bool:
        """Tile after tile, always the one that shows most of what is settled.

        An interrupt leaves the other tiles with extended edges.
        """
        self.master.begin_edges(Box(0, 0, *self._canvas.size))
        left = [one for one in self._canvas.tiles(self._size) if one.paint.meets(area)]
        total = len(left)
        fill = int(self._request.get("inpainting_fill", FILL))
        while left:
            window = max(left, key=self._settled)
            left.remove(window)
            try:
                self._paint(window, fill, f"tile {total - len(left)}/{total}")
            except StopSampling:
                if len(left) == total - 1:
                    raise
                return False
        return True

    def _settled(self, window: Window) -> float:
        box = window.box
        return float(self.master.known[box.top : box.bottom, box.left : box.right].mean())

    def _paint(self, window: Window, fill: int, label: str) -> None:
        self.master.paint(
            window,
            self._spec.mask_blur,
            lambda view, mask: self._render(view, mask, fill, label),
        )

    def _render(self, view: Image.Image, mask: Image.Image, fill: int, label: str) -> Image.Image:
        """A window through the model, at the request's size."""
        size = view.size
        result = self._repainter.repaint(
            view.resize(self._size, Image.Resampling.LANCZOS) if size != self._size else view,
            mask.resize(self._size, Image.Resampling.NEAREST),
            width=self._size[0],
            height=self._size[1],
            strength=float(self._request["denoising_strength"]),
            prompt=str(self._request["prompt"]),
            negative_prompt=str(self._request["negative_prompt"]),
            seed=next(self._seeds),
            mask_blur=self._spec.mask_blur,
            fill=fill,
            full_res=False,
            padding=0,
            label=f"Outpaint {label}",
        )
        return result if result.size == size else result.resize(size, Image.Resampling.LANCZOS)

    # -- seams --------------------------------------------------------------------------------

    def _repeat_worst(self) -> None:
        """Try the side with the worst seam again and keep the better outcome."""
        for _ in range(self._spec.retries):
            side = max(self.scores, key=lambda one: self.scores[one])
            if self.scores[side] <= GOOD_SEAM:
                return
            before = self.master.pixels.copy(), self.master.known.copy()
            try:
                self._again(side)
                score = self._score(side)
            except StopSampling:
                self.master.pixels, self.master.known = before
                raise
            if score < self.scores[side]:
                self.scores[side] = score
            else:
                self.master.pixels, self.master.known = before

    def _again(self, side: str) -> None:
        self._first_seed = next(self._seeds)
        if self._spec.method == "tiled":
            area = self._canvas.beyond(side)
            self.master.forget(area)
            if not self._tile(area):
                raise StopSampling
            return
        stretches = [stretch for stretch in self._stretches if stretch.side == side]
        for stretch in stretches:
            self.master.forget(stretch.paint)
        for stretch in stretches:
            self._stretch(stretch)

    def _score(self, side: str) -> float:
        picture = self.master.picture()
        return round(max(seam_score(picture, border) for border in self._borders(side)), 3)

    def _borders(self, side: str) -> Iterator[Border]:
        """The lines where the new parts of a side begin."""
        own = [one.before for one in self._stretches if one.side == side and self._held(one)]
        for box in own or [self._canvas.original]:
            if side in ("left", "right"):
                place = box.left if side == "left" else box.right
                yield Border(True, place, box.top, box.bottom)
            else:
                place = box.top if side == "up" else box.bottom
                yield Border(False, place, box.left, box.right)

    def _held(self, stretch: Stretch) -> bool:
        return self.finished.union(stretch.paint) == self.finished

    def _done(self, side: str) -> bool:
        return any(self._held(one) for one in self._stretches if one.side == side)
