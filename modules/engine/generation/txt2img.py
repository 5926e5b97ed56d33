"""The job "txt2img": batches of pictures from noise, with hires fix if it is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modules.engine.generation.concat import ConcatSource
from modules.engine.generation.context import StepCount
from modules.engine.generation.control import StopSampling
from modules.engine.generation.depth import as_depth
from modules.engine.generation.facts import sampling_infotext, shown_infotext, text_infotext
from modules.engine.generation.finishing import Finish
from modules.engine.generation.hires import HiresFix
from modules.engine.generation.hires_spec import HiresSpec
from modules.engine.generation.hooks import BatchState, HiresState, HookPoint
from modules.engine.generation.inputs import read_depth_map
from modules.engine.generation.job import PictureJob
from modules.engine.generation.spec import BatchSpec
from modules.engine.generation.task import PassTask, Sampled, Start


class TextToImage(PictureJob):
    """Carries out one txt2img job."""

    _hires: HiresFix | None = None

    def _prepare(self) -> None:
        if self._spec.hires:
            spec = HiresSpec.from_context(self._context)
            self._hires = HiresFix(self._context, spec, self._finisher)

    def _make_batch(self, batch: BatchSpec, state: BatchState, count: StepCount) -> None:
        if self._hires is None:
            self._make_plain(batch, state, count)
        else:
            self._make_large(self._hires, batch, state, count)

    def _make_plain(self, batch: BatchSpec, state: BatchState, count: StepCount) -> None:
        outcome = self._walk(PassTask.of(self._spec), batch, self._start(), state, count)
        if outcome is None:
            return  # stopped before the first step: there is nothing to show
        finish = Finish(outcome.plan.schedule_label, outcome.complete, self._extra(outcome))
        self._finisher.finish(batch, outcome.latents, finish, self.repainter(batch, count))

    def _make_large(
        self, hires: HiresFix, batch: BatchSpec, state: BatchState, count: StepCount
    ) -> None:
        """First pass, or the picture that stands for it; then the second."""
        first: Sampled | None = None
        task = PassTask.of(self._spec, width=hires.spec.first[0], height=hires.spec.first[1])
        count.expect(hires.planned_steps(task))
        if hires.spec.firstpass_image is None:
            first = self._walk(task, batch, self._start(), state, count)
            if first is None:
                return
        outcome = self._second_pass(hires, task, batch, first, state, count)
        if outcome is None:
            return
        label = (first or outcome).plan.schedule_label
        extra = {**hires.infotext(outcome, label), **self._extra(first or outcome)}
        if outcome.plan is not (first or outcome).plan or first is None:
            extra.update(self._extra(outcome, hires.spec.extra_noise))
        finish = Finish(
            label, outcome.complete, extra, hires.extra_of(batch), size=hires.spec.first
        )
        self._finisher.finish(batch, outcome.latents, finish, self.repainter(batch, count))

    def _start(self) -> Start:
        """Nothing but noise; depth models are shown the request's map."""
        depth = read_depth_map(self._context.prepared, self._spec.form.depth_map)
        return Start(concat=ConcatSource(depth=None if depth is None else as_depth(depth)))

    def _second_pass(
        self,
        hires: HiresFix,
        task: PassTask,
        batch: BatchSpec,
        first: Sampled | None,
        state: BatchState,
        count: StepCount,
    ) -> Sampled | None:
        """The enlarged pictures; the first pass's if the job is stopped on the way."""
        if first is not None and not first.complete:
            return first
        stopped = None if first is None else replace(first, complete=False)
        asked = HiresState(self._spec.job, hires.spec)
        self._context.hooks.call(HookPoint.BEFORE_HIRES, asked)
        hires.spec = asked.spec
        try:
            start = hires.start(batch, first)
        except StopSampling:
            return stopped
        second = hires.task(task)
        if second is None:
            return hires.merely_enlarged(first, start)
        return self._walk(second, hires.batch(batch), start, state, count) or stopped

    def _extra(self, outcome: Sampled, extra_noise: float = 0.0) -> dict[str, Any]:
        """Infotext keys of one pass."""
        return {
            **shown_infotext(self._spec, self._context.models.current),
            **text_infotext(self._spec, outcome.prompts),
            **sampling_infotext(self._spec, outcome.plan, extra_noise),
            **outcome.extra,
        }
