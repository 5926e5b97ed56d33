"""Which models stay in memory: the ones used last, within a budget, favourites the longest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.sidecar import sidecar_path
from modules.engine.checkpoints.loaded import LoadedModel
from modules.engine.checkpoints.machine_memory import Memory
from modules.engine.checkpoints.network import Network, Stamp

MEGABYTE = 2**20
RAM_SHARE = 0.6
"""Of the machine's memory, for all models together, when the budget is automatic."""
RAM_RESERVE = 0.15
"""Of the machine's memory, that models leave free for other programs and for the work itself."""
DEVICE_SHARE = 0.6
"""Of a graphics card's memory, for models that wait there."""
PLACES = 10
"""Most VAEs that are kept apart from their checkpoints."""


@dataclass(frozen=True)
class ResidencyRules:
    """The settings of how many models stay in memory."""

    limit: int = 1
    """Most models; 0: as many as the budget holds."""
    budget: int = 0
    """Bytes of main memory for all models; 0: from the machine's memory."""
    device_budget: int = 0
    """Bytes of a graphics card's memory for models that wait there; 0: from the card's memory."""
    one_on_device: bool = True
    """Only the model that works is on the device; the others wait in main memory."""
    pinned: frozenset[str] = frozenset()
    """Favourites by file name or title; they leave last."""
    spare_vaes: int = 0
    """Separate VAEs that stay after another one took their place."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ResidencyRules:
        """Read A1111's settings and ours; a missing one has its default."""
        pinned = options.get("sd_checkpoints_pinned") or ()
        return cls(
            limit=max(0, int(options.get("sd_checkpoints_limit", 0))),
            budget=max(0, int(options.get("model_ram_budget_mb", 0))) * MEGABYTE,
            device_budget=max(0, int(options.get("model_device_budget_mb", 0))) * MEGABYTE,
            one_on_device=bool(options.get("sd_checkpoints_keep_in_cpu", True)),
            pinned=frozenset(str(title).partition(" [")[0] for title in pinned),
            spare_vaes=min(PLACES, max(0, int(options.get("sd_vae_checkpoint_cache", 0)))),
        )

    def ram(self, held: int, memory: Memory) -> int:
        """Bytes that models may take, when they take `held` now."""
        if self.budget:
            return self.budget
        reserve = int(RAM_RESERVE * memory.total)
        return min(int(RAM_SHARE * memory.total), held + memory.available - reserve)

    def device(self, memory: Memory | None) -> int:
        """Bytes of the device that models may take while they wait."""
        if self.one_on_device or memory is None:
            return 0
        return self.device_budget or int(DEVICE_SHARE * memory.total)


@dataclass(eq=False)
class Resident:
    """A model in memory and the networks it consists of."""

    model: LoadedModel
    networks: dict[str, Network]
    vae: Path | None
    """The separate VAE that was asked for."""
    notes: Stamp
    """The small files that say how the model is to be read."""

    def is_for(self, path: Path, vae: Path | None) -> bool:
        """Whether it is what a call of `load` asks for."""
        return self.model.path == path and self.vae == vae

    def unchanged(self) -> bool:
        """Whether everything it was read from is still the same on disk."""
        if any(network.touched or not network.unchanged() for network in self.networks.values()):
            return False
        return self.notes == notes_of(self.model.path)

    def lends_to(self, networks: Iterable[Network]) -> bool:
        """Whether others have networks of it that adapters may have changed; VAEs they never do."""
        theirs = {id(network) for network in networks}
        return any(id(one) in theirs for name, one in self.networks.items() if name != "vae")

    @property
    def adapter_bytes(self) -> int:
        """Bytes that its adapters keep beside the weights."""
        adapters = getattr(self.model, "adapters", None)
        return 0 if adapters is None else adapters.bytes

    def is_pinned(self, rules: ResidencyRules) -> bool:
        """Whether it is a favourite."""
        return bool({self.model.file_name, self.model.name} & rules.pinned)


@dataclass
class Parting:
    """What makes room."""

    leaving: list[Resident]
    """Models that leave the memory."""
    shedding: list[Resident]
    """Models that stay, without their adapters and what these keep beside the weights."""


@dataclass
class Shelf:
    """The models in memory, the one used last at the end."""

    residents: list[Resident] = field(default_factory=list)
    vaes: list[Network] = field(default_factory=list)
    """Separate VAEs that no model uses now, the one used last at the end."""

    def __iter__(self) -> Iterator[Resident]:
        return iter(self.residents)

    def __len__(self) -> int:
        return len(self.residents)

    def find(self, path: Path, vae: Path | None) -> Resident | None:
        """The model that a call of `load` asks for, whether it is still as on disk or not."""
        return next((one for one in self.residents if one.is_for(path, vae)), None)

    def put_last(self, resident: Resident) -> None:
        """It is the one that is used now."""
        if resident in self.residents:
            self.residents.remove(resident)
        self.residents.append(resident)

    def networks(self) -> list[Network]:
        """Every network once."""
        return distinct(n for one in self.residents for n in one.networks.values()) + self.vaes

    def remove(self, resident: Resident, spare_vaes: int = 0) -> list[Network]:
        """Take a model out; gives the networks that nobody has any more."""
        self.residents.remove(resident)
        vae = resident.networks.get("vae")
        separate = vae is not None and resident.vae is not None
        if separate and spare_vaes and not vae.touched and vae not in self.networks():
            self.vaes.append(vae)
        dropped = self.trim_vaes(spare_vaes)
        used = self.networks()
        return [n for n in (*resident.networks.values(), *dropped) if n not in used]

    def trim_vaes(self, places: int) -> list[Network]:
        """Keep so many spare VAEs; gives those that had to go."""
        count = max(0, len(self.vaes) - places)
        dropped, self.vaes = self.vaes[:count], self.vaes[count:]
        return dropped

    def parting(
        self,
        path: Path,
        kept: Collection[Network],
        needed: int,
        rules: ResidencyRules,
        memory: Memory,
    ) -> Parting:
        """Who must go before a model of `needed` bytes more can come.

        Args:
            path: of the one to come; a model of that path goes in any case.
            kept: networks that the one to come shares with others.
        """
        leaving = [one for one in self.residents if one.model.path == path]
        others = [one for one in self.residents if one not in leaving]
        # The shelf is in the order of use, and sorting keeps it among the pinned and the others.
        candidates = sorted(others, key=lambda one: one.is_pinned(rules))
        while rules.limit and candidates and len(candidates) + 1 > rules.limit:
            leaving.append(candidates.pop(0))
        return self._within(Parting(leaving, []), candidates, kept, needed, rules, memory)

    def surplus(self, current: Resident | None, rules: ResidencyRules, memory: Memory) -> Parting:
        """Who must go where adapters have made the model in force take more than there is."""
        others = [one for one in self.residents if one is not current]
        candidates = sorted(others, key=lambda one: one.is_pinned(rules))
        return self._within(Parting([], []), candidates, (), 0, rules, memory)

    def _within(
        self,
        parting: Parting,
        candidates: list[Resident],
        kept: Collection[Network],
        needed: int,
        rules: ResidencyRules,
        memory: Memory,
    ) -> Parting:
        """Let candidates go, the first ones first, until the others are within the budget."""
        held = sum(network.bytes for network in self.networks())
        held += sum(one.adapter_bytes for one in self.residents)
        budget = rules.ram(held, memory)

        def fits() -> bool:
            staying = [one for one in self.residents if one not in parting.leaving]
            networks = distinct(
                [*kept, *self.vaes, *(n for one in staying for n in one.networks.values())]
            )
            beside = sum(one.adapter_bytes for one in staying if one not in parting.shedding)
            return sum(network.bytes for network in networks) + beside + needed <= budget

        for candidate in candidates:
            if candidate.adapter_bytes and not fits():
                parting.shedding.append(candidate)  # they are put on again sooner than it is read
        for candidate in candidates:
            if fits():
                break
            parting.leaving.append(candidate)
        return parting


def distinct(networks: Iterable[Network]) -> list[Network]:
    """Each network once, in the order in which they first occur."""
    return list({id(network): network for network in networks}.values())


def notes_of(model: Path) -> Stamp:
    """Sidecars and configurations of a model as they are now; they say how it is to be read."""
    files = [sidecar_path(model), model.with_suffix(".yaml")]
    if model.is_dir():
        files += sorted([*model.glob("*.json"), *model.glob("*/*.json")])
    stamps = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        stamps.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(stamps)
