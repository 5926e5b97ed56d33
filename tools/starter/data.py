"""What the UNet learns from: cached latents of scenes, with the text states of their captions."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch

from tools.starter import steps
from tools.starter.captions import caption, captions_of
from tools.starter.compositor import Compositor
from tools.starter.concepts import Concept
from tools.starter.config import Config, Stretch
from tools.starter.layouts import Director, Layout, Placed
from tools.starter.scenes import Scene, all_scenes, paint
from tools.starter.text_encoder import load_text_encoder
from tools.starter.tokenizer import build_tokenizer
from tools.starter.vae import load_vae

log = logging.getLogger(__name__)
_ENCODED_AT_ONCE = 32
_USUAL_NAME = 0.65
_PLAIN_ON_WHITE = 0.3


class Contexts:
    """Text encoder states of captions, in half precision; as many as the configuration says are
    computed only once.
    """

    def __init__(self, config: Config) -> None:
        """Load the frozen text encoder."""
        self._tokenizer = build_tokenizer(config)
        self._encoder = load_text_encoder(config)
        self._device = config.device
        self._length = config.text_length
        self._most = config.contexts_kept
        self._kept: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def of(self, captions: list[str]) -> torch.Tensor:
        """Return `[captions, 77, width]` in float32."""
        new = sorted({text for text in captions if text not in self._kept})
        if new:
            made = self._tokenizer(
                new,
                padding="max_length",
                max_length=self._length,
                truncation=True,
                return_tensors="pt",
            )
            states = self._encoder(input_ids=made.input_ids.to(self._device)).last_hidden_state
            self._kept.update(zip(new, states.half(), strict=True))
        found = torch.stack([self._kept[text] for text in captions]).float()
        for text in list(self._kept)[self._most :] if len(self._kept) > self._most else ():
            del self._kept[text]
        return found


def drawn_with_weights(stretch: Stretch, concepts: list[Concept]) -> tuple[list[int], list[float]]:
    """Return the rows of the concepts that a stretch draws, and how often it draws each."""
    rows = [row for row, one in enumerate(concepts) if one.drawn and (stretch.late or not one.late)]
    return rows, [_weight(stretch, concepts[row]) for row in rows]


def _weight(stretch: Stretch, concept: Concept) -> float:
    if concept.late:
        return stretch.late
    if concept.weak:
        return max(stretch.weak, stretch.common if concept.common else 1.0)
    return stretch.common if concept.common else 1.0


class Data:
    """Latents of plain and of richer scenes, and batches of them with captions."""

    def __init__(
        self, config: Config, stretch: Stretch, concepts: list[Concept], drawings: np.ndarray
    ) -> None:
        """Encode the scenes that the stretch draws, or read them from the cache."""
        self._config, self._stretch = config, stretch
        self._concepts, self._drawings = concepts, drawings
        self._drawn, self._weights = drawn_with_weights(stretch, concepts)
        self.plain = self._cached("latents", self._plain_latents).to(config.device)
        self.contexts = Contexts(config)
        self._wordings = self._choose_wordings()
        self._captions: list[str] = []
        self.rich = torch.empty(0)
        if stretch.rich:
            director = Director(config, concepts, drawings, config.seed + 5)
            layouts = [director.layout() for _ in range(config.rich_scenes)]
            self._captions = [layout.caption for layout in layouts]
            made = self._cached(
                "latents-rich",
                lambda: self._encode(len(layouts), lambda row: director.paint(layouts[row])),
            )
            self.rich = made.to(config.device)

    def _choose_wordings(self) -> list[list[list[str]]]:
        """Return a few captions for each concept and background, the plainest always among them."""
        config, rng = self._config, random.Random(self._config.seed + 6)
        chosen: list[list[list[str]]] = []
        for row in self._drawn:
            names = self._concepts[row].names
            chosen.append([])
            for colour in config.backgrounds:
                kept = [captions_of(names[0], colour.name)[0]]
                while len(kept) < config.wordings:
                    usual = len(names) == 1 or rng.random() < _USUAL_NAME
                    name = names[0] if usual else rng.choice(names[1:])
                    kept.append(rng.choice(captions_of(name, colour.name)))
                chosen[-1].append(kept)
        return chosen

    def _cached(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        config = self._config
        shown = [self._concepts[row] for row in self._drawn]
        labels = [concept.label + concept.ending for concept in shown]
        keys = ("picture_size", "object_size", "rich_scenes", "rich_kinds", "rich_common", "seed")
        made_for = {"labels": labels} | {key: asdict(config)[key] for key in keys}
        path = config.run / f"{name}-{len(labels)}.pt"
        if path.exists():
            kept = torch.load(path)
            if kept["made_for"] == made_for:
                return kept["latents"].float()
        latents = make()
        log.info("%s: %d, mean %.3f, std %.3f", name, len(latents), latents.mean(), latents.std())
        steps.save_atomically({"made_for": made_for, "latents": latents.half()}, path)
        return latents

    def _plain_latents(self) -> torch.Tensor:
        config = self._config
        scenes = all_scenes(self._drawn, len(config.backgrounds))
        latents = self._encode(len(scenes), lambda row: self._paint(scenes[row]))
        return latents.unflatten(0, (len(self._drawn), len(config.backgrounds)))

    @torch.no_grad()
    def _encode(self, count: int, picture: Callable[[int], np.ndarray]) -> torch.Tensor:
        vae, parts = load_vae(self._config), []
        for start in range(0, count, _ENCODED_AT_ONCE):
            rows = range(start, min(count, start + _ENCODED_AT_ONCE))
            pixels = steps.to_pixels(np.stack([picture(row) for row in rows]))
            parts.append(vae.encode(pixels.to(self._config.device)).latent_dist.mean.cpu())
        return torch.cat(parts)

    def _paint(self, scene: Scene) -> np.ndarray:
        config = self._config
        colour = config.backgrounds[scene.background]
        drawing = self._drawings[scene.concept]
        return paint(drawing, colour, config.picture_size, config.object_size)

    def batch(self, rng: random.Random, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return latents `[count, 4, 16, 16]` and contexts `[count, 77, width]`."""
        config = self._config
        grounds = len(config.backgrounds)
        latents, texts = [], []
        for _ in range(count):
            if len(self.rich) and rng.random() < self._stretch.rich:
                row = rng.randrange(len(self.rich))
                latents.append(self.rich[row])
                text = self._captions[row]
            else:
                place = rng.choices(range(len(self._drawn)), self._weights)[0]
                ground = 0 if rng.random() < _PLAIN_ON_WHITE else rng.randrange(grounds)
                latents.append(self.plain[place, ground])
                text = rng.choice(self._wordings[place][ground])
                text += self._concepts[self._drawn[place]].ending
            texts.append("" if rng.random() < config.caption_dropout else text)
        return torch.stack(latents), self.contexts.of(texts)


class LiveData:
    """Scenes composed and encoded for each batch, none twice: for a GPU, where it costs little."""

    def __init__(
        self, config: Config, stretch: Stretch, concepts: list[Concept], drawings: np.ndarray
    ) -> None:
        """Upload the drawings and load the frozen encoders."""
        self._config, self._stretch, self._concepts = config, stretch, concepts
        self._drawn, self._weights = drawn_with_weights(stretch, concepts)
        self._director = Director(config, concepts, drawings, config.seed + 5)
        self._compositor = Compositor(config, drawings, self._drawn)
        self._vae = load_vae(config)
        self.contexts = Contexts(config)

    def batch(self, rng: random.Random, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return latents `[count, 4, h, w]` and contexts `[count, 77, width]`."""
        config = self._config
        layouts = [self._layout(rng) for _ in range(count)]
        texts = [
            "" if rng.random() < config.caption_dropout else layout.caption for layout in layouts
        ]
        kind = config.device.partition(":")[0]
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=config.half):
            latents = self._vae.encode(self._compositor.paint(layouts)).latent_dist.mean
        return latents.float(), self.contexts.of(texts)

    def _layout(self, rng: random.Random) -> Layout:
        config = self._config
        if rng.random() < self._stretch.rich:
            return self._director.layout()
        row = rng.choices(self._drawn, self._weights)[0]
        place = 0 if rng.random() < _PLAIN_ON_WHITE else rng.randrange(len(config.backgrounds))
        edge = (1 - config.object_size) / 2
        text = caption(rng, self._concepts[row].names, config.backgrounds[place].name)
        text += self._concepts[row].ending
        placed = Placed(row, edge, edge, config.object_size)
        return Layout("plain", place, (placed,), text)
