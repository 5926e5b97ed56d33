"""What a network is told beside latents, time and text: sizes, scores, picture summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.families.base import PictureFacts


@dataclass(frozen=True)
class AddedInputs:
    """Further inputs by name, for the rows of prompts and for those of negative prompts.

    Every tensor has one row for all pictures, or one per picture of the batch.
    """

    positive: Mapping[str, Tensor] = field(default_factory=dict)
    negative: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LoadedModel, picture: PictureFacts) -> AddedInputs:
        """What the model's family wants to be told about a picture."""
        sides = [model.added_conditioning(picture, negative=no) for no in (False, True)]
        return cls(*({n: t.to(model.device) for n, t in side.items()} for side in sides))

    def rows(self, images: Sequence[int], negative: Sequence[bool]) -> dict[str, Tensor] | None:
        """One row per row of the network; None when there is nothing to tell.

        Args:
            images: which picture each row belongs to.
            negative: whether it is one of the negative prompt.
        """
        if not self.positive:
            return None
        return {name: self._row(name, images, negative) for name in self.positive}

    def _row(self, name: str, images: Sequence[int], negative: Sequence[bool]) -> Tensor:
        one, other = self.positive[name], self.negative[name]
        if len(one) == len(other) == 1:
            if not any(negative):
                return one.expand(len(images), *one.shape[1:])
            if all(negative):
                return other.expand(len(images), *other.shape[1:])
        return torch.stack(
            [
                source[image if len(source) > 1 else 0]
                for image, source in zip(
                    images, (other if no else one for no in negative), strict=True
                )
            ]
        )
