"""One run of a job that a script plans: unit after unit, and what the script makes of them.

The plan is begun anew with each run and fed the stored pictures of the units that are done: after a
crash, a restart or a pause nothing is painted twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.gallery import GalleryError, ImageSaveError, open_image
from modules.jobs.backends.base import Outcome as EngineOutcome
from modules.jobs.outcomes import UnitPlace, of_unit
from modules.jobs.pausing import RESOURCE
from modules.jobs.planned import Planner, pictures_of, unit_request
from modules.jobs.records import DONE, FAILED, INTERRUPTED, ImageRecord
from modules.jobs.run import Ending, JobRun
from modules.requests import events
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Outcome, Unit, UnitResult
from modules.requests.prepared import PreparedJob

log = logging.getLogger("easel.jobs")

STOPPED = "The job was stopped before it."
Prepare = Callable[[GenerationRequest | ExtrasRequest, str, str], PreparedJob]


@dataclass(frozen=True)
class StoredPicture:
    """A kept picture as a plan sees it."""

    record: ImageRecord
    read: Callable[[ImageRecord], bytes]

    @property
    def infotext(self) -> str:
        """Its parameters."""
        return self.record.infotext

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.record.seed

    def image(self) -> Image.Image:
        """Its pixels."""
        return open_image(self.read(self.record))


class _Broken(Exception):  # noqa: N818 - it ends the plan, it is no error
    """The engine died, the job is paused, or the program ends: the run ends as any other would."""

    def __init__(self, outcome: EngineOutcome) -> None:
        super().__init__(outcome.ending)
        self.outcome = outcome


class PlannedRun(JobRun):
    """Carries a plan out on the worker's thread."""

    def __init__(
        self,
        *parts: Any,
        planner: Planner,
        prepare: Prepare,
        settings: Callable[[], Mapping[str, Any]],
    ) -> None:
        """
        Args:
            parts: those of a plain run.
            prepare: settles one unit's request.
            settings: the settings in force.
        """
        super().__init__(*parts)
        self._planner, self._prepare, self._settings = planner, prepare, settings
        self._unit = UnitPlace(0, 0)
        self._unit_record = self.record
        self._batches = 0
        """Batches of the units that are over."""
        self._failures: list[str] = []
        self._facts: dict[str, Any] = {}
        self._files: list[str] = []

    def carry_out(self, prepared: PreparedJob) -> Ending:
        """Run the plan to its end, or as far as it comes."""
        try:
            outcomes = self._run_plan(prepared)
        except _Broken as broken:
            return self._closed(prepared, broken.outcome)
        except RequestError as error:
            return Ending(FAILED, error.sentence, {"failure": "input"})
        except Exception:
            log.exception("job %s: its script failed", self.record.id)
            sentence = "The script failed; the log has the details."
            return Ending(FAILED, sentence, {"failure": "internal"})
        lost = self._keep_outcomes(outcomes)
        ending = self._closed(prepared, EngineOutcome("done", facts=self._facts))
        if ending.state == DONE:
            return self._judged(ending, lost)
        return ending

    # ---- the plan

    def _run_plan(self, prepared: PreparedJob) -> Sequence[Outcome]:
        plan = self._planner.begin(prepared)
        number, first = 0, 0
        try:
            batch = next(plan)
            while True:
                results = []
                left = [*batch.units]
                while left:
                    unit = left.pop(0)
                    place = UnitPlace(number, first, unit.result)
                    expected = _batches(left) + batch.more
                    results.append(self._result(prepared, unit, place, expected))
                    number, first = number + 1, first + pictures_of(unit)
                batch = plan.send(results)
        except StopIteration as end:
            return end.value or ()

    def _result(self, prepared: PreparedJob, unit: Unit, place: UnitPlace, left: int) -> UnitResult:
        there = of_unit(self._store.get(self.record.id).images, place)
        if len(there) >= pictures_of(unit):
            self._batches += _batches([unit])
            return self._given(there)
        if self._stopped:
            return UnitResult(error=STOPPED)
        return self._painted(prepared, unit, place, left)

    @property
    def _stopped(self) -> bool:
        return self.closing or any(
            mode in self._asked for mode in ("interrupt", "stop_after_current")
        )

    def _painted(
        self, prepared: PreparedJob, unit: Unit, place: UnitPlace, left: int
    ) -> UnitResult:
        """Let the engine paint one unit."""
        request = unit_request(unit, prepared, self._settings())
        try:
            settled = self._prepare(request, self.record.id, self.record.client)
        except RequestError as error:
            return self._failed(unit, error.sentence)
        paused = prepared.resources.get(RESOURCE)
        if paused is not None:
            prepared.resources.pop(RESOURCE)  # it is where this unit was, no other one
            settled = replace(settled, resources={**settled.resources, RESOURCE: paused})
        self._unit = place
        save = self.record.save and unit.result
        self._unit_record = replace(self.record, prepared=settled.to_json(), save=save)
        count = _batches([unit])
        self.meter.begin_unit(self._batches, count + left, settled.request, unit.label)
        outcome = self._backend.run(settled, self._on_event)
        self._wait_for_saving()
        self._batches += count
        self._facts = dict(outcome.facts) or self._facts
        if outcome.ending in ("crashed", "paused") or (self.closing and outcome.ending != "done"):
            raise _Broken(outcome)
        if outcome.ending == "failed":
            return self._failed(unit, outcome.message)
        return self._given(of_unit(self._images(), place))

    def _failed(self, unit: Unit, sentence: str) -> UnitResult:
        """One unit that cannot be painted does not end the others."""
        self._failures.append(sentence)
        self.warn(f"{unit.label}: {sentence}" if unit.label else sentence)
        return UnitResult(error=sentence)

    def _given(self, images: Sequence[ImageRecord]) -> UnitResult:
        return UnitResult(tuple(StoredPicture(one, self._keeper.bytes_of) for one in images))

    def _images(self) -> tuple[ImageRecord, ...]:
        return self._store.get(self.record.id).images

    # ---- pictures

    def _keep(self, event: events.ImageDone) -> None:
        place = (event.role, self._unit.first + event.index)
        if place in self._kept and self._unit.result:
            return
        if self.closing and event.facts.get("incomplete"):
            return
        self._kept.add(place)
        future = self._keeper.keep(self._unit_record, event, self._unit)
        future.add_done_callback(self._tell_image)
        self._saving.append(future)

    def _make_grid(self, prepared: PreparedJob) -> None:
        """The script makes the grids."""

    # ---- the end

    def _keep_outcomes(self, outcomes: Sequence[Outcome]) -> str | None:
        """Save what the script made; a sentence when something could not be saved."""
        lost, place = None, 0
        first = next((image for image in self._images() if image.kind != "grid"), None)
        done = any(image.kind == "grid" for image in self._images())
        if first is None or done:
            return None  # nothing was painted, or the outcomes were kept before a crash
        for outcome in outcomes:
            try:
                kept = self._kept_outcome(outcome, first, place)
            except (GalleryError, ImageSaveError, OSError) as error:
                log.exception("job %s: a script's result could not be kept", self.record.id)
                lost = f"A result of the script could not be kept: {error}"
                continue
            if isinstance(kept, Path):
                self._files.append(str(kept))
            elif kept is not None:
                place += 1
                self._tell(kept)
        return lost

    def _kept_outcome(
        self, outcome: Outcome, first: ImageRecord, place: int
    ) -> ImageRecord | Path | None:
        if outcome.image is None:
            return self._keeper.keep_file(self.record, first, outcome, place)
        if outcome.like is None:
            return self._keeper.keep_sheet(
                self.record, outcome.image, first, outcome.infotext, place
            )
        return self._kept_picture(outcome, place)

    def _kept_picture(self, outcome: Outcome, place: int) -> ImageRecord | None:
        """A result among the pictures, with the facts of the one that it is like."""
        source, image = outcome.like, outcome.image
        assert isinstance(source, StoredPicture)
        assert image is not None
        picture = image.convert("RGB")
        facts = {**source.record.facts, "width": picture.width, "height": picture.height}
        event = events.ImageDone(
            job=self.record.id,
            index=0,
            width=picture.width,
            height=picture.height,
            mode="RGB",
            data=picture.tobytes(),
            facts=facts,
        )
        index = max(image.index for image in self._images()) + 1 + place
        record = replace(self.record, prepared=self._unit_record.prepared)
        return self._keeper.keep(record, event, UnitPlace(-1 - place, index)).result()

    def _closed(self, prepared: PreparedJob, outcome: EngineOutcome) -> Ending:
        self.meter.saving()
        self._report()
        lost = self._wait_for_saving()
        self.meter.finish()
        return self._ending(prepared, outcome, lost)

    def _judged(self, ending: Ending, lost: str | None) -> Ending:
        """Done, stopped, or failed because nothing could be painted at all."""
        painted = any(image.kind == "image" or image.kind == "grid" for image in self._images())
        facts = {**ending.facts, **({"files": self._files} if self._files else {})}
        if not painted and self._failures:
            return Ending(FAILED, self._failures[0], {**facts, "failure": "input"}, ending.timings)
        notes = " ".join(filter(None, (lost, ending.message)))
        state = INTERRUPTED if self._stopped else DONE
        return Ending(state, notes or None, facts, ending.timings)


def _batches(units: Sequence[Unit]) -> int:
    """How many batches (or, of Extras, pictures) units go through."""
    return sum(
        len(unit.request.images) if isinstance(unit.request, ExtrasRequest) else unit.request.n_iter
        for unit in units
    )
