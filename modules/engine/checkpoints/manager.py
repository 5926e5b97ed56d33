"""Owns the models in memory: one is in force, others wait there for their next turn.

`load` brings a checkpoint into force. If it is still in memory that costs a few file dates; if not,
it is read beside the others while the budget allows (`residency`), else into the networks of those
that leave (`swap`). A load that fails leaves the model before it in force.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch

from modules.catalog.checkpoints import CheckpointInfo
from modules.catalog.errors import ModelFileError, shown
from modules.catalog.hashes import HashCache
from modules.engine.checkpoints.components import Progress
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.checkpoints.families import LOADERS, ModelPlan
from modules.engine.checkpoints.finite import FiniteFiles
from modules.engine.checkpoints.hashing import Hashing, checkpoint_info
from modules.engine.checkpoints.loaded import LoadedModel
from modules.engine.checkpoints.machine_memory import device_memory, machine_memory
from modules.engine.checkpoints.network import Network
from modules.engine.checkpoints.planning import plan_model
from modules.engine.checkpoints.progress import steady
from modules.engine.checkpoints.residency import ResidencyRules, Resident, Shelf, notes_of
from modules.engine.checkpoints.swap import Choice, Swap, choose, dismiss
from modules.engine.device import DevicePolicy
from modules.engine.memory import MemorySettings, Stage

logger = logging.getLogger("easel.engine")

Tick = Callable[[], None]


class ModelPaths(Protocol):
    """The folders the manager needs; `modules.settings.paths.Paths` has them."""

    checkpoint_dirs: tuple[Path, ...]
    configs: Path
    cache: Path
    vae_approx: Path


class ModelManager:
    """Loads checkpoints onto one device. Not thread-safe: one thread works with models."""

    def __init__(
        self,
        paths: ModelPaths,
        policy: DevicePolicy,
        *,
        hashing: bool = True,
        check_numbers: bool = True,
        rules: ResidencyRules | None = None,
        memory: MemorySettings | None = None,
    ) -> None:
        """
        Args:
            hashing: False leaves out the sha256 (`--no-hashing`).
            check_numbers: False lets weights be NaN (`--disable-nan-check`).
            rules: how many models stay in memory; may be changed between two loads.
            memory: in which form weights are kept, for models that are loaded from now on.
        """
        self.paths = paths
        self.policy = policy
        self.hashing = hashing
        self.hashes = HashCache(paths.cache / "hashes.json")
        self.rules = rules or ResidencyRules()
        self.memory = memory or MemorySettings()
        self._stage = Stage()
        self._finite = FiniteFiles(paths.cache / "finite.json") if check_numbers else None
        self._shelf = Shelf()
        self._current: Resident | None = None
        self.wanted: tuple[Path, Path | None] | None = None
        """Checkpoint and VAE that were in force last; `reload` brings them back."""

    @property
    def current(self) -> LoadedModel | None:
        """The model in force."""
        return self._current.model if self._current else None

    @property
    def residents(self) -> list[LoadedModel]:
        """The models in memory, the one used last at the end."""
        return [resident.model for resident in self._shelf]

    @property
    def bytes(self) -> int:
        """Bytes of weights of all models in memory."""
        return sum(network.bytes for network in self._shelf.networks())

    def inventory(self) -> list[tuple[LoadedModel, int, bool]]:
        """The models in memory with the bytes of their weights (shared ones in each, and what
        adapters keep beside them), and whether they are favourites; the one used last at the end.
        """
        return [
            (
                resident.model,
                sum(network.bytes for network in resident.networks.values())
                + resident.adapter_bytes,
                resident.is_pinned(self.rules),
            )
            for resident in list(self._shelf)
        ]

    @torch.inference_mode(False)
    def load(
        self,
        path: Path | str,
        vae: Path | str | None = None,
        progress: Progress | None = None,
        tick: Tick | None = None,
    ) -> LoadedModel:
        """Bring a checkpoint into force; one that is still in memory, unchanged, is there at once.

        `path` is a checkpoint file or a diffusers folder, `vae` a separate VAE that replaces the
        checkpoint's own. `progress` hears fractions from 0 to 1. `tick` is called every few
        megabytes; what it raises ends the load, and the former model is in force.

        Raises:
            ModelLoadError: it cannot be loaded; the former model still works.
        """
        path, vae = Path(path), Path(vae) if vae else None
        if self.is_current(path, vae):
            assert self._current is not None
            return self._current.model
        resident = self._shelf.find(path, vae)
        try:
            if resident is not None and resident.unchanged() and self._in_form(resident):
                return self._activate(resident)
            return self._load(path, vae, steady(progress), tick)
        except ModelFileError as error:
            raise ModelLoadError.of(error, path) from error
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise ModelLoadError(path.name, reason) from error
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise ModelLoadError(path.name, "does not fit into memory") from error
        except (ValueError, RuntimeError) as error:
            logger.exception("loading %s failed", path)
            raise ModelLoadError(path.name, f"cannot be loaded ({shown(str(error))})") from error

    def is_current(self, path: Path, vae: Path | None) -> bool:
        """Whether the model in force is this one and its files have not changed since."""
        current = self._current
        if current is None or not current.is_for(path, vae):
            return False
        return current.unchanged() and self._in_form(current)

    def is_resident(self, path: Path, vae: Path | None) -> bool:
        """Whether a model is in memory and its files have not changed since."""
        resident = self._shelf.find(path, vae)
        return resident is not None and resident.unchanged() and self._in_form(resident)

    def _in_form(self, resident: Resident) -> bool:
        """Whether a model's weights are kept as flags and settings want it now."""
        family = resident.model.family
        return self.memory.suits(resident.model.plan) and all(
            network.form == self.memory.form(self.policy, family, name, network.plan)
            for name, network in resident.networks.items()
        )

    @torch.inference_mode(False)
    def make_room(self) -> None:
        """Let the models that wait on the device do so in main memory: a job needs the space.

        Where the device is main memory itself, they leave it.
        """
        if self.policy.device.type == "cpu":
            self._keep_only_current()
            return
        own = list(self._current.networks.values()) if self._current else []
        for network in self._shelf.networks():
            if network not in own and network.may_move and network.device.type != "cpu":
                self._dismiss_owners(network)
                network.put_away()

    @torch.inference_mode(False)
    def keep_to_budget(self) -> None:
        """Let models that wait lose their adapters, or leave, where those of the model in force
        have made it take more than the budget has. Call it after a job.
        """
        if self._current is None or len(self._shelf) < 2:
            return
        parting = self._shelf.surplus(self._current, self.rules, machine_memory())
        for resident in parting.shedding:
            dismiss(resident.model)
        self._send_away(parting.leaving)

    def _keep_only_current(self) -> None:
        for network in self._shelf.trim_vaes(0):
            network.hollow_out()
        self._send_away([one for one in self._shelf if one is not self._current])

    def _send_away(self, residents: list[Resident]) -> None:
        """Free the memory of models that wait."""
        for resident in residents:
            dismiss(resident.model)
            for network in self._shelf.remove(resident):
                network.hollow_out()
        if residents:
            self._release()

    @torch.inference_mode(False)
    def unload(self) -> None:
        """Free the memory of all models; `reload` or the next `load` brings one back."""
        for resident in self._shelf:
            dismiss(resident.model)
        for network in self._shelf.networks():
            network.hollow_out()
        self._shelf, self._current = Shelf(), None
        self._release()

    def reload(
        self, progress: Progress | None = None, tick: Tick | None = None
    ) -> LoadedModel | None:
        """Load the last model again if it was unloaded; None when there never was one.

        Raises:
            ModelLoadError: it cannot be loaded any more.
        """
        if self._current is not None:
            return self._current.model
        return self.load(*self.wanted, progress, tick) if self.wanted else None

    # -- a model that is in memory ----------------------------------------------------------------

    def _activate(self, resident: Resident) -> LoadedModel:
        former = self._current
        self._shelf.put_last(resident)
        if former is not None and former is not resident:
            former.model.set_tiling(False)
            if former.lends_to(resident.networks.values()):
                dismiss(former.model)
        try:
            self._settle_on_device(resident)
        except (MemoryError, torch.OutOfMemoryError):
            for network in resident.networks.values():
                network.put_away()
            if former is not None:
                self._shelf.put_last(former)
                self._settle_on_device(former)
            raise
        self._current, self.wanted = resident, (resident.model.path, resident.vae)
        return resident.model

    def _settle_on_device(self, resident: Resident) -> None:
        """Bring a model's networks to the device; others wait in main memory if they must."""
        device = self.policy.device
        if device.type == "cpu":
            return
        own = list(resident.networks.values())
        waiting = [n for n in self._shelf.networks() if n not in own and n.device.type != "cpu"]
        budget = self.rules.device(device_memory(device))
        taken = sum(network.bytes for network in waiting)
        for network in waiting:  # the one used longest ago first
            if taken <= budget:
                break
            taken -= network.bytes
            self._dismiss_owners(network)
            network.put_away()
        for network in own:
            network.bring()

    def _dismiss_owners(self, network: Network) -> None:
        for resident in self._shelf:
            if network in resident.networks.values():
                dismiss(resident.model)

    # -- a model that is not ----------------------------------------------------------------------

    def _load(
        self, path: Path, vae: Path | None, progress: Progress, tick: Tick | None
    ) -> LoadedModel:
        progress(0.0)
        notes = notes_of(path)
        plan = self.memory.spared(plan_model(path, vae, self.paths.configs))
        forms = {
            name: self.memory.form(self.policy, plan.family, name, component)
            for name, component in plan.components.items()
        }
        choice = choose(plan, self._shelf, self._current, forms, self._stage, self.rules)
        info = checkpoint_info(path, self.paths.checkpoint_dirs)
        model = self._model(plan, choice, vae, info)
        hashing = Hashing(info, vae, self.hashes) if self.hashing else None
        swap = Swap(
            choice, self._shelf, self._current, self.policy.device, self.rules, self._finite
        )
        try:
            swap.carry_out(hashing.share(progress) if hashing else progress, tick)
            if hashing:
                model.sha256, model.vae_sha256 = hashing.results(progress, tick)
        except BaseException:
            if hashing:
                hashing.stop()
            self._take_back(swap)
            raise
        former = self.wanted
        resident = Resident(model, swap.conclude(), vae, notes)
        self._shelf.put_last(resident)
        self._current, self.wanted = resident, (path, vae)
        for network in self._shelf.trim_vaes(self.rules.spare_vaes):
            network.hollow_out()
            swap.dropped = True
        self._make_ready(resident, former)
        if swap.dropped:
            self._release()
        progress(1.0)
        return model

    def _make_ready(self, resident: Resident, former: tuple[Path, Path | None] | None) -> None:
        """Bring a complete model to the device, and let its family find out what only filled
        networks tell.

        Raises:
            ValueError, RuntimeError: that fails; the former model is loaded again.
        """
        try:
            self._settle_on_device(resident)
            resident.model.settle()
        except (ValueError, RuntimeError, MemoryError):
            self.unload()
            self.wanted = former
            if former is not None and former[0] != resident.model.path:
                with contextlib.suppress(ModelLoadError):
                    self.load(*former)
            raise

    def _take_back(self, swap: Swap) -> None:
        """Put the former model in force again; without its weights there is no model any more."""
        try:
            swap.undo()
        except (ModelFileError, OSError, MemoryError, torch.OutOfMemoryError) as error:
            logger.error("the former model could not be restored: %s", error)
            self.unload()

    def _model(
        self, plan: ModelPlan, choice: Choice, vae: Path | None, info: CheckpointInfo
    ) -> LoadedModel:
        """The model over networks that may still be empty; its hashes are not known yet."""
        from modules.engine.sampling.model_sampling import ModelSampling

        modules = choice.modules()
        adapter = LOADERS[plan.family].adapter
        same = self._with_all(choice.kept) if choice.only_changes("vae") else None
        # With the same text encoders, the texts that were encoded stay valid.
        if same is not None and same.networks.keys() == modules.keys():
            conditioner = same.conditioner
        else:
            conditioner = adapter.conditioner(modules, plan.tokenizers)
        return LoadedModel(
            plan=plan,
            name=info.model_name,
            file_name=info.name,
            networks=modules,
            adapter=adapter,
            conditioner=conditioner,
            model_sampling=ModelSampling.from_scheduler_config(dict(plan.scheduler)),
            policy=self.policy,
            cache=self.paths.cache,
            vae_approx=self.paths.vae_approx,
            vae_path=vae,
        )

    def _with_all(self, networks: Mapping[str, Network]) -> LoadedModel | None:
        """A model in memory that has all these networks under the same names."""
        for resident in self._shelf:
            if all(resident.networks.get(name) is one for name, one in networks.items()):
                return resident.model
        return None

    def _release(self) -> None:
        gc.unfreeze()  # what was kept for good may be what goes now
        gc.collect()
        if self.policy.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.policy.device.type == "mps":
            torch.mps.empty_cache()
