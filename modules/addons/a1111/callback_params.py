"""What callbacks are given. Plain objects: everything in them may be changed by a callback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class ImageSaveParams:
    """A picture on its way to a file."""

    image: Any
    """PIL image."""
    p: Any
    filename: str
    """Full path."""
    pnginfo: dict[str, Any]
    """``parameters`` holds the infotext."""


@dataclass
class ExtraNoiseParams:
    """Noise added before img2img or hires; tensors (B, C, h, w)."""

    noise: Any
    x: Any
    xi: Any


@dataclass
class CFGDenoiserParams:
    """A step before the model is called."""

    x: Any
    image_cond: Any
    sigma: Any
    sampling_step: int
    total_sampling_steps: int
    text_cond: Any
    text_uncond: Any
    denoiser: Any = None


@dataclass
class CFGDenoisedParams:
    """What the model gave, conditioned and unconditioned together."""

    x: Any
    sampling_step: int
    total_sampling_steps: int
    inner_model: Any


class AfterCFGCallbackParams:
    """The guided prediction; assign ``x``."""

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int) -> None:
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.output_altered = False


@dataclass
class UiTrainTabParams:
    """For tabs below Train."""

    txt2img_preview_params: Any


@dataclass
class ImageGridLoopParams:
    """A grid about to be drawn."""

    imgs: Any
    cols: int
    rows: int


@dataclass
class BeforeTokenCounterParams:
    """A prompt whose tokens are to be counted."""

    prompt: str
    steps: int
    styles: list[Any]
    is_positive: bool = True
