"""One network in memory: its module, where its weights came from, and where they are now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain

import torch

from modules.engine.checkpoints.components import (
    ComponentPlan,
    Progress,
    Source,
    fill,
    materialise,
    read_half,
)
from modules.engine.checkpoints.tensor_file import CARELESS, Care
from modules.engine.memory import Stage, WeightForm, form_of, lodge
from modules.engine.memory.forms import DISK
from modules.engine.memory.lodging import lodging_of, resting
from modules.engine.memory.packed import take_packed_shapes

Stamp = tuple[tuple[str, int, int], ...]
"""(path, size, modification time) of every file that something was read from."""


@dataclass(eq=False)
class Network:
    """A network whose weights may be shared by several models, and may wait in main memory."""

    module: torch.nn.Module
    plan: ComponentPlan
    form: WeightForm
    """How its weights are kept."""
    stage: Stage
    stamp: Stamp = ()
    """Its files as they were read."""
    touched: set[str] = field(default_factory=set)
    """Weights that do not come from `plan` (any more), in the middle of a swap."""
    _waiting: dict[str, torch.Tensor] | None = None
    """Its weights in main memory, beside those on the device or instead of them."""

    @property
    def bytes(self) -> int:
        """Bytes of memory that its weights take."""
        weights = chain(self.module.parameters(), self.module.buffers())
        return sum(tensor.nbytes for tensor in weights if tensor.device.type != "meta")

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.module.parameters(), self.module.buffers())).device

    @property
    def may_move(self) -> bool:
        """Whether it lives on a device that it can leave for main memory."""
        return self.form.way == "stay" and self.form.device.type != "cpu"

    def unchanged(self) -> bool:
        """Whether its files are still those that it was read from."""
        return not self.touched and self.stamp == stamp_of(self.plan)

    def holds(self, plan: ComponentPlan, form: WeightForm) -> bool:
        """Whether its weights are exactly those that a plan asks for, in this form."""
        if self.touched or self.plan.signature != plan.signature or not self._is_in(form):
            return False
        if self.stamp != stamp_of(plan) or self.plan.sources.keys() != plan.sources.keys():
            return False
        return all(
            _same_place(self.plan.sources[name], plan.sources[name]) for name in plan.sources
        )

    def takes(self, plan: ComponentPlan, form: WeightForm) -> bool:
        """Whether the weights of a plan can be read into it as it is."""
        if form.home == DISK:
            return False  # it would be read once more only to be overwritten
        here = self.device.type in (form.home.type, form.device.type)
        return self.plan.signature == plan.signature and self._is_in(form) and here

    def _is_in(self, form: WeightForm) -> bool:
        """Whether it is kept in this form; a repair may have changed its number format."""
        return self.form == form and form_of(self.module).dtype == form.dtype

    # -- filling ----------------------------------------------------------------------------------

    def make(self) -> None:
        """Give a network from `build_empty` its memory.

        Raises:
            MemoryError, torch.OutOfMemoryError: there is not enough.
        """
        home = self.form.device if self.form.home == DISK else self.form.home
        take_packed_shapes(self.module, self.plan, self.form.blocks)
        materialise(self.module, resting(self.module, self.form), home)

    def read(self, plan: ComponentPlan, progress: Progress | None, care: Care = CARELESS) -> None:
        """Overwrite its weights with those of a plan; :meth:`settle` makes it work again.

        Raises:
            UnreadableModelError: a file cannot be read; `touched` then says what was overwritten.
        """
        self._open()
        self._waiting = None if self.device.type != "cpu" else self._waiting
        fill(self.module, plan, progress, care=care, touched=self.touched)
        if self.form.home == DISK:
            self.settle()  # at once, so that the next one has its memory

    def settle(self) -> None:
        """Its weights are those of `plan` now: take the form in which they are kept."""
        if self.form.home == DISK and self.device.type == "meta":
            return
        self.touched = set()
        plan, module = self.plan, self.module
        lodge(
            module,
            self.form,
            self.stage,
            lambda: fill(module, plan),
            lambda name: read_half(plan.sources[name]),
        )

    def _open(self) -> None:
        """Weights at home, where they can be written."""
        lodging = lodging_of(self.module)
        if lodging is not None:
            lodging.close()

    def hollow_out(self) -> None:
        """Free its memory but keep the module, so that :meth:`restore` can bring it back."""
        if self.form.home == DISK:
            self.stage.clear()
            return
        self._open()
        weights = self.module.state_dict()
        _assign(self.module, {name: weight.to("meta") for name, weight in weights.items()})
        self._waiting = None
        self.touched = set(weights)

    def restore(self) -> None:
        """Read the weights that were overwritten back from their file.

        Raises:
            UnreadableModelError: the file cannot be read any more.
        """
        if not self.touched:
            return
        if self.device.type == "meta":
            self.make()
        fill(self.module, self.plan, only=self.touched)
        self.settle()

    # -- between main memory and a device ---------------------------------------------------------

    def put_away(self) -> None:
        """Move its weights from the device into main memory."""
        if not self.may_move or self.device.type == "cpu":
            return
        now = self.module.state_dict()
        kept = self._waiting
        if kept is None or any(now[name].dtype != kept[name].dtype for name in now):
            kept = {name: weight.to("cpu") for name, weight in now.items()}
        _assign(self.module, kept)
        self._waiting = kept

    def bring(self) -> None:
        """Move its weights to the device; the copy in main memory stays, so going back is free."""
        if not self.may_move or self.device.type != "cpu":
            return
        waiting = dict(self.module.state_dict())
        there = {name: weight.to(self.form.device) for name, weight in waiting.items()}
        _assign(self.module, there)
        # Apple's graphics share main memory: a second copy there would help nobody.
        self._waiting = waiting if self.form.device.type != "mps" else None


def stamp_of(plan: ComponentPlan) -> Stamp:
    """The files of a plan as they are now."""
    stamps = []
    for file in sorted({source.header.path for source in plan.sources.values()}):
        try:
            status = file.stat()
        except OSError:
            stamps.append((str(file), -1, -1))
            continue
        stamps.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(stamps)


def stamp_as_read(plan: ComponentPlan) -> Stamp:
    """The files of a plan as they were when their headers were read."""
    headers = {source.header.path: source.header for source in plan.sources.values()}
    if not all(header.modified for header in headers.values()):
        return stamp_of(plan)
    return tuple(
        (str(path), headers[path].file_size, headers[path].modified) for path in sorted(headers)
    )


def _assign(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put other tensors of the same names and shapes into a module."""
    module.load_state_dict(weights, strict=True, assign=True)
    module.requires_grad_(False)


def _same_place(one: Source, other: Source) -> bool:
    """Whether two sources are the same part of the same file, whichever header they came from."""
    return one.header.path == other.header.path and replace(one, header=other.header) == other
