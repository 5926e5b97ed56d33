"""The fields of A1111's ``p`` with their defaults; keywords of its constructors."""

from __future__ import annotations

from typing import Any, ClassVar

COMMON: dict[str, Any] = {
    "outpath_samples": None,
    "outpath_grids": None,
    "prompt": "",
    "prompt_for_display": None,
    "negative_prompt": "",
    "styles": None,
    "seed": -1,
    "subseed": -1,
    "subseed_strength": 0,
    "seed_resize_from_h": -1,
    "seed_resize_from_w": -1,
    "seed_enable_extras": True,
    "sampler_name": None,
    "scheduler": None,
    "batch_size": 1,
    "n_iter": 1,
    "steps": 50,
    "cfg_scale": 7.0,
    "width": 512,
    "height": 512,
    "restore_faces": None,
    "tiling": None,
    "do_not_save_samples": False,
    "do_not_save_grid": False,
    "extra_generation_params": None,
    "overlay_images": None,
    "eta": None,
    "do_not_reload_embeddings": False,
    "denoising_strength": None,
    "ddim_discretize": None,
    "s_min_uncond": None,
    "s_churn": None,
    "s_tmax": None,
    "s_tmin": None,
    "s_noise": None,
    "override_settings": None,
    "override_settings_restore_afterwards": True,
    "sampler_index": None,
    "refiner_checkpoint": None,
    "refiner_switch_at": None,
    "token_merging_ratio": 0,
    "token_merging_ratio_hr": 0,
    "disable_extra_networks": False,
    "firstpass_image": None,
    "distilled_cfg_scale": None,
    "scripts_value": None,
    "script_args_value": None,
    "scripts_setup_complete": False,
    "comments": None,
    "paste_to": None,
    "user": None,
    "is_api": False,
}
RUNNING: dict[str, Any] = {
    "sampler": None,
    "is_using_inpainting_conditioning": False,
    "is_hr_pass": False,
    "refiner_checkpoint_info": None,
    "c": None,
    "uc": None,
    "rng": None,
    "step_multiplier": 1,
    "color_corrections": None,
    "all_prompts": None,
    "all_negative_prompts": None,
    "all_seeds": None,
    "all_subseeds": None,
    "iteration": 0,
    "batch_index": 0,
    "main_prompt": None,
    "main_negative_prompt": None,
    "prompts": None,
    "negative_prompts": None,
    "extra_network_data": None,
    "seeds": None,
    "subseeds": None,
    "latents_after_sampling": None,
    "pixels_after_sampling": None,
    "modified_noise": None,
    "extra_result_images": None,
    "sampler_noise_scheduler_override": None,
    "sd_model_name": None,
    "sd_model_hash": None,
    "sd_vae_name": None,
    "sd_vae_hash": None,
    "image_conditioning": None,
    "nmask": None,
    "mask": None,
    "image_cfg_scale": None,
}
TXT2IMG: dict[str, Any] = {
    "enable_hr": False,
    "denoising_strength": 0.75,
    "firstphase_width": 0,
    "firstphase_height": 0,
    "hr_scale": 2.0,
    "hr_upscaler": None,
    "hr_second_pass_steps": 0,
    "hr_resize_x": 0,
    "hr_resize_y": 0,
    "hr_checkpoint_name": None,
    "hr_sampler_name": None,
    "hr_scheduler": None,
    "hr_prompt": "",
    "hr_negative_prompt": "",
    "hr_cfg": None,
    "hr_distilled_cfg": None,
    "force_task_id": None,
    "hr_upscale_to_x": 0,
    "hr_upscale_to_y": 0,
    "truncate_x": 0,
    "truncate_y": 0,
    "applied_old_hires_behavior_to": None,
    "latent_scale_mode": None,
    "hr_c": None,
    "hr_uc": None,
    "all_hr_prompts": None,
    "all_hr_negative_prompts": None,
    "hr_prompts": None,
    "hr_negative_prompts": None,
    "hr_extra_network_data": None,
}
IMG2IMG: dict[str, Any] = {
    "init_images": None,
    "resize_mode": 0,
    "denoising_strength": 0.75,
    "image_cfg_scale": None,
    "mask_blur_x": 4,
    "mask_blur_y": 4,
    "mask_round": True,
    "inpainting_fill": 0,
    "inpaint_full_res": True,
    "inpaint_full_res_padding": 0,
    "inpainting_mask_invert": 0,
    "initial_noise_multiplier": None,
    "latent_mask": None,
    "force_task_id": None,
    "image_mask": None,
    "init_latent": None,
    "init_img_hash": None,
    "mask_for_overlay": None,
}
FRESH = {"extra_generation_params": dict, "override_settings": dict, "comments": dict}
FRESH |= {"styles": list, "extra_network_data": dict, "extra_result_images": list}
"""Fields that begin with an object of their own."""


class Fields:
    """Takes any field as a keyword; ``sd_model`` may come first, as in A1111."""

    defaults: ClassVar[dict[str, Any]] = {**COMMON, **RUNNING}
    _settled: Any = None
    """The request and the job that the program settled for these fields."""

    def __init__(self, sd_model: Any = None, outpath_samples: Any = None, **values: Any) -> None:
        state = vars(self)
        for name, default in self.defaults.items():
            state[name] = FRESH[name]() if name in FRESH else default
        state["outpath_samples"] = outpath_samples
        state["_settled"] = None
        later = {}
        for name, value in values.items():
            if value is None and name in FRESH:
                continue
            if name in state:
                state[name] = value
            else:
                later[name] = value  # a property, or something an extension keeps here
        if not state["sampler_name"] and state.get("sampler_index"):
            state["sampler_name"] = state["sampler_index"]
        for name, value in later.items():
            setattr(self, name, value)


class Txt2ImgFields(Fields):
    """Further fields of txt2img."""

    defaults: ClassVar[dict[str, Any]] = {**Fields.defaults, **TXT2IMG}


class Img2ImgFields(Fields):
    """Further fields of img2img; A1111 calls the mask ``mask`` in its constructor."""

    defaults: ClassVar[dict[str, Any]] = {**Fields.defaults, **IMG2IMG}

    def __init__(self, sd_model: Any = None, outpath_samples: Any = None, **values: Any) -> None:
        mask = values.pop("mask", None)
        blur = values.pop("mask_blur", None)
        if mask is not None:
            values.setdefault("image_mask", mask)
        super().__init__(sd_model, outpath_samples, **values)
        if isinstance(blur, (int, float)):
            self.mask_blur_x = self.mask_blur_y = int(blur)
