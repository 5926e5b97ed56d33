"""Every tab's form as it is before anybody touched it, without a model's own wishes."""

from __future__ import annotations

from typing import Any

from modules.requests.extras import DatasetSteps
from modules.requests.generation import Detailer, GenerationRequest, Outpaint, SoftInpainting
from modules.requests.models import ConvertRequest

SAME_CHECKPOINT = "Use same checkpoint"
SAME_SAMPLER = "Use same sampler"
NO_MODEL = "None"
SAME_SCHEDULER = "Use same scheduler"
SHIPPED_UPSCALER = "R-ESRGAN 4x+"
"""Its weights come with the program, so Extras does something useful at once."""


def txt2img() -> dict[str, Any]:
    """A1111's first form: 512x512, 20 steps, no second pass."""
    return {
        **prompts(),
        **sampling(),
        **size(),
        **seeds(),
        **hires(),
        **refiner(),
        **detailer(),
        "override_settings": [],
    }


def img2img() -> dict[str, Any]:
    """A1111's second form: strength 0.75, the whole picture, masked content kept."""
    request = GenerationRequest(**GenerationRequest.IMG2IMG_UI_DEFAULTS)
    return {
        **prompts(),
        **sampling(),
        **size(),
        **seeds(),
        **refiner(),
        **detailer(),
        "denoising_strength": request.denoising_strength,
        "image_cfg_scale": 1.5,
        "noise_level": 0,
        "resize_mode": request.resize_mode,
        "scale_by": 1.0,
        "mask_blur": 4,
        "mask_alpha": 0,
        "inpainting_mask_invert": request.inpainting_mask_invert,
        "inpainting_fill": request.inpainting_fill,
        "inpaint_full_res": int(request.inpaint_full_res),
        "inpaint_full_res_padding": request.inpaint_full_res_padding,
        **soft_inpainting(),
        **batch(),
        "override_settings": [],
    }


def outpaint() -> dict[str, Any]:
    """The Outpaint tab: nothing to grow yet, a strong second look at what is new."""
    start = Outpaint()
    return {
        **prompts(),
        **sampling(),
        **seeds(),
        **window(),
        "denoising_strength": 0.8,
        "outpaint.method": start.method,
        "outpaint.left": 0,
        "outpaint.right": 0,
        "outpaint.up": 0,
        "outpaint.down": 0,
        "outpaint.mask_blur": start.mask_blur,
        "outpaint.fall_off": start.fall_off,
        "outpaint.colour_variation": start.colour_variation,
        "outpaint.retries": start.retries,
        "outpaint.uncrop_pixels": start.uncrop_pixels,
        "override_settings": [],
    }


def extras() -> dict[str, Any]:
    """The Extras tab: four times larger, everything else off."""
    steps = DatasetSteps()
    return {
        "upscale_enabled": True,
        "upscaler_1": SHIPPED_UPSCALER,
        "upscaler_2": "None",
        "extras_upscaler_2_visibility": 0.0,
        "resize_mode": 0,
        "upscaling_resize": 4.0,
        "max_side_length": 0,
        "upscaling_resize_w": 512,
        "upscaling_resize_h": 512,
        "upscaling_crop": True,
        "gfpgan_enabled": False,
        "gfpgan_visibility": 1.0,
        "codeformer_enabled": False,
        "codeformer_visibility": 1.0,
        "codeformer_weight": 0.0,
        "upscale_first": True,
        "input_directory": "",
        "output_directory": "",
        "show_extras_results": True,
        "dataset.enabled": False,
        **{f"dataset.{name}": value for name, value in steps.model_dump().items()},
    }


def by_tab() -> dict[str, dict[str, Any]]:
    """All of them."""
    return {
        "txt2img": txt2img(),
        "img2img": img2img(),
        "outpaint": outpaint(),
        "extras": extras(),
        "modelmerger": merger(),
        "modelconvert": convert(),
    }


def merger() -> dict[str, Any]:
    """A1111's Checkpoint Merger: a weighted sum, three parts of ten of B."""
    return {
        "primary_model_name": None,
        "secondary_model_name": NO_MODEL,
        "tertiary_model_name": NO_MODEL,
        "interp_method": "Weighted sum",
        "multiplier": 0.3,
        "blocks_enabled": False,
        "block_weights": "",
        "custom_name": "",
        "save_as_half": False,
        "overwrite": False,
        "bake_in_vae": "None",
        "config_source": "A, B or C",
        "discard_weights": "",
        "save_metadata": True,
        "add_merge_recipe": True,
        "copy_metadata_fields": True,
        "metadata_json": "",
    }


def convert() -> dict[str, Any]:
    """To one `.safetensors` file, as small as it can be without changing a weight."""
    start = ConvertRequest()
    return {
        "model_name": None,
        "to": start.to,
        "dtype": start.dtype,
        "ema": start.ema,
        "prune": start.prune,
        "custom_name": "",
        "overwrite": False,
    }


def prompts() -> dict[str, Any]:
    """Prompts and styles."""
    return {"prompt": "", "negative_prompt": "", "styles": []}


def sampling() -> dict[str, Any]:
    """Sampler section."""
    request = GenerationRequest.ui_defaults()
    return {
        "sampler_name": request.sampler_name,
        "scheduler": request.scheduler,
        "steps": request.steps,
        "cfg_scale": request.cfg_scale,
        "distilled_cfg_scale": 3.5,
    }


def size() -> dict[str, Any]:
    """Size and batch section."""
    request = GenerationRequest.ui_defaults()
    return {"width": request.width, "height": request.height, "n_iter": 1, "batch_size": 1}


def window() -> dict[str, Any]:
    """What the model sees at once while a picture grows, and how many results are made."""
    return {name: value for name, value in size().items() if name != "batch_size"}


def seeds() -> dict[str, Any]:
    """Seed section."""
    return {
        "seed": -1,
        "seed_extra": False,
        "subseed": -1,
        "subseed_strength": 0.0,
        "seed_resize_from_w": 0,
        "seed_resize_from_h": 0,
    }


def hires() -> dict[str, Any]:
    """Hires. fix section."""
    return {
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_second_pass_steps": 0,
        "denoising_strength": 0.7,
        "hr_scale": 2.0,
        "hr_resize_x": 0,
        "hr_resize_y": 0,
        "hr_cfg": 0.0,
        "hr_distilled_cfg": 0.0,
        "hr_checkpoint_name": SAME_CHECKPOINT,
        "hr_sampler_name": SAME_SAMPLER,
        "hr_scheduler": SAME_SCHEDULER,
        "hr_prompt": "",
        "hr_negative_prompt": "",
    }


def refiner() -> dict[str, Any]:
    """Refiner section."""
    return {"refiner_enabled": False, "refiner_checkpoint": None, "refiner_switch_at": 0.8}


def detailer() -> dict[str, Any]:
    """Detailer section."""
    values = {f"detailer.{name}": value for name, value in Detailer().model_dump().items()}
    return {"detailer.enabled": False, **values}


def soft_inpainting() -> dict[str, Any]:
    """Soft inpainting section."""
    values = SoftInpainting().model_dump()
    named = {f"soft_inpainting.{name}": value for name, value in values.items()}
    return {"soft_inpainting.enabled": False, **named}


def batch() -> dict[str, Any]:
    """Batch of pictures from a folder of the server."""
    return {
        "batch.directory": "",
        "batch.output_directory": "",
        "batch.mask_directory": "",
        "batch.use_png_info": False,
        "batch.png_info_directory": "",
        "batch.png_info_fields": [],
    }
