"""Scenes painted with torch on any device: many at once, for training on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from tools.starter.config import Config
from tools.starter.hues import HUES, recolour
from tools.starter.layouts import Layout, Placed


class Compositor:
    """Keeps the drawings on the device, premultiplied; a drawing in another hue joins on demand."""

    def __init__(self, config: Config, drawings: np.ndarray, rows: Sequence[int]) -> None:
        """Upload the given rows of `drawings [count, side, side, 4]` uint8."""
        self._config, self._drawings = config, drawings
        self._places: dict[tuple[int, str | None], int] = {}
        self._table = torch.empty(0)
        self._waiting: list[torch.Tensor] = []
        for row in rows:
            self._add(row, None, drawings[row])
        self._flush()
        grounds = torch.tensor([colour.rgb for colour in config.backgrounds], dtype=torch.float32)
        self._grounds = (grounds / 127.5 - 1).to(config.device)

    def _add(self, concept: int, hue: str | None, drawing: np.ndarray) -> int:
        place = self._places[concept, hue] = len(self._places)
        pixels = torch.from_numpy(np.ascontiguousarray(drawing)).permute(2, 0, 1).float() / 255
        pixels[:3] = (2 * pixels[:3] - 1) * pixels[3:]
        self._waiting.append(pixels.to(torch.float16))
        return place

    def _flush(self) -> None:
        if self._waiting:
            new = torch.stack(self._waiting).to(self._config.device)
            self._table = torch.cat([self._table, new]) if len(self._table) else new
            self._waiting = []

    def _place(self, placed: Placed) -> int:
        key = (placed.concept, placed.hue)
        if key in self._places:
            return self._places[key]
        hue = next(one for one in HUES if one.name == placed.hue)
        return self._add(*key, recolour(self._drawings[placed.concept], hue))

    @torch.no_grad()
    def paint(self, layouts: Sequence[Layout]) -> torch.Tensor:
        """Return `[layouts, 3, size, size]` in [-1, 1]."""
        config = self._config
        most = max(len(layout.objects) for layout in layouts)
        table = torch.zeros(most, len(layouts), dtype=torch.long)
        affine = torch.zeros(most, len(layouts), 2, 3)
        shown = torch.zeros(most, len(layouts), 1, 1, 1)
        for column, layout in enumerate(layouts):
            for row, placed in enumerate(layout.objects):
                table[row, column] = self._place(placed)
                affine[row, column] = _affine(placed, config.picture_size)
                shown[row, column] = 1
        self._flush()
        grounds = self._grounds[[layout.background for layout in layouts]]
        size = config.picture_size
        canvas = grounds[:, :, None, None].expand(-1, -1, size, size).clone()
        for row in range(most):
            grid = functional.affine_grid(
                affine[row].to(config.device), (len(layouts), 4, size, size), align_corners=False
            )
            drawings = self._table[table[row].to(config.device)].float()
            over = functional.grid_sample(
                self._softened(drawings, layouts, row), grid, align_corners=False
            )
            over = over * shown[row].to(config.device)
            canvas = over[:, :3] + canvas * (1 - over[:, 3:])
        return canvas.clamp(-1, 1)

    def _softened(
        self, drawings: torch.Tensor, layouts: Sequence[Layout], row: int
    ) -> torch.Tensor:
        """Drawings averaged over 2 x 2 pixels where they are drawn at half size or less.

        `grid_sample` reads four pixels for one; without this small objects would be ragged.
        """
        ratio = self._config.picture_size / drawings.shape[-1]
        small = [
            row < len(one.objects) and one.objects[row].side * ratio <= 0.55 for one in layouts
        ]
        if not any(small):
            return drawings
        mask = torch.tensor(small, device=drawings.device)
        soft = functional.avg_pool2d(drawings[mask], 2)
        drawings = drawings.clone()
        drawings[mask] = functional.interpolate(soft, scale_factor=2, mode="nearest")
        return drawings


def _affine(placed: Placed, size: int) -> torch.Tensor:
    """From places in the picture to places in the drawing, both from -1 to 1, on whole pixels."""
    left, top, side = (round(size * part) / size for part in (placed.left, placed.top, placed.side))
    scale = 1 / side
    middle_x, middle_y = 2 * (left + side / 2) - 1, 2 * (top + side / 2) - 1
    across = -scale if placed.flipped else scale
    return torch.tensor(
        [[across, 0.0, -across * middle_x], [0.0, scale, -scale * middle_y]],
    )
