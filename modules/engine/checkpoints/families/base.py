"""What a model family provides to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from modules.catalog.families import FolderFacts
from modules.catalog.header import Header
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan

if TYPE_CHECKING:
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextTower


@dataclass(frozen=True)
class ModelPlan:
    """A whole model as found on disk: everything but the weights themselves."""

    family: str
    path: Path
    components: Mapping[str, ComponentPlan]
    """"unet", "vae", and the text encoders by diffusers' names."""
    scheduler: Mapping[str, Any]
    """diffusers' scheduler config: how the model was trained."""
    tokenizers: Mapping[str, Path]
    """Folder of the tokenizer of each text encoder, by the encoder's name."""
    sidecar: Sidecar


class FamilyAdapter(Protocol):
    """How a family's network is called. The only place that knows its arguments."""

    key: str

    def predict(
        self,
        network: torch.nn.Module,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """The network's raw output (noise, velocity or flow) in the type of `x`.

        `x` [batch, channels, h, w] is scaled as the network expects, `timestep` [batch].
        `conditioning.context` is [batch, tokens, width]. `added` is what `added_conditioning` gave.
        """

    def added_conditioning(
        self, *, batch: int, width: int, height: int, crop_left: int = 0, crop_top: int = 0
    ) -> Mapping[str, torch.Tensor]:
        """Further inputs that depend on the picture's size in pixels; empty for most families."""

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """The text encoders in the order in which their states are joined."""


class FamilyLoader(Protocol):
    """How a family is read from disk."""

    key: str
    adapter: FamilyAdapter

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """Plan a single file in the original layout. `vae` replaces the one inside.

        Raises:
            UnreadableModelError, UnsupportedModelError: it cannot be loaded; says why.
        """

    def plan_folder(
        self, folder: FolderFacts, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """Plan a diffusers folder. `vae` replaces the one inside.

        Raises:
            UnreadableModelError, UnsupportedModelError: it cannot be loaded; says why.
        """

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """Plan a separate VAE: a file in either layout, or a diffusers VAE folder.

        Raises:
            UnreadableModelError, UnsupportedModelError: it cannot be loaded; says why.
        """
