"""Owns the loaded model: loading, swapping, unloading. One model at a time for now.

A swap between models of one shape copies weights into the networks that are already there: no
second set of networks, no new memory. A load that fails gives the former model back.
"""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from modules.catalog.checkpoints import CheckpointInfo, content_hash, inspect
from modules.catalog.errors import ModelFileError, shown
from modules.catalog.hashes import HashCache, HashingStopped
from modules.catalog.scan import Found
from modules.engine.checkpoints.components import (
    ComponentPlan,
    Progress,
    build_empty,
    check_fits,
    fill,
    materialise,
)
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.checkpoints.families import LOADERS, ModelPlan
from modules.engine.checkpoints.loaded import LoadedModel
from modules.engine.checkpoints.planning import plan_model
from modules.engine.checkpoints.progress import Share, steady
from modules.engine.device import DevicePolicy

logger = logging.getLogger("easel.engine")

Stamp = tuple[tuple[str, int, int], ...]
"""(path, size, modification time) of every file a model was read from."""


class ModelPaths(Protocol):
    """The folders the manager needs; `modules.settings.paths.Paths` has them."""

    checkpoint_dirs: tuple[Path, ...]
    configs: Path
    cache: Path
    vae_approx: Path


@dataclass
class _Network:
    """A network in memory and the plan its weights came from."""

    module: torch.nn.Module
    plan: ComponentPlan
    stamp: Stamp


@dataclass
class _Choice:
    """What a load does to each network."""

    kept: dict[str, _Network]
    refilled: dict[str, _Network]
    made: dict[str, _Network]

    def all(self) -> dict[str, _Network]:
        return {**self.kept, **self.refilled, **self.made}

    def only_changes(self, name: str) -> bool:
        return not {*self.refilled, *self.made} - {name}


class ModelManager:
    """Loads checkpoints onto one device. Not thread-safe: one thread works with models."""

    def __init__(self, paths: ModelPaths, policy: DevicePolicy, *, hashing: bool = True) -> None:
        """`hashing=False` leaves out the sha256 (`--no-hashing`)."""
        self.paths = paths
        self.policy = policy
        self.hashing = hashing
        self.hashes = HashCache(paths.cache / "hashes.json")
        self.current: LoadedModel | None = None
        self._networks: dict[str, _Network] = {}
        self._wanted: tuple[Path, Path | None] | None = None

    def load(
        self, path: Path | str, vae: Path | str | None = None, progress: Progress | None = None
    ) -> LoadedModel:
        """Load a checkpoint, or return the current model when it is that one and unchanged.

        `path` is a `.safetensors` file or a diffusers folder, `vae` a separate VAE that replaces
        the checkpoint's own. `progress` hears fractions from 0 to 1.

        Raises:
            ModelLoadError: it cannot be loaded; the former model still works.
        """
        path, vae = Path(path), Path(vae) if vae else None
        if self.is_current(path, vae):
            assert self.current is not None
            return self.current
        try:
            return self._load(path, vae, steady(progress))
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
        """Whether the model in memory is this one and its files have not changed since."""
        if self.current is None or self._wanted != (path, vae):
            return False
        return all(network.stamp == _stamp(network.plan) for network in self._networks.values())

    def unload(self) -> None:
        """Free the model's memory; `reload` or the next `load` brings it back."""
        self.current = None
        self._networks.clear()
        self._release()

    def reload(self, progress: Progress | None = None) -> LoadedModel | None:
        """Load the last model again if it was unloaded; None when there never was one.

        Raises:
            ModelLoadError: it cannot be loaded any more.
        """
        if self.current is not None:
            return self.current
        return self.load(*self._wanted, progress=progress) if self._wanted else None

    def _load(self, path: Path, vae: Path | None, progress: Progress) -> LoadedModel:
        progress(0.0)
        plan = plan_model(path, vae, self.paths.configs)
        choice = self._choose(plan)
        model = self._model(plan, choice, vae)
        hashing = _Hashing(self, path, vae) if self.hashing else None
        if self.current is not None:
            self.current.set_tiling(False)
        try:
            self._fill_all(plan, choice, progress)
        except BaseException:
            if hashing:
                hashing.stop()
            raise
        replaced = any(name in self._networks for name in choice.made)
        self.current, self._networks, self._wanted = model, choice.all(), (path, vae)
        if hashing:
            model.sha256, model.vae_sha256 = hashing.results()
        if replaced:
            self._release()
        progress(1.0)
        return model

    def _choose(self, plan: ModelPlan) -> _Choice:
        """What happens to each network: kept, refilled with new weights, or made anew.

        Everything that can be wrong with a checkpoint, short of a read error, shows up here,
        before anything of the former model has been touched.
        """
        choice = _Choice({}, {}, {})
        for name, component in plan.components.items():
            stamp = _stamp(component)
            old = self._networks.get(name)
            if old is None or not self._takes(name, old, component):
                choice.made[name] = _Network(build_empty(component), component, stamp)
            elif _same_weights(old, component, stamp):
                choice.kept[name] = _Network(old.module, component, stamp)
            else:
                check_fits(component, old.module)
                choice.refilled[name] = _Network(old.module, component, stamp)
        return choice

    def _fill_all(self, plan: ModelPlan, choice: _Choice, progress: Progress) -> None:
        """New networks first: while they fail, nothing of the former model has been touched."""
        made, refilled = choice.made, choice.refilled
        sizes = {name: plan.components[name].size for name in (*made, *refilled)}
        share = Share(progress, max(1, sum(sizes.values())))
        for name, network in made.items():
            materialise(network.module, self._dtype(name), self.policy.device)
            fill(network.module, network.plan, share.of(sizes[name]))
        try:
            for name, network in refilled.items():
                fill(network.module, network.plan, share.of(sizes[name]))
        except BaseException:
            self._restore(refilled)
            raise

    def _restore(self, refilled: dict[str, _Network]) -> None:
        """Read the former model's weights back; without them there is no model any more."""
        try:
            for name in refilled:
                old = self._networks[name]
                if old.stamp != _stamp(old.plan):
                    raise ModelLoadError(old.plan.path.name, "has changed on disk")
                fill(old.module, old.plan)
        except (ModelFileError, ModelLoadError, OSError) as error:
            logger.error("the former model could not be restored: %s", error)
            self.unload()

    def _takes(self, name: str, old: _Network, component: ComponentPlan) -> bool:
        """Whether a network can take the weights of a component as it is."""
        weight = next(old.module.parameters())
        return (
            old.plan.signature == component.signature
            and weight.dtype == self._dtype(name)
            and weight.device.type == self.policy.device.type
        )

    def _dtype(self, name: str) -> torch.dtype:
        if name == "unet":
            return self.policy.unet_dtype
        return self.policy.vae_dtype if name == "vae" else self.policy.text_dtype

    def _model(self, plan: ModelPlan, choice: _Choice, vae: Path | None) -> LoadedModel:
        """The model over networks that may still be empty; its hashes are not known yet."""
        from modules.engine.conditioning import Conditioner
        from modules.engine.sampling.model_sampling import ModelSampling

        modules = {name: network.module for name, network in choice.all().items()}
        adapter = LOADERS[plan.family].adapter
        if self.current is not None and choice.only_changes("vae"):
            # The texts that were encoded stay valid.
            conditioner = self.current.conditioner
        else:
            conditioner = Conditioner(adapter.towers(modules, plan.tokenizers))
        info = _info(plan.path, self.paths.checkpoint_dirs)
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

    def _release(self) -> None:
        gc.unfreeze()  # what was kept for good may be what goes now
        gc.collect()
        if self.policy.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.policy.device.type == "mps":
            torch.mps.empty_cache()


class _Hashing:
    """sha256 of checkpoint and VAE in a thread, while the weights are read."""

    def __init__(self, manager: ModelManager, path: Path, vae: Path | None) -> None:
        self._stop = threading.Event()
        self._results = ["", ""]
        info = _info(path, manager.paths.checkpoint_dirs)

        def work() -> None:
            try:
                self._results[0] = content_hash(info, manager.hashes, self._stop.is_set)
                if vae is not None and vae.is_file():
                    self._results[1] = manager.hashes.sha256(vae, self._stop.is_set)
            except (OSError, HashingStopped) as error:
                logger.debug("no hash: %s", error)

        self._thread = threading.Thread(target=work, name="easel-hash", daemon=True)
        self._thread.start()

    def results(self) -> tuple[str, str]:
        """Wait for both hashes; empty where a file could not be read."""
        self._thread.join()
        return self._results[0], self._results[1]

    def stop(self) -> None:
        """Give up within moments."""
        self._stop.set()
        self._thread.join()


def _info(path: Path, roots: tuple[Path, ...]) -> CheckpointInfo:
    """The catalog's view of a checkpoint, named below the folder that it lies in."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return inspect(Found(path, root, "folder" if path.is_dir() else "file"))


def _stamp(plan: ComponentPlan) -> Stamp:
    stamps = []
    for file in sorted({source.header.path for source in plan.sources.values()}):
        try:
            status = file.stat()
        except OSError:
            stamps.append((str(file), -1, -1))
            continue
        stamps.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(stamps)


def _same_weights(old: _Network, component: ComponentPlan, stamp: Stamp) -> bool:
    if old.stamp != stamp or old.plan.sources.keys() != component.sources.keys():
        return False
    return all(
        old.plan.sources[name].tensor == source.tensor
        and old.plan.sources[name].header.path == source.header.path
        for name, source in component.sources.items()
    )
