"""One job with the scripts of extensions: who is called when, and what the server hears of it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from modules.addons.a1111 import scripts, shared
from modules.addons.a1111.processed import Processed
from modules.addons.a1111.processing_text import extra_params, infotext_of
from modules.addons.loading import told
from modules.addons.painting.fields import lists_of, p_of, take_lists
from modules.addons.painting.hooks import hooks_of
from modules.addons.painting.settling import Settler
from modules.engine.generation.control import JobControl
from modules.requests.errors import RequestError
from modules.requests.events import Done, Event, ImageDone, Paused, Started, Step, Working
from modules.requests.prepared import PreparedJob

if TYPE_CHECKING:
    from modules.engine.runner import Engine

log = logging.getLogger("easel.addons")

RESOURCE = "scripts"


def _of_the_engine(error: Exception) -> bool:
    """The engine has a sentence or an ending of its own for it."""
    return type(error).__module__.startswith("modules.engine.")


class PutAside(BaseException):
    """The job was paused; scripts must not catch it."""


@dataclass
class Output:
    """What one call of ``process_images`` has given so far."""

    p: Any
    job: PreparedJob
    offset: int | None
    """Index of its first picture in the whole job; None: the server does not hear of them."""
    depth: int
    images: dict[int, Image.Image] = field(default_factory=dict)
    infotexts: dict[int, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class ScriptedJob:
    """Carries out one job."""

    def __init__(
        self, engine: Engine, settler: Settler, prepared: PreparedJob, control: JobControl
    ) -> None:
        self.engine = engine
        self.settler = settler
        self.prepared = prepared
        self.control = control
        self.selected: str | None = None
        self._depth = 0
        self._begun = False
        self._batches = 0
        """Finished in calls before, of a selected script."""
        self._next = len(prepared.all_seeds)
        """Index of the next picture that is nobody's."""
        self._first_call = True
        self._told: set[int] = set()
        """Which picture objects the server has."""
        self._kept: list[Any] = []
        """Keeps these objects alive, so that ids stay theirs."""
        self._last: Done | None = None

    def carry_out(self) -> Done:
        """Run it to its end.

        Raises:
            RequestError: a field cannot be used.
            RuntimeError: the selected script failed.
        """
        asked = self.prepared.resources.get(RESOURCE) or {}
        self.selected = asked.get("selected")
        if self.prepared.checkpoint is not None:
            # A1111's scripts find a model in memory from their first hook on.
            self.engine.desk.adopt(self.prepared.options)
            self.engine.load(self.prepared.checkpoint, self.prepared.vae)
            assert shared.sd_model is not None
        p = p_of(self.prepared, self.settler, self.engine.paths)
        self._begin_state(p)
        try:
            processed = self._call(p, asked.get("args") or {})
        except PutAside:
            assert self._last is not None
            return self._last
        finally:
            shared.state.end()
        self._tell_rest(processed)
        facts = dict(self._last.facts) if self._last else {"device": self.engine.device_name}
        timings = dict(self._last.timings) if self._last else {}
        return Done(self.prepared.id, self.control.interrupted, facts, timings)

    def _call(self, p: Any, given: Mapping[str, Any]) -> Processed:
        image_to_image = self.prepared.kind == "img2img"
        runner = scripts.scripts_img2img if image_to_image else scripts.scripts_txt2img
        scripts.scripts_current = runner
        flat = runner.flat_args(self.selected, given)
        p.scripts = copy.copy(runner)
        p.script_args = tuple(flat) or (0,)
        if not self.selected:
            return self.process(p)
        try:
            processed = runner.run(p, *p.script_args)
        except Exception as error:
            if isinstance(error, RequestError) or _of_the_engine(error):
                raise
            log.exception("the script %s failed", self.selected)
            raise RuntimeError(f"the script {self.selected!r} failed: {told(error)}") from error
        return self.process(p) if processed is None else processed

    # -- process_images -------------------------------------------------------------------------

    def process(self, p: Any) -> Processed:
        """``process_images(p)``; hooks and scripts may call it again and again.

        Raises:
            RequestError: a field cannot be used.
        """
        self._mirror()
        hooks = p.scripts
        if hooks is not None:
            hooks.before_process(p)
        job = self.settler.job_of(p, self.prepared)
        take_lists(p, job)
        if hooks is not None:
            hooks.process(p)
        fresh = self.settler.job_of(p, self.prepared)
        if fresh is not job and len(fresh.all_seeds) != len(p.all_seeds or []):
            job, texts = fresh, {}
            take_lists(p, fresh)
        else:
            job, texts = fresh, lists_of(p, fresh)
        job = self.settler.with_texts(job, texts)
        take_lists(p, job)
        output = self._output(p, job)
        done = self._paint(p, job, output)
        processed = self._processed(p, output, done)
        if hooks is not None:
            hooks.postprocess(p, processed)
        return processed

    def _paint(self, p: Any, job: PreparedJob, output: Output) -> Done:
        resources = {k: v for k, v in job.resources.items() if k != RESOURCE}
        if output.depth or self.selected:
            resources.pop("paused", None)
        self._depth += 1
        try:
            done = self.engine.paint(
                replace(job, resources=resources),
                self.control,
                emit=lambda event: self._hear(output, event),
                hooks=hooks_of(p, job, self),
            )
        finally:
            self._depth -= 1
            self._mirror()
        if done.paused:
            self._last = done
            raise PutAside
        if not output.depth:
            self._batches += int(job.request.get("n_iter") or 1)
            self._last = self._summed(done)
        else:
            self.engine.desk.adopt(self.prepared.options)
        return done

    def _summed(self, done: Done) -> Done:
        """The facts of all calls together."""
        if self._last is None:
            return done
        before = self._last.facts.get("pictures", 0)
        facts = {**done.facts, "pictures": before + done.facts.get("pictures", 0)}
        keys = {**self._last.timings, **done.timings}
        timings = {k: self._last.timings.get(k, 0.0) + done.timings.get(k, 0.0) for k in keys}
        return replace(done, facts=facts, timings=timings)

    def _output(self, p: Any, job: PreparedJob) -> Output:
        """Where the pictures of a call go."""
        whole = not self.selected and not self._depth and self._first_call
        self._first_call = False
        if whole:
            return Output(p, job, 0, 0)
        if p.do_not_save_samples:
            return Output(p, job, None, self._depth)
        offset = self._next
        if self.selected and not self._depth and not self._told:
            offset = 0
        self._next = max(self._next, offset + len(job.all_seeds))
        return Output(p, job, offset, self._depth)

    # -- what is heard --------------------------------------------------------------------------

    def _hear(self, output: Output, event: Event) -> None:
        emit = self.engine.emit
        if isinstance(event, Started):
            if not self._begun:
                self._begun = True
                emit(event)
        elif isinstance(event, Step):
            self._hear_step(output, event)
        elif isinstance(event, Paused):
            if not self.selected and not output.depth:
                emit(event)
        elif isinstance(event, ImageDone):
            self._hear_picture(output, event)
        else:
            emit(event)

    def _hear_step(self, output: Output, event: Step) -> None:
        state = shared.state
        state.sampling_step, state.sampling_steps = event.step, event.steps
        self._mirror()
        if output.depth:
            self.engine.emit(Working(event.job, "sampling", event.step, event.steps))
            return
        iteration = self._batches + event.iteration
        total = max(self._batches + event.n_iter, state.job_count if self.selected else 0)
        state.job_no = iteration
        self.engine.emit(Step(event.job, iteration, total, event.step, event.steps))

    def _hear_picture(self, output: Output, event: ImageDone) -> None:
        p, index = output.p, event.index
        facts = dict(event.facts)
        if event.role == "image":
            picture = Image.frombytes(event.mode, (event.width, event.height), event.data)
            facts = self._told_facts(p, index, facts)
            output.facts = facts
            p._model_facts = {k: facts[k] for k in facts if k not in ("seed", "subseed", "prompt")}
            text = infotext_of(
                p,
                prompt=facts.get("prompt", ""),
                negative=facts.get("negative_prompt", ""),
                seed=facts["seed"],
                subseed=facts.get("subseed", 0),
                facts=facts,
            )
            picture.info["parameters"] = text
            output.images[index], output.infotexts[index] = picture, text
            if output.offset is not None:
                self._remember(picture)
        if output.offset is not None:
            told_event = replace(event, index=output.offset + index, facts=facts)
            self.engine.emit(told_event)

    def _told_facts(self, p: Any, index: int, facts: dict[str, Any]) -> dict[str, Any]:
        """The prompts as A1111 tells them, and what scripts want the infotext to say."""
        for key, values in (
            ("prompt", p.all_prompts),
            ("negative_prompt", p.all_negative_prompts),
        ):
            if values and index < len(values):
                facts[key] = str(values[index])
        facts["extra"] = {**(facts.get("extra") or {}), **extra_params(p)}
        return facts

    def _remember(self, picture: Image.Image) -> None:
        self._told.add(id(picture))
        self._kept.append(picture)

    # -- what a call gives ----------------------------------------------------------------------

    def _processed(self, p: Any, output: Output, done: Done) -> Processed:
        order = sorted(output.images)
        images = [output.images[index] for index in order]
        texts = [output.infotexts[index] for index in order]
        extra = list(p.extra_result_images or [])
        images += [one[0] if isinstance(one, tuple) else one for one in extra]
        first = p.all_seeds[0] if p.all_seeds else p.seed
        processed = Processed(
            p,
            images,
            seed=first,
            info=texts[0] if texts else "",
            subseed=p.all_subseeds[0] if p.all_subseeds else p.subseed,
            infotexts=texts + [""] * len(extra),
        )
        processed.sd_model_name = str(output.facts.get("model_name", ""))
        processed.sd_model_hash = str(output.facts.get("model_hash", ""))
        processed.clip_skip = int(output.facts.get("clip_skip", 1))
        return processed

    def _tell_rest(self, processed: Processed) -> None:
        """Pictures of the result that the server has not heard of: shown, and not saved."""
        texts = list(getattr(processed, "infotexts", None) or [])
        for place, picture in enumerate(getattr(processed, "images", None) or []):
            if not isinstance(picture, Image.Image) or id(picture) in self._told:
                continue
            if self.selected and not self._told:
                self._next = 0
            if picture.mode not in ("RGB", "RGBA", "L"):
                picture = picture.convert("RGB")
            text = texts[place] if place < len(texts) else processed.info
            saved = bool(getattr(picture, "already_saved_as", ""))
            facts = {"seed": int(processed.seed or 0), "width": picture.width}
            facts |= {"height": picture.height, "infotext": str(text or "")}
            facts |= {"shown_only": True, "saved_by_script": saved}
            self._remember(picture)
            self.engine.emit(
                ImageDone(
                    self.prepared.id,
                    self._next,
                    picture.width,
                    picture.height,
                    picture.mode,
                    picture.tobytes(),
                    facts,
                )
            )
            self._next += 1

    # -- shared.state ---------------------------------------------------------------------------

    def _begin_state(self, p: Any) -> None:
        state, control = shared.state, self.control
        shared.opts.take(self.prepared.options)
        state.begin(self.prepared.kind)
        state.job_count = int(p.n_iter)
        state.on_interrupt = lambda: control.signal("interrupt")
        state.on_stop = lambda: control.signal("stop_after_current")
        state.on_skip = lambda: control.signal("skip")
        self._mirror()

    def _mirror(self) -> None:
        """``shared.state`` knows what the user wishes."""
        state, control = shared.state, self.control
        state.interrupted = state.interrupted or control.interrupted
        state.stopping_generation = state.stopping_generation or control.ends_after_batch
        state.skipped = control.stops and not control.interrupted
