"""What all picture jobs have in common: the loop over their batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from modules.engine.generation.batching import BatchingChoice
from modules.engine.generation.context import Emit, JobContext, StepCount
from modules.engine.generation.control import JobControl, PauseSampling, StopSampling
from modules.engine.generation.facts import model_facts
from modules.engine.generation.finishing import Finisher
from modules.engine.generation.hooks import BatchState, HookPoint, Hooks
from modules.engine.generation.job_models import JobModels
from modules.engine.generation.ledger import Ledger
from modules.engine.generation.pause_state import (
    PauseState,
    Position,
    fingerprint,
    versions,
)
from modules.engine.generation.repaint import Repainter
from modules.engine.generation.spec import BatchSpec, GenerationSpec
from modules.engine.generation.task import PassTask, Sampled, Start
from modules.engine.generation.walk import Walk
from modules.requests.prepared import PreparedJob


class PictureJob(ABC):
    """Carries out one job on loaded models. Subclasses say what a batch is."""

    def __init__(
        self,
        models: JobModels,
        prepared: PreparedJob,
        spec: GenerationSpec,
        control: JobControl,
        emit: Emit,
        hooks: Hooks,
        choice: BatchingChoice,
        paused: PauseState | None = None,
    ) -> None:
        """
        Args:
            paused: where to go on, when the job was paused.
        """
        self._context = JobContext(prepared, spec, models, control, emit, hooks, choice, paused)
        self._spec = spec
        self._model_facts = model_facts(models.current, spec)
        self._finisher = Finisher(self._context, self._model_facts)

    @property
    def ledger(self) -> Ledger:
        """What has been used and done so far."""
        return self._context.ledger

    def run(self) -> Ledger:
        """Make all pictures, or those until the job is interrupted.

        Raises:
            RequestError: the settings contradict each other, or an input cannot be used.
            NotANumberError: a picture is NaN and could not be repaired.
            MemoryExhausted: it does not fit.
            ModelLoadError: a further checkpoint cannot be loaded.
        """
        context, control = self._context, self._context.control
        ledger = context.ledger
        self._advise()
        try:
            try:
                self._prepare()
            except StopSampling:
                ledger.interrupted = True
                return ledger
            first = context.journal.first_iteration
            for iteration in range(first, self._spec.n_iter):
                if control.ends_after_batch:
                    ledger.interrupted = True
                    break
                if iteration > first:
                    # The first batch keeps a skip that came while its checkpoint was loaded.
                    control.begin_batch()
                context.journal.begin_batch(iteration)
                self._begin_batch(self._spec.batch(context.prepared, iteration))
        except PauseSampling:
            ledger.paused = self._position()
        finally:
            context.close()
        ledger.interrupted |= control.interrupted
        return ledger

    def _position(self) -> PauseState:
        context = self._context
        facts, rungs = self._model_facts, context.rescue.rungs
        position = Position(
            self._spec.job,
            str(facts["model_hash"]),
            fingerprint(context.prepared),
            context.journal.iteration,
            context.ledger.pictures,
            rungs,
            versions(context.models.current.device.type),
        )
        return context.journal.state(position)

    def _advise(self) -> None:
        """Tell when the settings do not suit the model."""
        model = self._context.models.current
        advice = model.adapter.advice(model, self._spec.request)
        if advice:
            self._context.warn(advice)

    @abstractmethod
    def _prepare(self) -> None:
        """What is done once, before the first batch."""

    @abstractmethod
    def _make_batch(self, batch: BatchSpec, state: BatchState, count: StepCount) -> None:
        """Make the pictures of one batch and hand them over."""

    def _begin_batch(self, batch: BatchSpec) -> None:
        state = BatchState(
            self._spec.job,
            batch.iteration,
            batch.prompts,
            batch.negative_prompts,
            batch.seeds,
            subseeds=batch.subseeds,
            first=batch.first,
            networks=self._context.networks,
        )
        self._context.hooks.call(HookPoint.BEFORE_BATCH, state)
        batch = replace(
            batch,
            prompts=tuple(state.prompts),
            negative_prompts=tuple(state.negative_prompts),
            seeds=tuple(state.seeds),
            subseeds=tuple(state.subseeds),
        )
        self._make_batch(batch, state, StepCount(self._context, batch.iteration))

    def _walk(
        self,
        task: PassTask,
        batch: BatchSpec,
        start: Start,
        state: BatchState,
        count: StepCount,
    ) -> Sampled | None:
        """One pass of the sampler; its hooks see the latents at its end."""
        outcome = Walk(self._context, task, batch, start, state, count).run()
        if outcome is None:
            return None
        state.latents = outcome.latents
        self._context.hooks.call(HookPoint.AFTER_SAMPLING, state)
        return outcome.with_latents(state.latents)

    def repainter(self, batch: BatchSpec, count: StepCount) -> Repainter:
        """For what repaints parts of finished pictures: outpainting, the detailer."""
        return Repainter(self._context, batch, count)
