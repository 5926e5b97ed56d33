"""What the infotext says about a picture, as the engine knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.spec import BatchSpec, GenerationSpec
from modules.engine.sampling import GuidanceSettings, SamplingPlan
from modules.prompts import parse_attention
from modules.prompts.plan import PromptPlan


def picture_facts(
    model: LoadedModel,
    spec: GenerationSpec,
    batch: BatchSpec,
    plan: SamplingPlan,
    place: int,
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
        "schedule_label": plan.schedule_label,
        "cfg_scale": spec.request.get("cfg_scale"),
        "model_name": model.name,
        "model_hash": model.hash,
        "vae_name": model.vae_name,
        "vae_hash": model.vae_hash,
        "clip_skip": model.conditioner.effective_clip_skip(spec.text.clip_skip),
        "extra": dict(extra),
    }


def extra_infotext(
    spec: GenerationSpec,
    plan: SamplingPlan,
    guidance: GuidanceSettings,
    prompts: Sequence[PromptPlan],
    left_out: set[str],
    repairs: Mapping[str, str],
) -> dict[str, Any]:
    """Further infotext keys in A1111's order: text, schedule and sampling, guidance, repairs."""
    extra: dict[str, Any] = {}
    if spec.old_scheduling:
        extra["Old prompt editing timelines"] = True
    if spec.text.emphasis != "Original" and _has_emphasis(prompts):
        extra["Emphasis"] = spec.text.emphasis
    extra.update(plan.extra_infotext)
    if spec.pad_conds:
        extra["Pad conds"] = True
    if "early" in left_out:
        extra["Skip Early CFG"] = guidance.skip_early_cond
    if "ngms" in left_out:
        extra["NGMS"] = guidance.s_min_uncond
        if guidance.s_min_uncond_all:
            extra["NGMS all steps"] = True
    if guidance.rescale:
        extra["CFG Rescale"] = guidance.rescale
    extra.update(repairs)
    return extra


def _has_emphasis(prompts: Sequence[PromptPlan]) -> bool:
    return any(
        not segment.is_break and segment.weight != 1
        for prompt in prompts
        for text in prompt.texts()
        for segment in parse_attention(text)
    )
