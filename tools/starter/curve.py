"""The loss curve as a picture."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT, _EDGE = 900, 420, 46
_INK, _GRID, _LOSS, _RATE = (40, 40, 48), (222, 222, 228), (38, 98, 206), (214, 138, 40)


def save_curve(table: Path, target: Path) -> None:
    """Draw `unet-<phase>.csv`: loss (logarithmic, blue) and learning rate (orange) over samples."""
    with table.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    if len(rows) < 2:
        return
    samples = [int(row["samples"]) for row in rows]
    losses = [float(row["loss"]) for row in rows]
    rates = [float(row["learning_rate"]) for row in rows]
    low, high = min(losses) * 0.95, max(losses) * 1.05
    page = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(page)

    def across(count: float) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * count / samples[-1]

    def down(share: float) -> float:
        return _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * share

    def level(loss: float) -> float:
        return down(math.log(loss / low) / math.log(high / low))

    for tick in _ticks(low, high):
        pen.line([(_EDGE, level(tick)), (_WIDTH - _EDGE, level(tick))], fill=_GRID)
        pen.text((6, level(tick) - 6), f"{tick:.2f}", fill=_INK)
    for part in range(5):
        count = samples[-1] * part / 4
        pen.text((across(count) - 14, _HEIGHT - _EDGE + 8), f"{count / 1000:.0f}k", fill=_INK)
    top = max(rates) or 1.0
    pen.line([(across(s), down(r / top)) for s, r in zip(samples, rates, strict=True)], fill=_RATE)
    pen.line(
        [(across(s), level(one)) for s, one in zip(samples, losses, strict=True)],
        fill=_LOSS, width=2,
    )  # fmt: skip
    title = f"{table.stem}: loss (blue) over samples, last {losses[-1]:.4f}; "
    pen.text((_EDGE, 14), title + f"learning rate (orange), at most {top:.1e}", fill=_INK)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.save(target)


def _ticks(low: float, high: float) -> list[float]:
    return [step / 100 for step in range(5, 200, 5) if low <= step / 100 <= high]
