"""DeepDanbooru's tagger: its network "resnet_custom_v3" and the tags that it gives a picture.

The network (K. Kim, https://github.com/KichangKim/DeepDanbooru, MIT) is a residual network of 58
bottlenecks with their batch normalisations folded in; the weights file names its 179 convolutions
by number. Widths are read from the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from modules.catalog.errors import UnreadableModelError
from modules.engine.weight_files import read_weights, state_dict_of
from modules.imaging.resizing import FILL, resize_to

SIDE = 512
STAGES = (3, 8, 20, 20, 3, 3)
"""Bottlenecks of each stage. All but the first stage begin by halving the picture."""
LATE_SHORTCUT = 3
"""The stage whose shortcut is numbered after the convolutions beside it, not before."""
COUNT = 179
PREFIX = "n_Conv_"


class DeepDanbooruNetwork(nn.Module):
    """Pixels ``[B, 3, 512, 512]`` in [0, 1] to a probability per tag ``[B, tags]``."""

    def __init__(self, shapes: Mapping[int, tuple[int, ...]]) -> None:
        super().__init__()
        strides = dict.fromkeys(range(COUNT), 1)
        strides[0] = 2
        for stage, (first, shortcut) in enumerate(_stage_beginnings()):
            if stage:
                strides[first + 1] = strides[shortcut] = 2
        self.convolutions = nn.ModuleList(
            nn.Conv2d(shapes[n][1], shapes[n][0], shapes[n][2], strides[n], bias=n != COUNT - 1)
            for n in range(COUNT)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Probabilities; see the class."""
        x = functional.relu(self.convolutions[0](functional.pad(pixels, (2, 3, 2, 3))))
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        for stage, (first, shortcut) in enumerate(_stage_beginnings()):
            number = first
            for block in range(STAGES[stage]):
                beside = self.convolutions[shortcut](x) if block == 0 else x
                x = functional.relu(self._bottleneck(x, number) + beside)
                number += 3
                if block == 0 and shortcut == number:
                    number += 1
        return self.convolutions[COUNT - 1](x).mean(dim=(2, 3)).sigmoid()

    def _bottleneck(self, x: torch.Tensor, number: int) -> torch.Tensor:
        narrow, middle, wide = self.convolutions[number : number + 3]
        x = functional.relu(narrow(x))
        # TensorFlow's "same" padding: a halving window has nothing to its left and above.
        padding = (0, 1, 0, 1) if middle.stride == (2, 2) else (1, 1, 1, 1)
        return wide(functional.relu(middle(functional.pad(x, padding))))


def _stage_beginnings() -> Iterator[tuple[int, int]]:
    """Per stage the number of its first convolution and of its shortcut."""
    number = 1
    for stage, blocks in enumerate(STAGES):
        late = stage == LATE_SHORTCUT
        yield (number, number + 3) if late else (number + 1, number)
        number += 3 * blocks + 1


class Tagger:
    """The network of a weights file and its tags."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """
        Raises:
            UnreadableModelError: the file is damaged or of another network.
        """
        content = read_weights(path)
        state = {
            f"convolutions.{name.removeprefix(PREFIX)}": tensor.float()
            for name, tensor in state_dict_of(content).items()
            if name.startswith(PREFIX)
        }
        try:
            shapes = {n: tuple(state[f"convolutions.{n}.weight"].shape) for n in range(COUNT)}
            with torch.device("meta"):
                network = DeepDanbooruNetwork(shapes)
            network.load_state_dict(state, strict=True, assign=True)
        except (KeyError, IndexError, RuntimeError, ValueError) as error:
            raise UnreadableModelError(path, "is not DeepDanbooru's resnet_custom_v3") from error
        self.tags = _tags(content, path, shapes[COUNT - 1][0])
        self._device = device
        self._network = network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def probabilities(self, image: Image.Image) -> dict[str, float]:
        """How likely each tag is, 0 to 1; ratings ("rating:safe" …) are left out."""
        picture = resize_to(image.convert("RGB"), FILL, SIDE, SIDE)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        chances = self._network(pixels.to(self._device))[0].tolist()
        pairs = zip(self.tags, chances, strict=True)
        return {tag: chance for tag, chance in pairs if not tag.startswith("rating:")}


def _tags(content: Mapping[str, Any], path: Path, count: int) -> tuple[str, ...]:
    """The tags' names: from the weights file, or from ``tags.txt`` beside it."""
    tags = content.get("tags")
    if not isinstance(tags, list):
        try:
            tags = (path.parent / "tags.txt").read_text(encoding="utf-8").split()
        except (OSError, UnicodeError) as error:
            reason = "has no names of tags in it, and there is no readable tags.txt beside it"
            raise UnreadableModelError(path, reason) from error
    if len(tags) != count or not all(isinstance(tag, str) for tag in tags):
        raise UnreadableModelError(path, f"has {len(tags)} names for {count} tags")
    return tuple(tags)
