"""The checkpoints of one job: its own, the refiner's, that of the hires pass. One is in force; the
others wait in memory where the budget allows, and are read again each time where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import torch

from modules.engine.adapters.files import AdapterFiles
from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.errors import LoadCancelled
from modules.engine.checkpoints.families.base import ModelPlan
from modules.engine.generation.control import StopSampling
from modules.requests.errors import RequestError
from modules.requests.prepared import PreparedJob

Role = Literal["base", "refiner", "hires"]
FIELDS = {"refiner": "refiner_checkpoint", "hires": "hr_checkpoint_name"}


class Shelf(Protocol):
    """Where checkpoints come from; the engine is one."""

    def load(self, checkpoint: str, vae: str | None = None) -> LoadedModel:
        """Make a checkpoint the one in memory."""

    def examine(self, checkpoint: str, vae: str | None = None) -> ModelPlan:
        """What a checkpoint is, without loading it."""

    def make_room(self) -> None:
        """Bring checkpoints that wait on the device into main memory."""


class JobModels:
    """Brings the checkpoint that a pass needs into memory.

    The next load may fill a ``LoadedModel`` with other weights, so nobody keeps one from pass to
    pass: ask :meth:`use` at the beginning of each.
    """

    def __init__(
        self,
        shelf: Shelf,
        base: LoadedModel,
        prepared: PreparedJob,
        *,
        adapter_files: AdapterFiles,
        tiling: bool = False,
    ) -> None:
        """
        Args:
            adapter_files: the LoRA files in memory.

        Raises:
            RequestError: a further checkpoint does not go together with the job's own.
            ModelLoadError: a further checkpoint cannot be read.
        """
        self._shelf = shelf
        self.adapter_files = adapter_files
        self._tiling = tiling
        own = str(base.path)
        vae = str(base.vae_path) if base.vae_path else None
        self._places: dict[str, str] = {"base": own}
        self._vae = vae
        for role, key in (("refiner", "refiner"), ("hires", "hires_checkpoint")):
            path = prepared.resources.get(key)
            if path and Path(path) != base.path:
                self._places[role] = str(path)
                self._check(role, base)
        self.current = base
        base.set_tiling(tiling)

    def has(self, role: Role) -> bool:
        """Whether the job names such a checkpoint, and it is another than its own."""
        return role in self._places

    def use(self, role: Role = "base") -> LoadedModel:
        """The checkpoint of a role, loaded if it is not the one in memory.

        Raises:
            ModelLoadError: it cannot be loaded.
            StopSampling: the job was interrupted meanwhile.
        """
        path = self._places.get(role, self._places["base"])
        # Weights that were made in inference mode could not be refilled outside of it.
        with torch.inference_mode(False), torch.no_grad():
            try:
                model = self._shelf.load(path, self._vae)
            except LoadCancelled as error:
                raise StopSampling from error
        model.set_tiling(self._tiling)
        self.current = model
        return model

    def make_room(self) -> None:
        """Memory is short: checkpoints that wait do so in main memory."""
        self._shelf.make_room()

    def _check(self, role: str, base: LoadedModel) -> None:
        plan = self._shelf.examine(self._places[role], self._vae)
        config = plan.components["vae"].config
        channels = int(config.get("latent_channels", 4))
        if plan.family != base.family or channels != base.latent_channels:
            name = Path(self._places[role]).name
            raise RequestError(
                FIELDS[role],
                name,
                f"{name} is of another family ({plan.family}) than {base.name} ({base.family}); "
                "their latents do not fit each other.",
            )
