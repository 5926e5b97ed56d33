"""CLIP ranks lists of words (artists, mediums, …) by how well they fit a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.interrogate.folders import (
    find_folder,
    load_network,
    plain_part,
    read_config,
    weights_of,
)
from modules.engine.interrogate.options import InterrogateOptions
from modules.engine.interrogate.pixels import centred
from modules.prompts.tokens import PromptTokenizer
from modules.settings.paths import Paths

TEXTS_AT_ONCE = 128
LENGTH = 77
BEGIN, END = 49406, 49407
"""CLIP's marks around a text."""
LIST_BYTES = 16 * 1024 * 1024
_TOP = re.compile(r"\.top(\d+)$")
"""A list named ``flavors.top3.txt`` gives its three best lines instead of one."""


@dataclass(frozen=True)
class WordList:
    """One list and how many of its lines are given."""

    name: str
    count: int
    lines: tuple[str, ...]


def read_lists(paths: Paths, options: InterrogateOptions) -> list[WordList]:
    """The lists of ``interrogate/*.txt`` in the data folder or in ``models``."""
    found: dict[str, WordList] = {}
    for folder in (paths.data / "interrogate", paths.models / "interrogate"):
        for path in sorted(folder.glob("*.txt")):
            if path.stem == "vocab" or path.stem in options.interrogate_clip_skip_categories:
                continue
            top = _TOP.search(path.stem)
            lines = _lines(path, options.interrogate_clip_dict_limit)
            if lines:
                found.setdefault(path.stem, WordList(path.stem, int(top[1]) if top else 1, lines))
    return list(found.values())


def _lines(path: Path, limit: int) -> tuple[str, ...]:
    try:
        if path.stat().st_size > LIST_BYTES:
            return ()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    kept = [line.strip() for line in lines if line.strip()]
    return tuple(kept[:limit] if limit else kept)


def find_clip(paths: Paths) -> Path | None:
    """The folder of a CLIP with both towers (openai/clip-vit-large-patch14)."""
    return find_folder([paths.models / "CLIP", paths.models / "clip"])


class Ranker:
    """CLIP with both towers."""

    def __init__(self, folder: Path, tokenizer: Path, device: torch.device) -> None:
        """
        Raises:
            ModelFileError: the folder's files are not what they should be.
        """
        make_torchvision_importable()
        from transformers.models.clip.configuration_clip import CLIPConfig
        from transformers.models.clip.modeling_clip import CLIPModel

        weights = weights_of(folder)
        assert weights is not None, "find_folder looked for it"
        settings = folder / "config.json"
        content = read_config(settings)
        width = content.get("projection_dim")
        config = CLIPConfig(
            text_config=plain_part(content, "text_config", settings),
            vision_config=plain_part(content, "vision_config", settings),
            projection_dim=width if type(width) is int and 0 < width < 10_000 else 512,
        )
        self._side = config.vision_config.image_size
        self._tokenizer = PromptTokenizer.from_folder(tokenizer)
        self._device = device
        self._network = load_network(lambda: CLIPModel(config), weights, device)

    @torch.inference_mode()
    def rank(self, image: Image.Image, lists: Sequence[WordList]) -> list[tuple[str, float]]:
        """The best lines of every list with their probability among the list's lines."""
        network = self._network
        seen = network.vision_model(pixel_values=centred(image, self._side).to(self._device))
        picture = _unit(network.visual_projection(seen.pooler_output))
        best = []
        for words in lists:
            texts = torch.cat([self._texts(part) for part in _parts(words.lines)])
            chances = (100.0 * picture @ texts.T).softmax(dim=-1)[0]
            top = chances.topk(min(words.count, len(words.lines)))
            pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
            best += [(words.lines[index], chance) for index, chance in pairs]
        return best

    def _texts(self, lines: Sequence[str]) -> torch.Tensor:
        rows = []
        for line in lines:
            ids = [BEGIN, *self._tokenizer.encode(line)[: LENGTH - 2], END]
            rows.append(ids + [END] * (LENGTH - len(ids)))
        numbers = torch.tensor(rows, device=self._device)
        read = self._network.text_model(input_ids=numbers)
        return _unit(self._network.text_projection(read.pooler_output))


def _parts(lines: Sequence[str]) -> list[Sequence[str]]:
    return [lines[start : start + TEXTS_AT_ONCE] for start in range(0, len(lines), TEXTS_AT_ONCE)]


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)
