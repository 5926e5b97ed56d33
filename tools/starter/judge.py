"""The automatic judge: a small image-text model that says which thing a picture shows.

It learns from renderings that the UNet never sees (other layouts, any background colour, turned
and softened drawings), never from generated pictures. Its texts are the sentence model's
embeddings of the things' names, so it owes nothing to the model that it judges.
"""

from __future__ import annotations

import itertools
import logging
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import nn
from torch.nn import functional

from tools.starter import steps
from tools.starter.concepts import Concept
from tools.starter.config import Config
from tools.starter.layouts import Director
from tools.starter.minilm import cached

log = logging.getLogger(__name__)
_SIDE = 64
"""Pictures are judged at this size: softness of the autoencoder plays no part."""
_WIDTH = 128
_BATCH = 48
_RATE = 2e-3


class Judge(nn.Module):
    """Pictures and names in one space of unit vectors."""

    def __init__(self, names: torch.Tensor) -> None:
        """`names [things, 384]` are the sentence embeddings of the names."""
        super().__init__()
        channels = (3, 32, 64, 128, 192)
        blocks: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            blocks += [
                nn.Conv2d(before, after, 3, stride=2, padding=1),
                nn.GroupNorm(8, after),
                nn.SiLU(),
                nn.Conv2d(after, after, 3, padding=1),
                nn.GroupNorm(8, after),
                nn.SiLU(),
            ]
        self.trunk = nn.Sequential(*blocks)
        self.picture = nn.Linear(channels[-1] * 2, _WIDTH)
        self.text = nn.Linear(names.shape[1], _WIDTH, bias=False)
        self.scale = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("names", names)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return how well each name fits: logits `[batch, things]` for `[batch, 3, 64, 64]`."""
        maps = self.trunk(pixels)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        pictures = functional.normalize(self.picture(pooled), dim=-1)
        texts = functional.normalize(self.text(self.names), dim=-1)
        return pictures @ texts.T * self.scale.exp()


class Renderings:
    """Endless renderings with the things that they show."""

    def __init__(
        self, config: Config, concepts: list[Concept], drawings: np.ndarray, seed: int
    ) -> None:
        """Scale the drawings down once."""
        self._config = replace(config, picture_size=_SIDE)
        self._rng = random.Random(seed)
        self.things = [row for row, concept in enumerate(concepts) if concept.drawn]
        self.labels = list(dict.fromkeys(concepts[row].label for row in self.things))
        self._place = {row: self.labels.index(concepts[row].label) for row in self.things}
        small = {row: _scaled(drawings[row]) for row in self.things}
        self._small = _Rows(small)
        even = [replace(concept, common=False) for concept in concepts]
        self._director = Director(self._config, even, self._small, seed)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixels `[count, 3, 64, 64]` and shares of the labels `[count, labels]`."""
        pictures, shares = [], torch.zeros(count, len(self.labels))
        for row in range(count):
            picture, shown = self._one()
            pictures.append(picture)
            for thing in shown:
                shares[row, self._place[thing]] += 1 / len(shown)
        return steps.to_pixels(np.stack(pictures)), shares

    def _one(self) -> tuple[np.ndarray, list[int]]:
        rng = self._rng
        if rng.random() < 0.4:
            layout = self._director.layout()
            shown = list(dict.fromkeys(placed.concept for placed in layout.objects))
            picture = Image.fromarray(self._director.paint(layout))
        else:
            shown = [rng.choice(self.things)]
            picture = self._turned(shown[0])
        if rng.random() < 0.5:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.1)))
        pixels = np.asarray(picture).astype(np.float32)
        pixels = pixels * rng.uniform(0.85, 1.15) + rng.uniform(-14, 14)
        if rng.random() < 0.5:
            noise = np.random.default_rng(rng.getrandbits(32))
            pixels += noise.normal(0, rng.uniform(1, 9), pixels.shape)
        return pixels.clip(0, 255).astype(np.uint8), shown

    def _turned(self, thing: int) -> Image.Image:
        rng = self._rng
        plain = rng.random() < 0.4
        ground = (255, 255, 255) if plain else tuple(rng.randrange(256) for _ in range(3))
        canvas = Image.new("RGBA", (_SIDE, _SIDE), (*ground, 255))
        side = round(_SIDE * rng.uniform(0.6, 1.0))
        drawing = Image.fromarray(np.ascontiguousarray(self._small[thing]))
        if rng.random() < 0.3:
            drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        drawing = drawing.rotate(rng.uniform(-14, 14), Image.Resampling.BILINEAR)
        drawing = drawing.resize((side, side), Image.Resampling.BILINEAR)
        room = _SIDE - side
        canvas.alpha_composite(drawing, (rng.randint(0, room), rng.randint(0, room)))
        return canvas.convert("RGB")


class _Rows(dict):
    """Drawings by row, where an array is expected."""


def _scaled(drawing: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(drawing)).convert("RGBa")
    return np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("RGBA"))


def train_judge(
    config: Config, concepts: list[Concept], drawings: np.ndarray, minutes: float
) -> Judge:
    """Train for `minutes`, on from `run/judge.pt` if it fits, save it and return the judge."""
    torch.manual_seed(config.seed + 9)
    renderings = Renderings(config, concepts, drawings, config.seed + 9)
    judge = Judge(_name_embeddings(config, concepts)).to(config.device)
    labels = renderings.labels
    if _path(config).exists():
        kept = torch.load(_path(config), map_location=config.device)
        if kept["labels"] == labels:
            judge.load_state_dict(kept["judge"])
    optimiser = torch.optim.AdamW(judge.parameters(), lr=_RATE, weight_decay=0.02, fused=True)
    budget, step, running = steps.Budget(minutes), 0, 0.0
    while not budget.over:
        rate = _RATE * min(1, (step + 1) / 200) * steps.cosine_tail(budget.fraction, 0.3, 0.01)
        for group in optimiser.param_groups:
            group["lr"] = rate
        pixels, shares = (part.to(config.device) for part in renderings.batch(_BATCH))
        logits = judge(pixels)
        loss = functional.cross_entropy(logits, shares)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        right = shares.gather(1, logits.argmax(1, keepdim=True)).gt(0).float().mean().item()
        running += 0.02 * (right - running)
        step += 1
        if step % 100 == 0:
            log.info(
                "step %d, %.0f s, loss %.3f, right %.1f %%",
                step, budget.spent, loss.item(), 100 * running,
            )  # fmt: skip
    steps.save_atomically({"labels": labels, "judge": judge.state_dict()}, _path(config))
    return judge.eval()


def _path(config: Config) -> Path:
    return config.run / "judge.pt"


def _name_embeddings(config: Config, concepts: list[Concept]) -> torch.Tensor:
    names = {one.label: one.names[0].removeprefix("~") for one in concepts if one.drawn}
    return cached(config, "names", list(names.values()))


@dataclass(frozen=True)
class Score:
    """Shares of pictures whose things are found, 0 to 1."""

    top1: float
    top5: float
    ranks: tuple[tuple[int, ...], ...]
    """For each picture the rank of each wanted thing; 1 is the best."""


class Examiner:
    """Ranks what pictures show among all things that the model should draw."""

    def __init__(self, config: Config) -> None:
        """Load the trained judge."""
        kept = torch.load(_path(config), map_location="cpu")
        self.labels: list[str] = kept["labels"]
        self._judge = Judge(torch.zeros_like(kept["judge"]["names"]))
        self._judge.load_state_dict(kept["judge"])
        self._judge.eval()

    @torch.no_grad()
    def ranks(self, pictures: np.ndarray, wanted: list[tuple[str, ...]]) -> Score:
        """Score pictures `[count, side, side, 3]` uint8 by the labels that they should show.

        With two wanted things, "top-1" means that both are among the first two; each counts half.
        """
        pixels = functional.interpolate(steps.to_pixels(pictures), size=_SIDE, mode="area")
        order = self._judge(pixels).argsort(1, descending=True)
        first, fifth, ranks = 0.0, 0.0, []
        for row, labels in zip(order.tolist(), wanted, strict=True):
            found = tuple(row.index(self.labels.index(label)) + 1 for label in labels)
            first += sum(rank <= len(labels) for rank in found) / len(labels)
            fifth += sum(rank <= 5 for rank in found) / len(labels)
            ranks.append(found)
        return Score(first / len(wanted), fifth / len(wanted), tuple(ranks))
