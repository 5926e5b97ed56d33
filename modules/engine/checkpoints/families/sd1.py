"""Stable Diffusion 1.x of any size, from a diffusers folder or one file in the original layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError
from modules.catalog.families import FolderFacts, sd1
from modules.catalog.folders import read_json
from modules.catalog.header import Header
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, vae_file
from modules.engine.checkpoints.families.base import ModelPlan
from modules.engine.checkpoints.layouts.clip_text import read_clip_text
from modules.engine.checkpoints.layouts.ema import PREFIX as EMA_PREFIX
from modules.engine.checkpoints.layouts.ema import ema_names
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import read_original_unet

if TYPE_CHECKING:
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextTower

KEY = sd1.KEY
UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."


class Sd1Adapter:
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
        """See `FamilyAdapter.predict`; nothing is added in this family."""
        dtype = network.dtype
        output = network(
            x.to(dtype),
            timestep,
            encoder_hidden_states=conditioning.context.to(dtype),
            return_dict=False,
        )[0]
        return output.to(x.dtype)

    def added_conditioning(
        self, *, batch: int, width: int, height: int, crop_left: int = 0, crop_top: int = 0
    ) -> Mapping[str, torch.Tensor]:
        """Nothing: the picture's size is not told to these models."""
        return {}

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """CLIP's text model alone."""
        from modules.engine.conditioning.towers import ClipTower

        return (ClipTower(networks["text_encoder"], tokenizers["text_encoder"]),)


class Sd1Loader:
    """Reads Stable Diffusion 1.x; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = Sd1Adapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults = configs / "sd15"
        unet_names = _unet_names(header)
        text_names = Names.below(header, TEXT)
        vae_names = Names.below(header, VAE)
        missing = [
            part
            for part, there in {
                "UNet": bool(unet_names),
                "text encoder": bool(text_names),
                "VAE": vae is not None or bool(vae_names),
            }.items()
            if not there
        ]
        if missing:
            hint = "; choose a VAE file for it" if missing == ["VAE"] else ""
            raise UnsupportedModelError(header.path, f"has no {' and no '.join(missing)}{hint}")
        told = sidecar.components
        components = {
            "unet": _planned(
                header.path, "unet", "UNet", lambda: _unet(unet_names, defaults), told
            ),
            "text_encoder": _planned(
                header.path,
                "clip_text",
                "text encoder",
                lambda: read_clip_text(text_names, _defaults(defaults, "text_encoder")),
                told,
                "text_encoder",
            ),
            "vae": vae or self._vae(header.path, vae_names, defaults, sidecar),
        }
        scheduler = {
            **_defaults(defaults, "scheduler"),
            **_prediction(header),
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
            **_defaults(configs / "sd15", "scheduler"),
            **folder.configs.get("scheduler", {}),
            **told.get("scheduler", {}),
        }
        tokenizer = folder_parts.tokenizer(folder, "tokenizer", configs / "tokenizers" / "clip")
        return ModelPlan(
            KEY, folder.path, components, scheduler, {"text_encoder": tokenizer}, sidecar
        )

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, _defaults(configs / "sd15", "vae"), sidecar)

    def _vae(self, path: Path, names: Names, defaults: Path, sidecar: Sidecar) -> ComponentPlan:
        return vae_file.plan_names(
            path, names, {**_defaults(defaults, "vae"), **sidecar.components.get("vae", {})}
        )


def _unet_names(header: Header) -> Names:
    names = Names.below(header, UNET)
    if names or not header.has_prefix(EMA_PREFIX):
        return names
    try:
        return ema_names(header)
    except ValueError as error:
        raise UnreadableModelError(header.path, f"has an odd moving average: {error}") from error


def _unet(names: Names, defaults: Path) -> tuple[dict[str, Any], Names]:
    read = read_original_unet(names, _defaults(defaults, "unet"))
    return read.config, read.names


def _planned(
    path: Path,
    kind: str,
    part: str,
    read: Callable[[], tuple[dict[str, Any], Names]],
    told: Mapping[str, Mapping[str, Any]],
    name: str | None = None,
) -> ComponentPlan:
    try:
        config, names = read()
    except ValueError as error:
        raise UnsupportedModelError(path, f"has an odd {part}: {error}") from error
    return ComponentPlan(kind, {**config, **told.get(name or kind, {})}, names, path, part)


def _defaults(folder: Path, component: str) -> dict[str, Any]:
    name = "scheduler_config.json" if component == "scheduler" else "config.json"
    config = read_json(folder / component / name, folder)
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _prediction(header: Header) -> dict[str, Any]:
    """What a file says about its training: marker tensors or Stability's metadata."""
    told: dict[str, Any] = {}
    if "v_pred" in header or header.metadata.get("modelspec.prediction_type") == "v":
        told["prediction_type"] = "v_prediction"
    if "ztsnr" in header:
        told["rescale_betas_zero_snr"] = True
        told["timestep_spacing"] = "trailing"
    return told
