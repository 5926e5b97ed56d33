"""A1111's ``Processed``: what a generation gave."""

from __future__ import annotations

import json
from typing import Any


class Processed:
    """Pictures (PIL) with their texts; ``images`` may begin with grids."""

    def __init__(
        self,
        p: Any,
        images_list: list[Any],
        seed: int = -1,
        info: str = "",
        subseed: int | None = None,
        all_prompts: list[str] | None = None,
        all_negative_prompts: list[str] | None = None,
        all_seeds: list[int] | None = None,
        all_subseeds: list[int] | None = None,
        index_of_first_image: int = 0,
        infotexts: list[str] | None = None,
        comments: str = "",
        extra_images_list: list[Any] | None = None,
    ) -> None:
        self.images = images_list
        self.extra_images = list(extra_images_list or [])
        self.prompt = p.prompt[0] if isinstance(p.prompt, list) and p.prompt else p.prompt
        negative = p.negative_prompt
        self.negative_prompt = negative[0] if isinstance(negative, list) and negative else negative
        self.seed = seed if seed is not None else -1
        self.subseed = subseed if subseed is not None else -1
        self.subseed_strength = p.subseed_strength
        self.info = info
        self.comments = comments or "".join(f"{text}\n" for text in p.comments)
        self.width = p.width
        self.height = p.height
        self.sampler_name = p.sampler_name
        self.cfg_scale = p.cfg_scale
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.steps = p.steps
        self.batch_size = p.batch_size
        self.restore_faces = p.restore_faces
        self.face_restoration_model = None
        self.sd_model_name = ""
        self.sd_model_hash = ""
        self.sd_vae_name = None
        self.sd_vae_hash = None
        self.seed_resize_from_w = p.seed_resize_from_w
        self.seed_resize_from_h = p.seed_resize_from_h
        self.denoising_strength = p.denoising_strength
        self.extra_generation_params = p.extra_generation_params
        self.index_of_first_image = index_of_first_image
        self.styles = p.styles
        self.job_timestamp = ""
        self.clip_skip = 1
        self.token_merging_ratio = 0
        self.token_merging_ratio_hr = 0
        self.eta = p.eta
        self.ddim_discretize = p.ddim_discretize
        self.s_churn = p.s_churn
        self.s_tmin = p.s_tmin
        self.s_tmax = p.s_tmax
        self.s_noise = p.s_noise
        self.s_min_uncond = p.s_min_uncond
        self.sampler_noise_scheduler_override = p.sampler_noise_scheduler_override
        self.is_using_inpainting_conditioning = False
        self.all_prompts = all_prompts or p.all_prompts or [self.prompt]
        self.all_negative_prompts = (
            all_negative_prompts or p.all_negative_prompts or [self.negative_prompt]
        )
        self.all_seeds = all_seeds or p.all_seeds or [self.seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [self.subseed]
        self.infotexts = infotexts or [info] * len(images_list)
        self.version = ""

    def js(self) -> str:
        """The facts as JSON, as the API's ``info`` holds them."""
        kept = {
            key: value
            for key, value in vars(self).items()
            if key not in ("images", "extra_images", "comments", "info")
        }
        return json.dumps(kept, default=lambda value: None)

    def infotext(self, p: Any, index: int) -> str:
        """The text of one picture."""
        from modules.addons.a1111.processing import create_infotext

        seeds, subseeds = self.all_seeds, self.all_subseeds
        return create_infotext(p, self.all_prompts, seeds, subseeds, comments=[], index=index)

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        """The share of places that were merged."""
        return self.token_merging_ratio_hr if for_hr else self.token_merging_ratio
