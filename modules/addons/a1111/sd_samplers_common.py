"""A1111's ``sd_samplers_common``: what a sampler is called, and latents to pictures."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from modules.addons.a1111 import shared

SamplerDataTuple = namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])


class SamplerData(SamplerDataTuple):
    """A sampler's name, what makes it, its further names and its options."""

    def total_steps(self, steps: int) -> int:
        """Calls of the network."""
        return steps * 2 if self.options.get("second_order") else steps


class InterruptedException(BaseException):
    """Sampling was interrupted."""


approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


def setup_img2img_steps(p: Any, steps: int | None = None) -> tuple[int, int]:
    """Steps of the whole schedule, and where img2img begins in it."""
    strength = p.denoising_strength or 0
    if shared.opts.data.get("img2img_fix_steps") or steps is not None:
        asked = steps or p.steps
        steps = int(asked / min(strength, 0.999)) if strength > 0 else 0
        return steps, asked - 1
    return p.steps, int(min(strength, 0.999) * p.steps)


def decode_first_stage(model: Any, x: Any) -> Any:
    """Latents (B, C, h, w) to pixels in -1 to 1."""
    return model.decode_first_stage(x)


def images_tensor_to_samples(image: Any, approximation: Any = None, model: Any = None) -> Any:
    """Pixels (B, 3, H, W) in 0 to 1 to latents."""
    return (model or shared.sd_model).encode_first_stage(image * 2 - 1)


def samples_to_images_tensor(sample: Any, approximation: Any = None, model: Any = None) -> Any:
    """Latents to pixels in -1 to 1."""
    return (model or shared.sd_model).decode_first_stage(sample)


def single_sample_to_image(sample: Any, approximation: Any = None) -> Any:
    """One picture's latents (C, h, w) as PIL."""
    import numpy as np
    from PIL import Image

    pixels = samples_to_images_tensor(sample.unsqueeze(0))[0]
    values = ((pixels.float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return Image.fromarray(values.permute(1, 2, 0).numpy().astype(np.uint8))


def sample_to_image(samples: Any, index: int = 0, approximation: Any = None) -> Any:
    """One picture of a batch."""
    return single_sample_to_image(samples[index], approximation)


def samples_to_image_grid(samples: Any, approximation: Any = None) -> Any:
    """All pictures of a batch in one."""
    from modules.addons.a1111 import images

    return images.image_grid([single_sample_to_image(one, approximation) for one in samples])


def store_latent(decoded: Any) -> None:
    """Previews are made by the program."""
    shared.state.current_latent = decoded


def is_sampler_using_eta_noise_seed_delta(p: Any) -> bool:
    """The engine takes care of it."""
    return False


class Sampler:
    """A1111's base of samplers; ours run in the engine."""

    def __init__(self, funcname: Any) -> None:
        self.funcname = funcname
        self.func = funcname
        self.extra_params: list[str] = []
        self.model_wrap_cfg: Any = None
        self.config: Any = None
