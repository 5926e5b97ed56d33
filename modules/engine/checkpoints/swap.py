"""One model comes into memory, others may have to leave: chosen first, then done, or undone.

Networks of a model that leaves are filled with the new weights where the shapes agree: no new
memory, and no page faults, which cost more than reading. Everything that can be wrong with a
checkpoint, short of a read error, shows up while choosing, before anything is touched. A read error
gives the model that was in force its old weights back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from modules.engine.checkpoints.components import ComponentPlan, Progress, build_empty, check_fits
from modules.engine.checkpoints.families.base import ModelPlan
from modules.engine.checkpoints.finite import FiniteFiles
from modules.engine.checkpoints.loaded import LoadedModel
from modules.engine.checkpoints.machine_memory import Memory, device_memory, machine_memory
from modules.engine.checkpoints.network import Network, stamp_as_read
from modules.engine.checkpoints.progress import Share
from modules.engine.checkpoints.residency import ResidencyRules, Resident, Shelf, distinct
from modules.engine.checkpoints.tensor_file import Care
from modules.engine.memory import Stage, WeightForm
from modules.engine.memory.forms import DISK

logger = logging.getLogger("easel.engine")

Forms = Mapping[str, WeightForm]
"""How each network of a model is to be kept."""
BESIDE_RESERVE = 0.05
"""Of the memory, that stays free when two models are in memory only while one is loaded."""


@dataclass
class Choice:
    """What the coming of a model does to each network."""

    plan: ModelPlan
    kept: dict[str, Network] = field(default_factory=dict)
    """In memory already, with the very weights."""
    donors: dict[str, Network] = field(default_factory=dict)
    """Of models that leave; their modules get the new weights."""
    made: dict[str, Network] = field(default_factory=dict)
    leaving: list[Resident] = field(default_factory=list)
    shedding: list[Resident] = field(default_factory=list)
    """Stay without their adapters."""

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks of the new model, in the plan's order."""
        found = {**self.kept, **self.donors, **self.made}
        return {name: found[name].module for name in self.plan.components}

    def only_changes(self, name: str) -> bool:
        """Whether every other network stays as it is."""
        return not {*self.donors, *self.made} - {name}

    @property
    def bytes_made(self) -> int:
        """Bytes of new memory that the model takes."""
        return sum(_bytes(network.plan, network.form) for network in self.made.values())


def choose(
    plan: ModelPlan,
    shelf: Shelf,
    current: Resident | None,
    forms: Forms,
    stage: Stage,
    rules: ResidencyRules,
) -> Choice:
    """Decide for each network of a plan whether it is kept, filled anew, or made.

    Raises:
        UnreadableModelError, UnsupportedModelError: the plan does not fit its own networks.
    """
    choice, memory = Choice(plan), machine_memory()
    known = shelf.networks()
    for name, component in plan.components.items():
        same = next((n for n in known if n.holds(component, forms[name])), None)
        if same is not None:
            choice.kept[name] = same
    missing = {n: c for n, c in plan.components.items() if n not in choice.kept}
    needed = sum(_bytes(component, forms[name]) for name, component in missing.items())
    kept = list(choice.kept.values())
    parting = shelf.parting(plan.path, kept, needed, rules, memory)
    choice.leaving, choice.shedding = parting.leaving, parting.shedding
    free = _free_networks(choice, shelf, current, rules, needed, memory)
    for name, component in missing.items():
        form = forms[name]
        donor = next((n for n in free if n.takes(component, form)), None)
        if donor is not None:
            free.remove(donor)
            check_fits(component, donor.module)
            choice.donors[name] = donor
        else:
            choice.made[name] = Network(build_empty(component), component, form, stage)
    return choice


def _free_networks(
    choice: Choice,
    shelf: Shelf,
    current: Resident | None,
    rules: ResidencyRules,
    needed: int,
    memory: Memory,
) -> list[Network]:
    """Networks whose weights nobody will need, those of the model in force last."""
    staying = [n for one in shelf if one not in choice.leaving for n in one.networks.values()]
    busy = {id(network) for network in (*staying, *choice.kept.values(), *shelf.vaes)}
    free: list[Network] = []
    for resident in sorted(choice.leaving, key=lambda one: one is current):
        for name, network in resident.networks.items():
            spare = rules.spare_vaes and name == "vae" and resident.vae is not None
            # What cannot be read back is given up only where memory leaves no other way.
            lost = resident is current and not network.unchanged()
            if id(network) in busy or spare or (lost and _fits(needed, memory)):
                continue
            free.append(network)
    return distinct(free)


class Swap:
    """Carries a choice out. After a failure, :meth:`undo` puts the former model in force again."""

    def __init__(
        self,
        choice: Choice,
        shelf: Shelf,
        current: Resident | None,
        device: torch.device,
        rules: ResidencyRules,
        finite: FiniteFiles | None,
    ) -> None:
        """`finite`: remembers which files hold no NaN; None leaves that check out."""
        self._choice = choice
        self._shelf = shelf
        self._current = current
        self._device = device
        self._rules = rules
        self._finite = finite
        self._away: list[Network] = []
        """Of the model in force, in main memory until the new one is there."""
        self.dropped = False
        """Whether memory was freed."""

    def carry_out(self, progress: Progress, tick: Callable[[], None] | None = None) -> None:
        """Fill all networks. New ones first: until they are there, nothing has been overwritten.

        Raises:
            UnreadableModelError: a file cannot be read, or not any more.
            MemoryError, torch.OutOfMemoryError: there is not enough memory.
            Exception: what `tick` raised.
        """
        choice = self._choice
        self._dismiss_others()
        if self._current is not None:
            self._make_room(self._current)
        plans = {name: choice.plan.components[name] for name in (*choice.made, *choice.donors)}
        share = Share(progress, max(1, sum(plan.size for plan in plans.values())))
        for name, network in choice.made.items():
            network.make()
            self._fill(network, plans[name], share, tick)
        for name, donor in choice.donors.items():
            self._fill(donor, plans[name], share, tick)

    def _fill(
        self,
        network: Network,
        plan: ComponentPlan,
        share: Share,
        tick: Callable[[], None] | None,
    ) -> None:
        unknown = self._finite is not None and not self._finite.knows(plan)
        network.read(plan, share.of(plan.size), Care(tick, finite=unknown))
        if unknown:
            self._finite.remember(plan)

    def conclude(self) -> dict[str, Network]:
        """The new model is complete: take out those that leave; gives the networks by name."""
        choice, refilled = self._choice, {}
        for name, donor in choice.donors.items():
            plan = choice.plan.components[name]
            refilled[name] = Network(donor.module, plan, donor.form, donor.stage)
        for network in (*choice.made.values(), *refilled.values()):
            network.stamp = stamp_as_read(network.plan)
            network.settle()
        networks = {**choice.kept, **refilled, **choice.made}
        if self._current in choice.leaving:
            self._remove(self._current)
        for network in choice.kept.values():
            if network in self._shelf.vaes:
                self._shelf.vaes.remove(network)
        return {name: networks[name] for name in choice.plan.components}

    def undo(self) -> None:
        """Give the model in force its weights back, and free what the new one has taken.

        Raises:
            UnreadableModelError: a file cannot be read any more: the former model is lost.
            MemoryError, torch.OutOfMemoryError: there is not enough memory for it any more.
        """
        choice = self._choice
        mine = list(self._current.networks.values()) if self._current else []
        held = {id(network) for network in (*mine, *self._shelf.networks())}
        for group in (choice.made, choice.donors, choice.kept):
            for network in group.values():
                if id(network) not in held:
                    network.hollow_out()
        for network in mine:
            network.restore()
        for network in self._away:
            network.bring()

    # -- who goes when ----------------------------------------------------------------------------

    def _dismiss_others(self) -> None:
        """Free the models that leave, but for the one in force."""
        for resident in [one for one in self._choice.leaving if one is not self._current]:
            dismiss(resident.model)
            self._remove(resident)
        current = self._current
        for resident in self._choice.shedding:
            if resident not in self._choice.leaving and resident is not current:
                dismiss(resident.model)
        if current is None:
            return
        parts = current in (*self._choice.leaving, *self._choice.shedding)
        stays = not parts and self._device.type == "cpu"
        if stays and not current.lends_to(self._choice.kept.values()):
            current.model.set_tiling(False)  # it keeps its adapters for the way back
        else:
            dismiss(current.model)

    def _remove(self, resident: Resident) -> None:
        reused = {id(n) for n in (*self._choice.donors.values(), *self._choice.kept.values())}
        for network in self._shelf.remove(resident, self._rules.spare_vaes):
            if id(network) not in reused:
                network.hollow_out()
                self.dropped = True

    def _make_room(self, current: Resident) -> None:
        """Let the model in force step aside where both together are too much."""
        choice = self._choice
        shared = {id(network) for network in choice.kept.values()}
        own = [network for network in current.networks.values() if id(network) not in shared]
        if current not in choice.leaving:
            if self._device.type != "cpu" and not self._may_wait_on_device(own):
                for network in own:
                    network.put_away()
                self._away = own
            return
        busy = {id(n) for one in self._shelf if one is not current for n in one.networks.values()}
        idle = [n for n in own if n not in choice.donors.values() and id(n) not in busy]
        memory = device_memory(self._device) or machine_memory()
        if idle and not _fits(choice.bytes_made, memory):
            logger.info("too little memory for two models: the former one steps aside")
            for network in idle:
                network.hollow_out()

    def _may_wait_on_device(self, networks: list[Network]) -> bool:
        memory = device_memory(self._device)
        waiting = sum(network.bytes for network in networks)
        beside = memory is not None and _fits(self._choice.bytes_made, memory)
        return beside and waiting <= self._rules.device(memory)


def dismiss(model: LoadedModel) -> None:
    """Undo what a job has laid over a model's weights: adapters, and seamless edges."""
    model.set_tiling(False)
    adapters = getattr(model, "adapters", None)
    if adapters is not None:
        adapters.remove_all()


def _fits(needed: int, memory: Memory) -> bool:
    return needed <= memory.available - BESIDE_RESERVE * memory.total


def _bytes(plan: ComponentPlan, form: WeightForm) -> int:
    """Bytes that a network's weights will take."""
    if form.home == DISK:
        return 0
    packed = dict(form.blocks)
    return sum(
        source.size if name in packed else math.prod(source.shape) * form.rest.itemsize
        for name, source in plan.sources.items()
    )
