"""Stable Diffusion 1.x of any size, from a diffusers folder or one file in the original layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.families import FolderFacts, sd1
from modules.catalog.header import Header
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, vae_file
from modules.engine.checkpoints.families.advice import distilled_advice
from modules.engine.checkpoints.families.base import FamilyAdapter, ModelPlan, PictureFacts
from modules.engine.checkpoints.families.guided import of_step, told_guidance
from modules.engine.checkpoints.families.single_file import (
    defaults_of,
    only_text_file,
    planned,
    planned_text,
    planned_vae,
    told_by,
    unet_names,
)
from modules.engine.checkpoints.families.training import told_training
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import read_original_unet
from modules.engine.memory import form_of

if TYPE_CHECKING:
    from modules.engine.checkpoints.loaded import LoadedModel
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextTower

KEY = sd1.KEY
TEXT = "cond_stage_model.transformer."
USUAL_VAE = "vae-ft-mse-840000-ema-pruned.safetensors"


class Sd1Adapter(FamilyAdapter):
    """Calls the UNet with the text states of one CLIP text model."""

    key = KEY

    def predict(
        self,
        network: torch.nn.Module,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """See `FamilyAdapter.predict`; `added` holds a guidance in few models of this family."""
        dtype = form_of(network).dtype
        output = network(
            x.to(dtype),
            timestep,
            encoder_hidden_states=conditioning.context.to(dtype),
            timestep_cond=of_step(added, dtype),
            return_dict=False,
        )[0]
        return output.to(x.dtype)

    def added_conditioning(
        self, plan: ModelPlan, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """The guidance, for models that were distilled with it; nothing else."""
        return told_guidance(plan, picture)

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """CLIP's text model alone."""
        from modules.engine.conditioning.towers import ClipTower

        return (ClipTower(networks["text_encoder"], tokenizers["text_encoder"]),)

    def advice(self, model: LoadedModel, request: Mapping[str, Any]) -> str:
        """See `FamilyAdapter.advice`: distilled models want few steps."""
        return distilled_advice(model.name, request, guided=self.embeds_guidance(model.plan))


class Sd1Loader:
    """Reads Stable Diffusion 1.x; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = Sd1Adapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults, told = configs / "sd15", told_by(header.path, sidecar)
        names = unet_names(header)
        unet = planned(header.path, "unet", "UNet", lambda: _unet(names, defaults), told)
        text = only_text_file(header, TEXT, unet, configs, "CLIP-L", "clip_l.safetensors")
        components = {
            "unet": unet,
            "text_encoder": planned_text(
                header.path, text, defaults_of(defaults, "text_encoder"), told, "text_encoder"
            ),
            "vae": planned_vae(header, vae, defaults, told, USUAL_VAE),
        }
        scheduler = {
            **defaults_of(defaults, "scheduler"),
            **told_training(header),
            **told.get("scheduler", {}),
        }
        tokenizers = {"text_encoder": configs / "tokenizers" / "clip"}
        return ModelPlan(KEY, header.path, components, scheduler, tokenizers, sidecar)

    def plan_folder(
        self, folder: FolderFacts, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_folder`."""
        told = sidecar.components
        components = {
            "unet": folder_parts.unet(folder, told),
            "text_encoder": folder_parts.clip_text(folder, told, "text_encoder"),
            "vae": vae or folder_parts.vae(folder, told),
        }
        scheduler = {
            **defaults_of(configs / "sd15", "scheduler"),
            **folder.configs.get("scheduler", {}),
            **told.get("scheduler", {}),
        }
        tokenizer = folder_parts.tokenizer(folder, "tokenizer", configs / "tokenizers" / "clip")
        return ModelPlan(
            KEY, folder.path, components, scheduler, {"text_encoder": tokenizer}, sidecar
        )

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, defaults_of(configs / "sd15", "vae"), sidecar)


def _unet(names: Names, defaults: Path) -> tuple[dict[str, Any], Names]:
    read = read_original_unet(names, defaults_of(defaults, "unet"))
    return read.config, read.names
