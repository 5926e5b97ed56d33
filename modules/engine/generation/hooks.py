"""The named points at which extensions may look into the loop or change what flows through it.

One batch passes them in the order of :class:`HookPoint`; those marked "each evaluation" come again
for every call of the network, those marked "each step" for every step of the sampler.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from modules.engine.conditioning import Conditioning


class HookPoint(Enum):
    """Where a hook is called, in the order in which a batch passes them."""

    BEFORE_BATCH = "before_batch"
    """Prompts and seeds of the batch are settled, nothing is computed. Gets :class:`BatchState`."""
    BEFORE_SAMPLING = "before_sampling"
    """Noise and conditioning are ready; ``latents`` may be replaced. Gets :class:`BatchState`."""
    CFG_DENOISER = "cfg_denoiser"
    """Each evaluation, before the network: ``x``, ``sigma`` and the conditioning of every row may
    be replaced. Gets :class:`EvaluationState`."""
    CFG_DENOISED = "cfg_denoised"
    """Each evaluation, after the network: ``denoised`` of every row, before guidance combines
    them. Gets :class:`EvaluationState`."""
    CFG_AFTER_CFG = "cfg_after_cfg"
    """Each evaluation, after guidance: ``combined`` may be replaced. Gets
    :class:`EvaluationState`."""
    AFTER_STEP = "after_step"
    """Each step, before progress and previews. Gets :class:`BatchState`."""
    AFTER_SAMPLING = "after_sampling"
    """``latents`` are final, one picture or more. Gets :class:`BatchState`."""
    POST_DECODE = "post_decode"
    """Each picture: ``pixels`` [3, height, width] in [-1, 1] may be replaced. Gets
    :class:`PictureState`."""


@dataclass
class BatchState:
    """What hooks of a whole batch see."""

    job: str
    iteration: int
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    step: int = 0
    latents: torch.Tensor | None = None
    """[batch, channels, height / 8, width / 8]"""


@dataclass
class EvaluationState:
    """What hooks of one evaluation of the network see; they may assign to its fields.

    Rows: every part of every prompt of the batch, then one negative prompt per picture unless it
    is left out in this evaluation.
    """

    evaluation: int
    """Number of the call in this batch, from 0."""
    total: int
    """How many calls the sampler announced."""
    sigma: float
    x: torch.Tensor
    """[batch, channels, height, width], the sampler's latents."""
    row_images: tuple[int, ...]
    """Which picture of the batch each row belongs to."""
    conditioning: list[Conditioning]
    """One per row."""
    has_uncond: bool
    denoised: torch.Tensor | None = None
    """[rows, channels, height, width]"""
    combined: torch.Tensor | None = None
    """[batch, channels, height, width]"""


@dataclass
class PictureState:
    """What hooks of one finished picture see."""

    job: str
    index: int
    seed: int
    pixels: torch.Tensor


Hook = Callable[[Any], None]


class Hooks:
    """Functions per point, called in the order in which they were added."""

    def __init__(self) -> None:
        self._hooks: dict[HookPoint, list[Hook]] = defaultdict(list)

    def add(self, point: HookPoint, hook: Hook) -> None:
        """Call ``hook`` with the point's state object from now on."""
        self._hooks[point].append(hook)

    def remove(self, point: HookPoint, hook: Hook) -> None:
        """Stop calling it; unknown hooks are ignored."""
        if hook in self._hooks[point]:
            self._hooks[point].remove(hook)

    def wanted(self, *points: HookPoint) -> bool:
        """Whether anyone listens at one of these points; the loop skips the work otherwise."""
        return any(self._hooks.get(point) for point in points)

    def call(self, point: HookPoint, state: Any) -> None:
        """Call all hooks of a point."""
        for hook in tuple(self._hooks.get(point, ())):
            hook(state)
