"""What the infotext says about a picture, as the engine knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.families.flux import distilled_guidance
from modules.engine.checkpoints.families.unclip import IMAGE_ENCODER
from modules.engine.generation.layer_guidance import LayerGuidance
from modules.engine.generation.spec import BatchSpec, GenerationSpec
from modules.engine.memory import form_of
from modules.engine.sampling import GuidanceSettings, SamplingPlan
from modules.prompts import parse_attention
from modules.prompts.plan import PromptPlan


def model_facts(model: LoadedModel, spec: GenerationSpec) -> dict[str, Any]:
    """Facts of the job's own checkpoint; take them while it is in memory."""
    return {
        "model_name": model.name,
        "model_hash": model.hash,
        "vae_name": model.vae_name,
        "vae_hash": model.vae_hash,
        "clip_skip": model.conditioner.effective_clip_skip(spec.text.clip_skip),
    }


def picture_facts(
    spec: GenerationSpec,
    batch: BatchSpec,
    schedule_label: str,
    place: int,
    model: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The facts of the picture number ``place`` of a batch; keys as in ``ImageDone``."""
    return {
        "seed": batch.seeds[place],
        "subseed": batch.subseeds[place],
        "prompt": batch.prompts[place],
        "negative_prompt": batch.negative_prompts[place],
        "width": spec.width,
        "height": spec.height,
        "steps": spec.steps,
        "sampler_name": spec.sampler.name,
        "schedule_label": schedule_label,
        "cfg_scale": spec.request.get("cfg_scale"),
        **model,
        "extra": dict(extra),
    }


def shown_infotext(spec: GenerationSpec, model: LoadedModel) -> dict[str, Any]:
    """Keys of models that are told more than a prompt: a guidance, or a picture; and of guidance
    that only some families have."""
    layers = LayerGuidance.from_options(spec.options, model.family)
    if layers is not None and spec.form.cfg_scale > 1:
        return layers.infotext
    told = distilled_guidance(spec.request, model.plan)
    if told is not None:
        return {"Distilled CFG Scale": told}
    if model.variant == "inpainting":
        return {"Conditional mask weight": float(spec.options.get("inpainting_mask_weight", 1.0))}
    level = spec.form.noise_level or 0
    if level and IMAGE_ENCODER in model.plan.components and spec.form.kind == "img2img":
        return {"unCLIP noise level": level}
    if model.variant == "edit" and spec.form.image_cfg_scale is not None:
        return {"Image CFG scale": spec.form.image_cfg_scale}
    return {}


def weights_infotext(spec: GenerationSpec, model: LoadedModel) -> dict[str, Any]:
    """A1111's keys of weights that rest in eight bits."""
    if not form_of(model.networks["unet"]).fp8:
        return {}
    extra: dict[str, Any] = {"FP8 weight": spec.options.get("fp8_storage")}
    if spec.options.get("cache_fp16_weight"):
        extra["Cache FP16 weight for LoRA"] = True
    return extra


def text_infotext(spec: GenerationSpec, prompts: Sequence[PromptPlan]) -> dict[str, Any]:
    """Keys of how prompts were read."""
    extra: dict[str, Any] = {}
    if spec.old_scheduling:
        extra["Old prompt editing timelines"] = True
    if spec.text.emphasis != "Original" and _has_emphasis(prompts):
        extra["Emphasis"] = spec.text.emphasis
    return extra


def sampling_infotext(
    spec: GenerationSpec, plan: SamplingPlan, extra_noise: float = 0.0
) -> dict[str, Any]:
    """Keys of the schedule and the sampler."""
    extra = dict(plan.extra_infotext)
    if extra_noise:
        extra["Extra noise"] = extra_noise
    if spec.pad_conds:
        extra["Pad conds"] = True
    return extra


def guidance_infotext(guidance: GuidanceSettings, left_out: set[str]) -> dict[str, Any]:
    """Keys of what guidance did in one pass.

    Args:
        left_out: why the negative prompt was left out in some call.
    """
    extra: dict[str, Any] = {}
    if "early" in left_out:
        extra["Skip Early CFG"] = guidance.skip_early_cond
    if "ngms" in left_out:
        extra["NGMS"] = guidance.s_min_uncond
        if guidance.s_min_uncond_all:
            extra["NGMS all steps"] = True
    if guidance.rescale:
        extra["CFG Rescale"] = guidance.rescale
    return extra


def _has_emphasis(prompts: Sequence[PromptPlan]) -> bool:
    return any(
        not segment.is_break and segment.weight != 1
        for prompt in prompts
        for text in prompt.texts()
        for segment in parse_attention(text)
    )
