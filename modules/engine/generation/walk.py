"""The walk of a sampler over one batch: prompts encoded, noise drawn, steps taken and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.adapters.session import Wanted
from modules.engine.checkpoints import LoadedModel, NotANumberError
from modules.engine.checkpoints.families.base import PictureFacts
from modules.engine.generation.added import AddedInputs
from modules.engine.generation.batching import shape_key
from modules.engine.generation.context import JobContext, StepCount, StepCounter
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.generation.denoiser import GuidedDenoiser
from modules.engine.generation.facts import guidance_infotext
from modules.engine.generation.hooks import BatchState, HookPoint, Hooks, NoiseState
from modules.engine.generation.pause_state import FinishedWalk, HalfWalk, on_device
from modules.engine.generation.preview import Previewer
from modules.engine.generation.prompts import PromptSet, encode_batch, parse_batch
from modules.engine.generation.relay import RefinerSpec, Relay, Runner
from modules.engine.generation.spec import BatchSpec
from modules.engine.generation.task import PassTask, Sampled, Start
from modules.engine.generation.token_merging import TokenMerging, merging_infotext
from modules.engine.sampling import (
    GuidanceSettings,
    NoiseSource,
    SamplerStep,
    SamplingPlan,
)
from modules.prompts.plan import PromptPlan
from modules.requests.events import Preview


class Walk:
    """Takes one batch through one task. Make one per pass."""

    def __init__(
        self,
        context: JobContext,
        task: PassTask,
        batch: BatchSpec,
        start: Start,
        state: BatchState,
        count: StepCount,
    ) -> None:
        self._context = context
        self._task = task
        self._batch = batch
        self._start = start
        self._state = state
        self._count = count
        self._plans: list[PromptPlan] = []
        self._number = 0
        """Among the walks of its batch."""

    def run(self) -> Sampled | None:
        """Sample; None when it was stopped before its first step.

        Raises:
            RequestError: the settings contradict each other.
            NotANumberError: the network gave NaN and could not be repaired.
            MemoryExhausted: it does not fit.
        """
        context, task = self._context, self._task
        model = context.models.use(task.model)
        plan = task.plan(context.spec, model)
        if len({wanted.key for wanted in self._networks()}) < 2:
            return self._run(plan)
        # Pictures that want other extra networks need other weights.
        self._count.expect_apart(plan.total_steps, len(self._batch))
        return self._one_by_one(lambda place: self._part(place)._run(plan))

    def _run(self, plan: SamplingPlan) -> Sampled | None:
        """All pictures with the same extra networks."""
        context = self._context
        self._number = context.journal.begin_walk()
        counter = self._count.begin(plan.total_steps)
        model = context.models.use(self._task.model)
        with context.ledger.clock("text"):
            prompts = self._encoded(model)
        merging = TokenMerging(model.networks["unet"], self._task.token_merging)
        with context.ledger.clock("sample"), merging:
            singly = plan.one_by_one or context.journal.singly(self._number)
            way = self._sample_singly if singly else self._sample
            made = context.rescue.attempt(
                lambda: way(self._batch, self._start, plan, prompts, counter),
                smaller=lambda: self._sample_singly(
                    self._batch, self._start, plan, prompts, counter
                ),
            )
        told = merging_infotext(self._task, merging)
        return made and replace(made, extra={**made.extra, **told})

    def _encoded(self, model: LoadedModel) -> PromptSet:
        """The prompts and negative prompts by the text encoder of ``model``."""
        spec, task = self._context.spec, self._task
        positive, negative = parse_batch(spec, self._batch, task.calls, task.first_calls)
        networks = self._context.networks
        relayed = bool(self._plans)
        networks.begin(
            model,
            networks.wanted(positive[0]),
            second=task.first_calls is not None,
            quiet=relayed,
        )
        if not relayed:
            self._plans = positive
            for place, pair in enumerate(zip(positive, negative, strict=True)):
                texts = [text for plan in pair for text in plan.texts()]
                networks.note(self._batch.first + place, texts, spec.text)
        return self._context.rescue.attempt(lambda: encode_batch(model, spec, positive, negative))

    def _sample(
        self,
        batch: BatchSpec,
        start: Start,
        plan: SamplingPlan,
        prompts: PromptSet,
        counter: StepCounter,
    ) -> Sampled | None:
        """Walk the sampler once."""
        context, task, state = self._context, self._task, self._state
        key = self._number, batch.first, len(batch)
        known = context.journal.known(key)
        if known is not None:
            return self._as_before(known, plan)
        context.journal.check()
        half = context.journal.begun(key)
        model = context.models.use(task.model)  # a try before may have ended in the refiner
        context.networks.begin_again(model)
        noise = self._noise(batch, model)
        state.model = model
        state.latents = self._first_latents(start, plan, noise, prompts)
        context.hooks.call(HookPoint.BEFORE_SAMPLING, state)
        guidance = self._guidance(plan, model)
        relay = self._relay(batch, start, plan, state.latents)
        together = None if half is None else half.together
        denoiser = self._denoiser(model, plan, prompts, guidance, batch, start, relay, together)
        previewer = Previewer(context.models, context.spec.preview)
        last = self._go_on(half, plan, noise, denoiser, counter)
        stopped = False
        try:
            for step in plan.run(denoiser, state.latents, noise, last):
                last = step
                if not bool(torch.isfinite(step.x).all()):
                    raise NotANumberError("denoising network")
                state.step, state.latents = step.index + 1, step.x
                context.hooks.call(HookPoint.AFTER_STEP, state)
                number = counter.done(step.index, step.fraction)
                context.networks.at(context.models.current, step.index + 1, plan.total_steps)
                self._show(previewer, denoiser, start, step, number)
                if context.control.pauses:
                    context.journal.pause(key, self._half(step, noise, denoiser, relay))
        except StopSampling:
            stopped = True
        if last is None:
            return None
        latents = last.denoised if stopped else state.latents
        if start.blend is not None:
            latents = start.blend.final(latents)
        extra = guidance_infotext(guidance, denoiser.left_out)
        handed_over = relay is not None and relay.done
        if handed_over:
            extra.update(self._refiner_infotext())
        if not stopped:
            left_out = tuple(sorted(denoiser.left_out))
            context.journal.finish(key, FinishedWalk(latents, left_out, handed_over, extra))
        return Sampled(
            latents,
            plan,
            frozenset(denoiser.left_out),
            not stopped,
            handed_over,
            tuple(self._plans),
            extra,
        )

    # -- pausing and going on -------------------------------------------------------------------

    def _half(
        self, step: SamplerStep, noise: NoiseSource, denoiser: GuidedDenoiser, relay: Relay | None
    ) -> HalfWalk:
        """Everything that the steps to come depend on."""
        return HalfWalk(
            step,
            noise.state(),
            denoiser.calls,
            tuple(sorted(denoiser.left_out)),
            handed_over=relay is not None and relay.done,
            together=denoiser.one_batch,
        )

    def _go_on(
        self,
        half: HalfWalk | None,
        plan: SamplingPlan,
        noise: NoiseSource,
        denoiser: GuidedDenoiser,
        counter: StepCounter,
    ) -> SamplerStep | None:
        """Bring everything to where it was when the job was paused; the last step taken."""
        context, state = self._context, self._state
        if half is None or half.step.x.shape != state.latents.shape:
            return None
        last = on_device(half.step, state.latents)
        noise.restore(half.noise)
        state.step, state.latents = last.index + 1, last.x
        context.networks.at(context.models.current, last.index + 1, plan.total_steps)
        denoiser.go_on(half.calls, half.left_out, handed_over=half.handed_over)
        counter.done(last.index, last.fraction)
        return last

    def _as_before(self, known: FinishedWalk, plan: SamplingPlan) -> Sampled:
        """What this walk gave before the job was paused."""
        context = self._context
        model = context.models.use("refiner" if known.handed_over else self._task.model)
        return Sampled(
            known.latents.to(model.device),
            plan,
            frozenset(known.left_out),
            handed_over=known.handed_over,
            prompts=tuple(self._plans),
            extra=dict(known.extra),
        )

    # -- pictures one after the other -----------------------------------------------------------

    def _sample_singly(
        self,
        batch: BatchSpec,
        start: Start,
        plan: SamplingPlan,
        prompts: PromptSet,
        counter: StepCounter,
    ) -> Sampled | None:
        """The same pictures one after another, when they do not fit into memory together."""
        return self._one_by_one(
            lambda place: self._sample(
                batch.only(place), start.only(place), plan, prompts.only([place]), counter
            )
        )

    def _one_by_one(self, make: Callable[[int], Sampled | None]) -> Sampled | None:
        """The pictures of the batch, each made by itself; None when there is not even one."""
        done: list[Sampled] = []
        for place in range(len(self._batch)):
            one = make(place)
            if one is None:
                break
            done.append(one)
        if not done:
            return None
        return replace(
            done[0],
            latents=torch.cat([one.latents for one in done]),
            left_out=frozenset().union(*(one.left_out for one in done)),
            complete=len(done) == len(self._batch) and all(one.complete for one in done),
            handed_over=any(one.handed_over for one in done),
            prompts=tuple({id(plan): plan for one in done for plan in one.prompts}.values()),
            extra={key: value for one in done for key, value in one.extra.items()},
        )

    def _part(self, place: int) -> Walk:
        """The same for one picture of the batch."""
        batch, start = self._batch.only(place), self._start.only(place)
        return Walk(self._context, self._task, batch, start, self._state, self._count)

    def _networks(self) -> list[Wanted]:
        """The extra networks that each picture wants."""
        spec, task = self._context.spec, self._task
        positive, _ = parse_batch(spec, self._batch, task.calls, task.first_calls)
        return [self._context.networks.wanted(plan) for plan in positive]

    # -- what a walk needs --------------------------------------------------------------------

    def _noise(self, batch: BatchSpec, model: LoadedModel) -> NoiseSource:
        spec, task = self._context.spec, self._task
        return NoiseSource(
            batch.seeds,
            batch.subseeds,
            spec.subseed_strength,
            spec.seed_resize_from,
            shape=(
                model.latent_channels,
                task.height // model.vae_scale,
                task.width // model.vae_scale,
            ),
            rng=spec.rng,
            ensd=spec.ensd,
            device=model.device,
        )

    def _first_latents(
        self, start: Start, plan: SamplingPlan, noise: NoiseSource, prompts: PromptSet
    ) -> Tensor:
        """What the sampler begins with: noise alone, or the picture's latents under noise."""
        initial, task, hooks = noise.initial(), self._task, self._context.hooks
        latents = None if start.latents is None else start.latents.to(initial)
        if latents is not None and task.noise_multiplier != 1.0:
            initial = initial * task.noise_multiplier
        if hooks.wanted(HookPoint.NOISE, HookPoint.EXTRA_NOISE):
            second = task.first_calls is not None
            begun = NoiseState(
                self._state, initial.clone(), latents, second, prompts, task.extra_noise
            )
            hooks.call(HookPoint.NOISE, begun)
            initial, latents = begun.noise, begun.latents
            if latents is not None and task.extra_noise:
                extra = replace(begun, noise=initial.clone())
                hooks.call(HookPoint.EXTRA_NOISE, extra)
                latents = torch.add(latents, extra.noise, alpha=task.extra_noise)
        elif latents is not None and task.extra_noise:
            latents = torch.add(latents, initial, alpha=task.extra_noise)
        return plan.init_noise(initial) if latents is None else plan.noised(latents, initial)

    def _guidance(self, plan: SamplingPlan, model: LoadedModel) -> GuidanceSettings:
        spec = self._context.spec
        settings = GuidanceSettings.from_options(spec.options, spec.request, plan)
        told = model.adapter.embeds_guidance(model.plan)
        return replace(settings, scale=1.0 if told else self._task.cfg_scale)

    def _relay(
        self, batch: BatchSpec, start: Start, plan: SamplingPlan, latents: Tensor
    ) -> Relay | None:
        """The refiner's turn, if this pass has one."""
        context, task = self._context, self._task
        refiner = RefinerSpec.from_spec(context.spec)
        hires = context.spec.hires
        second = task.first_calls is not None
        if not (task.refines and context.models.has("refiner")) or not refiner.takes_part(
            hires=hires, second=second
        ):
            return None

        def take_over() -> Runner:
            model = context.models.use("refiner")
            prompts = self._encoded(model)
            if len(batch) < len(self._batch):
                prompts = prompts.only([batch.first - self._batch.first])
            return Runner(
                model,
                task.plan(context.spec, model).model_sampling,
                prompts,
                self._added(model, batch, start),
                start.concat.channels(model, latents, context.codec.encode),
            )

        return Relay(refiner, plan.model_sampling.sigmas, take_over)

    def _refiner_infotext(self) -> dict[str, Any]:
        context = self._context
        label = context.models.current.label
        hires = context.spec.hires
        return RefinerSpec.from_spec(context.spec).infotext(label, hires=hires)

    def _added(self, model: LoadedModel, batch: BatchSpec, start: Start) -> AddedInputs:
        spec, task = self._context.spec, self._task
        told = {"cfg_scale": task.cfg_scale, "distilled_cfg_scale": task.distilled_cfg_scale}
        request = {**spec.request, **told}
        pixels, summary = start.concat.pixels, None
        if pixels is not None:
            summary = model.adapter.summary(model.networks, pixels, request, batch.seeds)
        facts = PictureFacts(task.width, task.height, spec.options, request, summary)
        return AddedInputs.of(model, facts)

    def _denoiser(
        self,
        model: LoadedModel,
        plan: SamplingPlan,
        prompts: PromptSet,
        guidance: GuidanceSettings,
        batch: BatchSpec,
        start: Start,
        relay: Relay | None,
        together: bool | None = None,
    ) -> GuidedDenoiser:
        """
        Args:
            together: whether prompt and negative prompt share evaluations; None: what is faster.
        """
        context, x = self._context, self._state.latents
        added = self._added(model, batch, start)
        concat = start.concat.channels(model, x, context.codec.encode)

        def make(
            one_batch: bool, control: JobControl, hooks: Hooks, relay: Relay | None
        ) -> GuidedDenoiser:
            return GuidedDenoiser(
                model,
                plan,
                prompts,
                guidance,
                control,
                hooks,
                one_batch=one_batch,
                added=added,
                concat=concat,
                image_scale=self._task.image_cfg_scale,
                blend=start.blend,
                relay=relay,
                options=context.spec.options,
            )

        if together is not None:
            return make(together, context.control, context.hooks, relay)
        together = context.spec.one_batch and not context.rescue.split_guidance
        if together and guidance.scale * guidance.factor != 1.0:
            sigma = torch.full((len(x),), plan.init_sigma, device=x.device)
            trials = {way: make(way, JobControl(""), Hooks(), None) for way in (True, False)}
            together = context.choice.together(
                shape_key(model, prompts, x), x.device, lambda way: trials[way](x, sigma)
            )
        return make(together, context.control, context.hooks, relay)

    # -- what is told ---------------------------------------------------------------------------

    def _show(
        self,
        previewer: Previewer,
        denoiser: GuidedDenoiser,
        start: Start,
        step: SamplerStep,
        number: int,
    ) -> None:
        if not previewer.due(step.index + 1):
            return
        cond = denoiser.cond_denoised
        if start.blend is not None and cond is not None:
            cond = start.blend(cond, step.sigma)
        data = previewer.make(step.denoised, cond, denoiser.uncond_denoised)
        if data is not None:
            self._context.emit(Preview(self._context.spec.job, number, previewer.format, data))
