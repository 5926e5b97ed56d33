"""The named points at which extensions may look into the loop or change what flows through it.

One batch passes them in the order of :class:`HookPoint`, but for ``BEFORE_HIRES``, which stands
between two passes. Those marked "each evaluation" come again
for every call of the network, those marked "each step" for every step of the sampler.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from modules.engine.adapters.session import JobNetworks
    from modules.engine.checkpoints import LoadedModel
    from modules.engine.conditioning import Conditioning
    from modules.engine.generation.denoiser import GuidedDenoiser
    from modules.engine.generation.hires_spec import HiresSpec
    from modules.engine.generation.prompts import PromptSet


class HookPoint(Enum):
    """Where a hook is called, in the order in which a batch passes them."""

    BEFORE_BATCH = "before_batch"
    """Prompts and seeds of the batch are settled, nothing is computed; those of ``BatchState`` may
    be replaced, as many as there were. Gets :class:`BatchState`."""
    NOISE = "noise"
    """Each pass: the noise is drawn, nothing is mixed; ``noise`` and ``latents`` may be replaced.
    Gets :class:`NoiseState`."""
    EXTRA_NOISE = "extra_noise"
    """Each pass from a picture that gets extra noise: ``noise`` is that, and may be replaced. Gets
    :class:`NoiseState`."""
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
    """Each pass: its ``latents`` are final, one picture or more. Gets :class:`BatchState`."""
    BEFORE_HIRES = "before_hires"
    """The first pass is over: what the second shall do may be replaced. Gets
    :class:`HiresState`."""
    BEFORE_DECODE = "before_decode"
    """``latents`` of the last pass, which may be replaced. Gets :class:`DecodeState`."""
    POST_DECODE = "post_decode"
    """Each picture: ``pixels`` [3, height, width] in [-1, 1] may be replaced. Gets
    :class:`PictureState`."""
    DECODED_BATCH = "decoded_batch"
    """All pictures of the batch: ``pixels`` may be replaced, as many as there were. Gets
    :class:`DecodeState`."""
    FACES_DONE = "faces_done"
    """Each picture, before it is laid back into what it was cut from. Gets
    :class:`FinishedState`."""
    MASK_OVERLAY = "mask_overlay"
    """Each picture with a mask, before it is laid back: ``overlay`` may be replaced. Gets
    :class:`FinishedState`."""
    FINISHED = "finished"
    """Each picture as it will be handed over. Gets :class:`FinishedState`."""


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
    subseeds: tuple[int, ...] = ()
    first: int = 0
    """Index of its first picture in the job."""
    networks: JobNetworks | None = None
    """The job's extra networks; ``learn`` makes further files known to it."""
    model: LoadedModel | None = None
    """The checkpoint in force while it is sampled."""


@dataclass
class NoiseState:
    """What a pass begins with."""

    batch: BatchState
    noise: torch.Tensor
    """[batch, channels, height / 8, width / 8], of strength 1."""
    latents: torch.Tensor | None
    """The picture's, in a pass that begins with one; the same shape."""
    second: bool
    """The second pass of hires fix."""
    conditioning: PromptSet
    extra_noise: float = 0.0


@dataclass
class HiresState:
    """What the second pass of hires fix shall do."""

    job: str
    spec: HiresSpec


@dataclass
class DecodeState:
    """A batch at the end of sampling."""

    job: str
    iteration: int
    first: int
    """Index of its first picture in the job."""
    latents: torch.Tensor
    """[batch, channels, height / 8, width / 8]"""
    pixels: list[torch.Tensor] = field(default_factory=list)
    """[3, height, width] each, in [-1, 1]"""


@dataclass
class FinishedState:
    """One picture on its last steps."""

    job: str
    iteration: int
    place: int
    """In its batch, from 0."""
    index: int
    """In its job, from 0."""
    seed: int
    image: Image.Image
    extra: dict[str, Any]
    """Its further infotext keys; they may be changed."""
    overlay: Image.Image | None = None
    """The mask through which it will be laid back; white is the new picture."""


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
    positives: int = 0
    """How many rows are of prompts; those of negative prompts follow."""
    x_rows: torch.Tensor | None = None
    """[rows, channels, height, width]: what the network is shown instead of each row's part of
    ``x``; None: just that."""
    denoiser: GuidedDenoiser | None = None
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
