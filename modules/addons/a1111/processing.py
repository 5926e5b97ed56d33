"""A1111's ``processing``: the object ``p`` that scripts read and change, and ``process_images``."""

from __future__ import annotations

import random
from typing import Any

from modules.addons import host
from modules.addons.a1111 import shared
from modules.addons.a1111.processed import Processed
from modules.addons.a1111.processing_fields import Fields, Img2ImgFields, Txt2ImgFields

__all__ = [
    "Processed",
    "StableDiffusionProcessing",
    "StableDiffusionProcessingImg2Img",
    "StableDiffusionProcessingTxt2Img",
    "create_binary_mask",
    "create_infotext",
    "fix_seed",
    "get_fixed_seed",
    "opt_C",
    "opt_f",
    "process_images",
    "process_images_inner",
]

opt_C = 4  # noqa: N816 - A1111's name
opt_f = 8


class StableDiffusionProcessing(Fields):
    """What one call of ``process_images`` shall do; every field may be read and assigned."""

    kind = "txt2img"
    cached_uc: Any = [None, None]  # noqa: RUF012 - A1111's, assigned by extensions
    cached_c: Any = [None, None]  # noqa: RUF012

    @property
    def sd_model(self) -> Any:
        """The model in memory."""
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        pass  # A1111 ignores it too

    @property
    def scripts(self) -> Any:
        """The runner whose always-on scripts take part."""
        return self.scripts_value

    @scripts.setter
    def scripts(self, value: Any) -> None:
        self.scripts_value = value
        self._set_up()

    @property
    def script_args(self) -> Any:
        """Flat arguments of all scripts of the runner."""
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        self._set_up()

    def _set_up(self) -> None:
        ready = self.scripts_value and self.script_args_value and not self.scripts_setup_complete
        if ready:
            self.scripts_setup_complete = True
            self.scripts_value.setup_scrips(self, is_ui=not self.is_api)

    def setup_scripts(self) -> None:
        """Call the scripts' ``setup`` once."""
        self._set_up()

    def comment(self, text: str) -> None:
        """A remark for the user."""
        self.comments[text] = 1

    def clear_prompt_cache(self) -> None:
        """Encoded prompts are kept by the program."""

    def close(self) -> None:
        """Let large objects go."""
        self.sampler = None
        self.c = None
        self.uc = None

    def init(self, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        """A1111 prepares pictures here; the program does it itself."""

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """A1111 samples here; the program does it itself.

        Raises:
            NotImplementedError: an extension calls it.
        """
        raise NotImplementedError("p.sample() cannot be called here; call process_images(p)")

    def setup_prompts(self) -> None:
        """One entry per picture from ``prompt`` and ``negative_prompt``, with styles."""
        count = int(self.batch_size) * int(self.n_iter)
        book = shared.prompt_styles
        for name, own in (("all_prompts", self.prompt), ("all_negative_prompts", None)):
            texts = self.negative_prompt if own is None else own
            texts = list(texts) if isinstance(texts, list) else [texts] * count
            if book is not None and self.styles:
                negative = name == "all_negative_prompts"
                apply = book.apply_negative_styles_to_prompt if negative else None
                apply = apply or book.apply_styles_to_prompt
                texts = [apply(text, self.styles) for text in texts]
            setattr(self, name, texts)
        self.main_prompt = self.all_prompts[0] if self.all_prompts else ""
        self.main_negative_prompt = (self.all_negative_prompts or [""])[0]

    def setup_conds(self) -> None:
        """Prompts are encoded by the program."""

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        """The share of places that are merged."""
        key = "token_merging_ratio_hr" if for_hr else "token_merging_ratio"
        return float(shared.opts.data.get(key) or shared.opts.data.get("token_merging_ratio") or 0)

    def parse_extra_network_prompts(self) -> None:
        """Take the extra networks out of the batch's prompts."""
        from modules.addons.a1111 import extra_networks

        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def save_samples(self) -> bool:
        """Whether pictures are saved."""
        return bool(shared.opts.data.get("samples_save", True)) and not self.do_not_save_samples


class StableDiffusionProcessingTxt2Img(Txt2ImgFields, StableDiffusionProcessing):
    """A txt2img generation."""

    kind = "txt2img"
    cached_hr_uc: Any = [None, None]  # noqa: RUF012
    cached_hr_c: Any = [None, None]  # noqa: RUF012

    def calculate_target_resolution(self) -> None:
        """Fill ``hr_upscale_to_x`` and ``_y`` from scale or sizes."""
        if self.hr_resize_x == 0 and self.hr_resize_y == 0:
            self.hr_upscale_to_x = int(self.width * self.hr_scale)
            self.hr_upscale_to_y = int(self.height * self.hr_scale)
        else:
            self.hr_upscale_to_x = self.hr_resize_x or (
                self.hr_resize_y * self.width // self.height
            )
            self.hr_upscale_to_y = self.hr_resize_y or (
                self.hr_resize_x * self.height // self.width
            )


class StableDiffusionProcessingImg2Img(Img2ImgFields, StableDiffusionProcessing):
    """An img2img generation."""

    kind = "img2img"

    @property
    def mask_blur(self) -> int | None:
        """Blur of both directions, None where they differ."""
        return self.mask_blur_x if self.mask_blur_x == self.mask_blur_y else None

    @mask_blur.setter
    def mask_blur(self, value: int | None) -> None:
        if isinstance(value, (int, float)):
            self.mask_blur_x = self.mask_blur_y = int(value)


def process_images(p: StableDiffusionProcessing) -> Processed:
    """Generate what ``p`` describes. In the engine at once; in the server through the queue.

    Raises:
        RuntimeError: there is nothing here that generates, or the job failed.
    """
    generate = host.get().providers.get("process_images")
    if generate is None:
        raise RuntimeError("pictures cannot be made here")
    found: Processed = generate(p)  # type: ignore[call-arg]
    return found


process_images_inner = process_images


def get_fixed_seed(seed: Any) -> int:
    """The seed itself, or a random one for -1 and empty values."""
    if seed in (None, ""):
        seed = -1
    try:
        seed = int(seed)
    except (TypeError, ValueError):
        seed = -1
    return int(random.randrange(4294967294)) if seed == -1 else seed


def fix_seed(p: StableDiffusionProcessing) -> None:
    """Draw the seeds of ``p`` that are -1."""
    p.seed = get_fixed_seed(p.seed)
    p.subseed = get_fixed_seed(p.subseed)


def create_infotext(
    p: StableDiffusionProcessing,
    all_prompts: Any,
    all_seeds: Any,
    all_subseeds: Any,
    comments: Any = None,
    iteration: int = 0,
    position_in_batch: int = 0,
    use_main_prompt: bool = False,
    index: int | None = None,
    all_negative_prompts: Any = None,
) -> str:
    """The infotext of one picture of ``p``."""
    from modules.addons.a1111.processing_text import infotext_of

    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * int(p.batch_size)

    def at(values: Any, otherwise: Any) -> Any:
        return values[index] if values and index < len(values) else otherwise

    negatives = all_negative_prompts or p.all_negative_prompts
    return infotext_of(
        p,
        prompt=at(all_prompts, p.prompt),
        negative=at(negatives, p.negative_prompt),
        seed=at(all_seeds, p.seed),
        subseed=at(all_subseeds, p.subseed),
    )


def program_version() -> str:
    """The program's version as infotext tells it."""
    from modules.settings.version import VERSION

    return f"easel {VERSION}"


def create_binary_mask(image: Any, round: bool = True) -> Any:
    """White where the picture is opaque (or bright, without transparency)."""
    if image.mode == "RGBA" and image.getextrema()[-1] != (255, 255):
        mask = image.split()[-1].convert("L")
        return mask.point(lambda x: 255 if x > 128 else 0) if round else mask
    return image.convert("L")


def old_hires_fix_first_pass_dimensions(width: int, height: int) -> tuple[int, int]:
    """About 512² pixels of the same shape, in multiples of 64."""
    import math

    scale = math.sqrt(512 * 512 / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64
