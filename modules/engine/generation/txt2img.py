"""The job "txt2img": batches of pictures from noise."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel, NotANumberError
from modules.engine.generation.batching import BatchingChoice
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.generation.denoiser import GuidedDenoiser
from modules.engine.generation.facts import extra_infotext, picture_facts
from modules.engine.generation.hooks import BatchState, HookPoint, Hooks, PictureState
from modules.engine.generation.pictures import Decoder, to_bytes
from modules.engine.generation.preview import Previewer
from modules.engine.generation.prompts import PromptSet, encode_batch, parse_batch
from modules.engine.generation.rescue import Rescue
from modules.engine.generation.spec import BatchSpec, GenerationSpec
from modules.engine.sampling import (
    GuidanceSettings,
    NoiseSource,
    SamplerParams,
    SamplerStep,
    SamplingPlan,
)
from modules.prompts.plan import PromptPlan
from modules.requests.events import Event, ImageDone, Preview, Step, Warning_
from modules.requests.prepared import PreparedJob

logger = logging.getLogger("easel.engine")

Emit = Callable[[Event], None]


@dataclass
class Ledger:
    """What a job has used and done so far."""

    seconds: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    interrupted: bool = False

    @contextmanager
    def clock(self, part: str) -> Iterator[None]:
        """Add the time spent inside to ``part``."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - begun


class TextToImage:
    """Carries out one job on a loaded model."""

    def __init__(
        self,
        model: LoadedModel,
        prepared: PreparedJob,
        spec: GenerationSpec,
        control: JobControl,
        emit: Emit,
        hooks: Hooks,
        choice: BatchingChoice,
    ) -> None:
        self._model = model
        self._prepared = prepared
        self._spec = spec
        self._control = control
        self._emit = emit
        self._hooks = hooks
        self._choice = choice
        self._warned: set[str] = set()
        self.ledger = Ledger()
        self._decoder = Decoder(model, self._warn, upcast_on_nan=spec.upcast_vae_on_nan)
        self._rescue = Rescue(model, self._warn)

    def run(self) -> Ledger:
        """Make all pictures, or those until the job is interrupted.

        Raises:
            RequestError: the settings contradict each other.
            NotANumberError: a picture is NaN and could not be repaired.
            MemoryExhausted: it does not fit.
        """
        self._model.set_tiling(self._spec.tiling)
        try:
            for iteration in range(self._spec.n_iter):
                if self._control.ends_after_batch:
                    self.ledger.interrupted = True
                    break
                if iteration:
                    # The first batch keeps a skip that came while its checkpoint was loaded.
                    self._control.begin_batch()
                self._make_batch(self._spec.batch(self._prepared, iteration))
        finally:
            self._decoder.close()
        self.ledger.interrupted |= self._control.interrupted
        return self.ledger

    def _make_batch(self, batch: BatchSpec) -> None:
        state = BatchState(
            self._spec.job, batch.iteration, batch.prompts, batch.negative_prompts, batch.seeds
        )
        self._hooks.call(HookPoint.BEFORE_BATCH, state)
        plan = self._plan()
        calls = plan.total_calls
        positive, negative = parse_batch(self._spec, batch, calls)
        self._tell_about(positive)
        with self.ledger.clock("text"):
            prompts = self._rescue.attempt(
                lambda: encode_batch(self._model, self._spec, positive, negative)
            )
        guidance = GuidanceSettings.from_options(self._spec.options, self._spec.request, plan)
        with self.ledger.clock("sample"):
            way = self._sample_singly if plan.one_by_one else self._sample
            outcome = self._rescue.attempt(
                lambda: way(batch, plan, prompts, guidance, state),
                smaller=lambda: self._sample_singly(batch, plan, prompts, guidance, state),
            )
        if outcome is None:
            return  # stopped before the first step: there is nothing to show
        state.latents = outcome.latents
        self._hooks.call(HookPoint.AFTER_SAMPLING, state)
        self._finish(batch, plan, guidance, positive, state.latents, outcome)

    def _plan(self) -> SamplingPlan:
        params = SamplerParams.from_options(self._spec.options, self._spec.request)
        return SamplingPlan.build(
            self._spec.sampler,
            self._spec.scheduler,
            self._spec.steps,
            self._model.model_sampling,
            params,
            self._model.device,
        )

    # -- sampling -----------------------------------------------------------------------------

    def _sample(
        self,
        batch: BatchSpec,
        plan: SamplingPlan,
        prompts: PromptSet,
        guidance: GuidanceSettings,
        state: BatchState,
    ) -> _Sampled | None:
        """Walk the sampler; None when it was stopped before its first step."""
        spec, model = self._spec, self._model
        noise = NoiseSource(
            batch.seeds,
            batch.subseeds,
            spec.subseed_strength,
            spec.seed_resize_from,
            shape=(
                model.latent_channels,
                spec.height // model.vae_scale,
                spec.width // model.vae_scale,
            ),
            rng=spec.rng,
            ensd=spec.ensd,
            device=model.device,
        )
        state.latents = plan.init_noise(noise.initial())
        self._hooks.call(HookPoint.BEFORE_SAMPLING, state)
        denoiser = self._denoiser(plan, prompts, guidance, state.latents)
        previewer = Previewer(model, spec.preview)
        last: SamplerStep | None = None
        try:
            for step in plan.run(denoiser, state.latents, noise):
                last = step
                if not bool(torch.isfinite(step.x).all()):
                    raise NotANumberError("denoising network")
                state.step, state.latents = step.index + 1, step.x
                self._hooks.call(HookPoint.AFTER_STEP, state)
                self._tell_step(batch, plan, step)
                self._show(previewer, denoiser, plan, step)
        except StopSampling:
            if last is None:
                return None
            return _Sampled(last.denoised, denoiser.left_out, complete=False)
        return _Sampled(state.latents, denoiser.left_out, complete=True)

    def _sample_singly(
        self,
        batch: BatchSpec,
        plan: SamplingPlan,
        prompts: PromptSet,
        guidance: GuidanceSettings,
        state: BatchState,
    ) -> _Sampled | None:
        """The same pictures one after another, when they do not fit into memory together."""
        done: list[_Sampled] = []
        for place in range(len(batch)):
            one = self._sample(batch.only(place), plan, prompts.only([place]), guidance, state)
            if one is None:
                break
            done.append(one)
        if not done:
            return None
        return _Sampled(
            torch.cat([one.latents for one in done]),
            set().union(*(one.left_out for one in done)),
            complete=len(done) == len(batch) and all(one.complete for one in done),
        )

    def _denoiser(
        self, plan: SamplingPlan, prompts: PromptSet, guidance: GuidanceSettings, x: Tensor
    ) -> GuidedDenoiser:
        spec = self._spec
        added = self._model.added_conditioning(batch=1, width=spec.width, height=spec.height)

        def make(one_batch: bool, control: JobControl, hooks: Hooks) -> GuidedDenoiser:
            return GuidedDenoiser(
                self._model,
                plan,
                prompts,
                guidance,
                control,
                hooks,
                one_batch=one_batch,
                added=added,
            )

        together = spec.one_batch and not self._rescue.split_guidance
        if together and guidance.scale * guidance.factor != 1.0:
            sigma = torch.full((len(x),), plan.init_sigma, device=x.device)
            trials = {way: make(way, JobControl(""), Hooks()) for way in (True, False)}
            together = self._choice.together(
                self._shape_key(prompts, x), x.device, lambda way: trials[way](x, sigma)
            )
        return make(together, self._control, self._hooks)

    def _shape_key(self, prompts: PromptSet, x: Tensor) -> str:
        rows = prompts.rows_at(0)
        tokens = ",".join(str(one.tokens) for one in rows.conditioning)
        signature = self._model.plan.components["unet"].signature
        dtype, threads = self._model.dtype, torch.get_num_threads()
        return f"{signature}|{tuple(x.shape)}|{tokens}|{dtype}|{threads}|{torch.__version__}"

    def _tell_step(self, batch: BatchSpec, plan: SamplingPlan, step: SamplerStep) -> None:
        total = plan.total_steps
        number = step.index + 1
        if step.fraction is not None:
            number = max(1, min(total, round(step.fraction * total)))
        self._emit(Step(self._spec.job, batch.iteration, self._spec.n_iter, number, total))

    def _show(
        self, previewer: Previewer, denoiser: GuidedDenoiser, plan: SamplingPlan, step: SamplerStep
    ) -> None:
        number = step.index + 1
        if not previewer.due(number):
            return
        data = previewer.make(step.denoised, denoiser.cond_denoised, denoiser.uncond_denoised)
        if data is not None:
            self._emit(Preview(self._spec.job, number, previewer.format, data))

    # -- pictures -----------------------------------------------------------------------------

    def _finish(
        self,
        batch: BatchSpec,
        plan: SamplingPlan,
        guidance: GuidanceSettings,
        prompts: list[PromptPlan],
        latents: Tensor,
        outcome: _Sampled,
    ) -> None:
        """Decode and hand over each picture as soon as it is there."""
        for place, one in enumerate(latents):
            with self.ledger.clock("decode"):
                pixels = self._decoder.decode(one)
                picture = PictureState(
                    self._spec.job, batch.first + place, batch.seeds[place], pixels
                )
                self._hooks.call(HookPoint.POST_DECODE, picture)
                data = to_bytes(picture.pixels)
            repairs = {**self._rescue.facts, **self._decoder.facts}
            extra = extra_infotext(self._spec, plan, guidance, prompts, outcome.left_out, repairs)
            facts = picture_facts(self._model, self._spec, batch, plan, place, extra)
            if not outcome.complete:
                facts["incomplete"] = True
            self._emit(
                ImageDone(
                    job=self._spec.job,
                    index=batch.first + place,
                    width=data.shape[1],
                    height=data.shape[0],
                    mode="RGB",
                    data=data.tobytes(),
                    facts=facts,
                )
            )
            self.ledger.pictures += 1

    def _tell_about(self, prompts: list[PromptPlan]) -> None:
        for prompt in prompts:
            for network in prompt.extra_networks:
                self._warn(f"<{network.kind}:{network.name}> was left out: not supported yet.")

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning("%s", message)
            self._emit(Warning_(self._spec.job, message))


@dataclass(frozen=True)
class _Sampled:
    """Latents of a batch, and how they came about."""

    latents: Tensor
    left_out: set[str]
    complete: bool


def timings(ledger: Ledger, **more: Any) -> dict[str, float]:
    """Seconds by part, for ``Done``."""
    return {key: round(value, 4) for key, value in {**ledger.seconds, **more}.items()}
