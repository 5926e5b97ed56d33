"""What all parts of one job share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from modules.engine.adapters.session import JobNetworks
from modules.engine.checkpoints.taesd import METHOD
from modules.engine.generation.batching import BatchingChoice
from modules.engine.generation.control import JobControl
from modules.engine.generation.facts import weights_infotext
from modules.engine.generation.hooks import Hooks
from modules.engine.generation.job_models import JobModels
from modules.engine.generation.journal import Journal
from modules.engine.generation.ladder import Ladder
from modules.engine.generation.ledger import Ledger
from modules.engine.generation.pause_state import PauseState
from modules.engine.generation.pictures import Codec
from modules.engine.generation.rescue import Rescue
from modules.engine.generation.spec import GenerationSpec
from modules.engine.generation.vae_parts import WHOLE
from modules.requests.events import Event, Step, Warning_, Working
from modules.requests.prepared import PreparedJob

logger = logging.getLogger("easel.engine")

Emit = Callable[[Event], None]


@dataclass
class JobContext:
    """One job: what it asks for, its models, its control, and where it tells what it does."""

    prepared: PreparedJob
    spec: GenerationSpec
    models: JobModels
    control: JobControl
    emit: Emit
    hooks: Hooks
    choice: BatchingChoice
    paused: PauseState | None = None
    """Where to go on, when the job was paused."""
    ledger: Ledger = field(default_factory=Ledger)
    journal: Journal = field(init=False)
    ladder: Ladder = field(init=False)
    codec: Codec = field(init=False)
    rescue: Rescue = field(init=False)
    networks: JobNetworks = field(init=False)
    _warned: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        options = self.spec.options
        self.journal = Journal(self.control, self.paused)
        self.networks = JobNetworks(
            self.prepared.resources, options, self.models.adapter_files, self.warn
        )
        self.ladder = Ladder(
            self.models, self.warn, slice_attention=options.get("attention_slicing") == "Always"
        )
        self.codec = Codec(
            self.models,
            self.warn,
            upcast_on_nan=self.spec.upcast_vae_on_nan,
            parts=str(options.get("vae_parts") or WHOLE),
            tiny=[w for w in ("decode", "encode") if options.get(f"sd_vae_{w}_method") == METHOD],
            ladder=self.ladder,
        )
        self.rescue = Rescue(self.models, self.warn, self.ladder)
        if self.paused is not None:
            self.ledger.pictures = self.paused.position.pictures
            self.rescue.take_again(self.paused.position.rungs)

    def close(self) -> None:
        """Give the networks back as they were."""
        self.codec.close()
        self.ladder.close()

    def warn(self, message: str, *, popup: bool = False, log: bool = True) -> None:
        """Tell the user, once per job; with ``popup`` at once, without ``log`` not the console."""
        if message not in self._warned:
            self._warned.add(message)
            if log:
                logger.warning("%s", message)
            self.emit(Warning_(self.spec.job, message, popup))

    def working(self, what: str) -> Callable[[int, int], None]:
        """Tells how far work without steps has come; without it, the job would seem stuck."""
        return lambda done, total: self.emit(Working(self.spec.job, what, done, total))

    def repairs(self) -> dict[str, str]:
        """Infotext keys of what had to be changed to get the pictures at all, or to save memory."""
        weights = weights_infotext(self.spec, self.models.current)
        return {**weights, **self.ladder.facts, **self.rescue.facts, **self.codec.facts}


class StepCount:
    """Counts the steps of one batch through all its passes, and reports them."""

    def __init__(self, context: JobContext, iteration: int) -> None:
        self._context = context
        self._iteration = iteration
        self._before = 0
        self._expected = 0

    def expect(self, steps: int) -> None:
        """So many steps will come in passes that have not begun."""
        self._expected += steps

    def expect_apart(self, steps: int, pictures: int) -> None:
        """The pictures of a batch will each be made in a pass of ``steps`` steps of its own."""
        self._expected = max(self._expected, self._before + steps) + (pictures - 1) * steps

    def begin(self, steps: int) -> StepCounter:
        """A pass of ``steps`` steps begins; those of the passes before it are over.

        It is told, because its steps may take much longer than those before.
        """
        self._context.working("sampling")(0, steps)
        before = self._before
        self._before += steps
        self._expected = max(self._expected, self._before)
        return StepCounter(self, before, steps)

    def tell(self, number: int) -> None:
        """Step ``number`` of the batch is done."""
        spec = self._context.spec
        self._context.emit(Step(spec.job, self._iteration, spec.n_iter, number, self._expected))


@dataclass(frozen=True)
class StepCounter:
    """Reports the steps of one pass."""

    count: StepCount
    before: int
    """Steps of the passes before this one."""
    steps: int

    def done(self, index: int, fraction: float | None) -> int:
        """Step ``index`` (from 0) is done; samplers that choose their steps tell a ``fraction``.

        Returns its number in the batch.
        """
        number = index + 1
        if fraction is not None:
            number = max(1, min(self.steps, round(fraction * self.steps)))
        self.count.tell(self.before + number)
        return self.before + index + 1
