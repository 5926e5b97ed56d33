"""What the training steps share: budgets, averages, safe checkpoints, sheets."""

from __future__ import annotations

import datetime
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image


class Budget:
    """A stretch of wall-clock time; schedules read how much of it has gone.

    Tying a learning rate to the clock means that a slow or shared machine trains less, but never
    stops with an undecayed rate.
    """

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        """Start the clock, `spent` seconds into a budget of `minutes`."""
        self.seconds = minutes * 60
        self.start = time.monotonic() - spent

    @property
    def spent(self) -> float:
        """Seconds used so far."""
        return time.monotonic() - self.start

    @property
    def fraction(self) -> float:
        """Share used so far, 0 to 1."""
        return min(1.0, self.spent / self.seconds)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.spent >= self.seconds


def minutes_until(clock: str) -> float:
    """Return the minutes from now to the next `HH:MM` of the local clock."""
    now = datetime.datetime.now()
    hour, minute = (int(part) for part in clock.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if then <= now:
        then += datetime.timedelta(days=1)
    return (then - now).total_seconds() / 60


def cosine_tail(fraction: float, decay_from: float, floor: float = 0.0) -> float:
    """Return 1 until `decay_from`, then a half cosine down to `floor` at 1."""
    if fraction <= decay_from:
        return 1.0
    progress = (fraction - decay_from) / (1 - decay_from)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


class Average:
    """An exponential moving average of a module's trainable parameters."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        """Start from a copy of the module's present parameters."""
        self.decay = decay
        self.updates = 0
        self.values = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        """Move towards the module's parameters; early updates move faster."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        names = [n for n, p in module.named_parameters() if p.requires_grad]
        current = dict(module.named_parameters())
        torch._foreach_lerp_(
            [self.values[n] for n in names], [current[n].detach() for n in names], 1 - decay
        )

    @torch.no_grad()
    def copy_to(self, module: torch.nn.Module) -> None:
        """Overwrite the module's parameters with the averages."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.values[name])


def save_atomically(state: object, path: Path) -> None:
    """`torch.save` beside the target, then rename: a stop cannot leave half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def to_pixels(pictures: np.ndarray) -> torch.Tensor:
    """`[batch, height, width, 3]` uint8 to `[batch, 3, height, width]` in [-1, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return tensor.to(torch.float32).div_(127.5).sub_(1)


def to_pictures(pixels: torch.Tensor) -> np.ndarray:
    """The reverse of `to_pixels`."""
    scaled = pixels.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def save_sheet(pictures: np.ndarray, path: Path, columns: int) -> None:
    """Save `[count, height, width, 3]` uint8 pictures as one grid."""
    count, height, width, _ = pictures.shape
    rows = math.ceil(count / columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + height, x : x + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
