"""What a model family provides to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from modules.catalog.families import FolderFacts
from modules.catalog.header import Header
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan

if TYPE_CHECKING:
    from modules.engine.checkpoints.loaded import LoadedModel
    from modules.engine.conditioning.conditioner import Conditioner
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextStates, TextTower


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
    undecided: bool = False
    """Nothing says what the network predicts; `FamilyAdapter.settled` finds out by trying it."""
    left_out: tuple[str, ...] = ()
    """Components that are there, but that a setting does without."""


@dataclass(frozen=True)
class PictureFacts:
    """What a network may be told about a picture beside its text."""

    width: int
    height: int
    """Pixels."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The job's effective settings."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """The job's request, with what the pass changes of it."""
    summary: torch.Tensor | None = None
    """What `FamilyAdapter.summary` said about the picture that the job starts from, if any."""


class FamilyAdapter(ABC):
    """How a family's network is called. The only place that knows its arguments."""

    key: str
    zero_empty_negative = False
    """Whether an empty negative prompt is zeros instead of the encoded empty text."""
    align_your_steps = "sd1"
    """Which table of noise levels the schedule type of this name uses: "sd1" or "sdxl"."""

    @abstractmethod
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
        `conditioning.context` is [batch, tokens, width], `conditioning.pooled` [batch, width] or
        None. `added` is what `added_conditioning` gave, with one row per row of `x`.
        """

    @abstractmethod
    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """The text encoders in the order in which their states are joined."""

    def added_conditioning(
        self, plan: ModelPlan, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """Further inputs of the denoising network for one picture, each of one row [1, …].

        `negative`: for the rows of the negative prompt. Nothing, for most families.
        """
        return {}

    def embeds_guidance(self, plan: ModelPlan) -> bool:
        """Whether the network itself is told the CFG scale; no negative prompt is run then."""
        return bool(plan.components["unet"].config.get("time_cond_proj_dim"))

    def summary(
        self,
        networks: Mapping[str, torch.nn.Module],
        pixels: torch.Tensor,
        request: Mapping[str, Any],
        seeds: Sequence[int],
    ) -> torch.Tensor | None:
        """What pictures [batch or 1, 3, height, width] in [-1, 1] show, [batch or 1, width], for
        families that are told; None for most. `seeds` are those of the batch's pictures."""
        return None

    def join(self, parts: Sequence[TextStates]) -> Conditioning:
        """One conditioning of what the towers say about some texts; see `Join`."""
        from modules.engine.conditioning.conditioner import join_widths

        return join_widths(parts)

    def conditioner(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> Conditioner:
        """What encodes prompts for a model with these networks."""
        from modules.engine.conditioning import Conditioner

        return Conditioner(
            self.towers(networks, tokenizers),
            join=self.join,
            zero_empty_negative=self.zero_empty_negative,
        )

    def settled(self, plan: ModelPlan, networks: Mapping[str, torch.nn.Module]) -> ModelPlan:
        """The plan with what only filled networks can tell; called once they are loaded."""
        return plan

    def advice(self, model: LoadedModel, request: Mapping[str, Any]) -> str:
        """One sentence for a request whose settings do not suit the model; empty for good ones."""
        return ""


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
