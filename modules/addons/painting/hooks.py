"""A1111's hooks of one ``process_images`` on the engine's hook points."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from modules.addons.a1111 import extra_networks, script_callbacks, shared
from modules.addons.a1111.callback_params import ExtraNoiseParams
from modules.addons.a1111.script_args import (
    PostprocessBatchListArgs,
    PostprocessImageArgs,
    PostProcessMaskOverlayArgs,
    PostSampleArgs,
)
from modules.addons.painting.guidance import GuidanceCallbacks
from modules.engine.generation.hooks import (
    BatchState,
    DecodeState,
    FinishedState,
    HiresState,
    HookPoint,
    Hooks,
    NoiseState,
)
from modules.requests.prepared import PreparedJob

if TYPE_CHECKING:
    from modules.addons.painting.run import ScriptedJob

log = logging.getLogger("easel.addons")


def hooks_of(p: Any, job: PreparedJob, run: ScriptedJob) -> Hooks:
    """The engine's hooks for one call, with only those points that somebody may listen at."""
    hooks = Hooks()
    batch = BatchHooks(p, job, run)
    hooks.add(HookPoint.BEFORE_BATCH, batch.before_batch)
    hooks.add(HookPoint.AFTER_STEP, batch.after_step)
    hooks.add(HookPoint.EXTRA_NOISE, batch.extra_noise)
    hooks.add(HookPoint.NOISE, batch.before_sampling)
    runner = p.scripts
    if runner is not None:
        points = {
            "before_hr": (HookPoint.BEFORE_HIRES, batch.before_hires),
            "post_sample": (HookPoint.BEFORE_DECODE, batch.sampled),
            "postprocess_image": (HookPoint.FACES_DONE, batch.picture),
            "postprocess_maskoverlay": (HookPoint.MASK_OVERLAY, batch.mask_overlay),
            "postprocess_image_after_composite": (HookPoint.FINISHED, batch.composite),
        }
        for method, (point, hook) in points.items():
            if runner.list_scripts_for_method(method):
                hooks.add(point, hook)
        if any(map(runner.list_scripts_for_method, BATCH_METHODS)):
            hooks.add(HookPoint.DECODED_BATCH, batch.decoded)
    GuidanceCallbacks(p).listen(hooks)
    return hooks


BATCH_METHODS = ("postprocess_batch", "postprocess_batch_list")


class BatchHooks:
    """What happens in a batch, told to the scripts of ``p``."""

    def __init__(self, p: Any, job: PreparedJob, run: ScriptedJob) -> None:
        self._p = p
        self._job = job
        self._run = run

    # -- before sampling ------------------------------------------------------------------------

    def before_batch(self, state: BatchState) -> None:
        """Prompts and seeds of the batch, which scripts may change."""
        p, number = self._p, state.iteration
        shared.state.job = f"Batch {number + 1} out of {p.n_iter}"
        p.iteration, p.is_hr_pass = number, False
        p.prompts, p.negative_prompts = list(state.prompts), list(state.negative_prompts)
        p.seeds, p.subseeds = list(state.seeds), list(state.subseeds)
        self._call("before_process_batch", p, **self._batch(number))
        count = len(state.prompts)
        whole = _fitted(p.prompts, count)
        plain, p.extra_network_data = extra_networks.parse_prompts(whole)
        p.prompts = list(plain)
        if not p.disable_extra_networks:
            told = {**self._batch(number), "extra_network_data": p.extra_network_data}
            self._call("after_extra_networks_activate", p, **told)
        self._call("process_batch", p, **self._batch(number))
        after = _fitted(p.prompts, count)
        prompts = [
            text if now == then else f"{now}{extra_networks.tags_of(text)}"
            for text, then, now in zip(whole, plain, after, strict=True)
        ]
        negatives = _fitted(p.negative_prompts, count)
        if prompts != list(state.prompts) or negatives != list(state.negative_prompts):
            found = self._run.settler.networks(prompts, negatives, self._job)
            if state.networks is not None:
                state.networks.learn(found)
        state.prompts, state.negative_prompts = tuple(prompts), tuple(negatives)
        state.seeds = tuple(int(seed) for seed in _fitted(p.seeds, count))
        state.subseeds = tuple(int(seed) for seed in _fitted(p.subseeds, count))

    def before_sampling(self, state: NoiseState) -> None:
        """``x`` and ``noise`` of a pass; scripts change them in place."""
        p = self._p
        p.is_hr_pass = state.second
        p.rng = NoiseView(state.noise)
        if p.scripts is None or not p.scripts.list_scripts_for_method(SAMPLING):
            return
        x = state.noise if state.latents is None else state.latents.clone()
        self._call(SAMPLING, p, x=x, noise=state.noise, c=p.c, uc=p.uc)
        if state.latents is not None:
            state.latents = x

    def extra_noise(self, state: NoiseState) -> None:
        """``on_extra_noise``."""
        if not script_callbacks.has("extra_noise"):
            return
        params = ExtraNoiseParams(state.noise, state.latents, state.latents)
        script_callbacks.extra_noise_callback(params)
        state.noise = params.noise

    def before_hires(self, state: HiresState) -> None:
        """What the second pass shall do."""
        p, spec = self._p, state.spec
        before = (p.cfg_scale, p.hr_second_pass_steps, p.denoising_strength)
        p.is_hr_pass = True
        self._call("before_hr", p)
        if p.cfg_scale != before[0]:
            spec = replace(spec, cfg_scale=float(p.cfg_scale))
        if p.hr_second_pass_steps != before[1]:
            spec = replace(spec, steps=int(p.hr_second_pass_steps or p.steps))
        if p.denoising_strength != before[2]:
            spec = replace(spec, strength=float(p.denoising_strength))
        state.spec = spec

    def after_step(self, state: BatchState) -> None:
        """What ``shared.state`` shows."""
        shared.state.current_latent = state.latents

    # -- after sampling -------------------------------------------------------------------------

    def sampled(self, state: DecodeState) -> None:
        """Latents before they are decoded."""
        given = PostSampleArgs(state.latents)
        self._call("post_sample", self._p, given)
        if given.samples.shape == state.latents.shape:
            state.latents = given.samples
        else:
            log.warning("post_sample: latents of another shape were left out")

    def decoded(self, state: DecodeState) -> None:
        """The batch as tensors in 0 to 1; a list that became longer is cut."""
        p, number = self._p, state.iteration
        before = [((one.float() + 1) / 2).clamp(0, 1) for one in state.pixels]
        images = torch.stack(before)
        self._call("postprocess_batch", p, images, batch_number=number)
        part = slice(state.first, state.first + len(before))
        p.prompts = list((p.all_prompts or [])[part])
        p.negative_prompts = list((p.all_negative_prompts or [])[part])
        given = PostprocessBatchListArgs(list(images))
        self._call("postprocess_batch_list", p, given, batch_number=number)
        if len(given.images) > len(before):
            log.warning("postprocess_batch_list: pictures beyond the batch were left out")
        after = list(given.images)[: len(before)]
        state.pixels = [
            old if now is not None and torch.equal(now, then) else now.to(old) * 2 - 1
            for old, then, now in zip(state.pixels, before, after, strict=False)
        ]

    def picture(self, state: FinishedState) -> None:
        """One picture, before it is laid back into the original."""
        self._p.batch_index = state.place
        given = PostprocessImageArgs(state.image)
        self._call("postprocess_image", self._p, given)
        state.image = _rgb(given.image, state.image)

    def mask_overlay(self, state: FinishedState) -> None:
        """The mask through which it is laid back."""
        given = PostProcessMaskOverlayArgs(state.place, state.overlay, None)
        self._call("postprocess_maskoverlay", self._p, given)
        state.overlay = given.mask_for_overlay

    def composite(self, state: FinishedState) -> None:
        """One picture as it will be saved."""
        self._p.batch_index = state.place
        given = PostprocessImageArgs(state.image)
        self._call("postprocess_image_after_composite", self._p, given)
        state.image = _rgb(given.image, state.image)

    # -- helpers --------------------------------------------------------------------------------

    def _batch(self, number: int) -> dict[str, Any]:
        p = self._p
        lists = {"prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
        return {"batch_number": number, **lists}

    def _call(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._p.scripts is not None:
            getattr(self._p.scripts, method)(*args, **kwargs)


SAMPLING = "process_before_every_sampling"


class NoiseView:
    """A1111's ``p.rng``: gives the noise of the pass that begins."""

    def __init__(self, noise: torch.Tensor) -> None:
        self._noise = noise
        self.shape = tuple(noise.shape[1:])

    def first(self) -> torch.Tensor:
        """The noise that sampling begins with, (B, C, h, w)."""
        return self._noise

    def next(self) -> torch.Tensor:
        """Noise that is not in use."""
        return torch.randn_like(self._noise)


def _fitted(values: Any, count: int) -> list[Any]:
    """As many as there are pictures."""
    values = list(values or [""])[:count]
    return values + values[-1:] * (count - len(values))


def _rgb(image: Any, otherwise: Any) -> Any:
    """A picture that can be handed over."""
    if image is None:
        return otherwise
    return image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
