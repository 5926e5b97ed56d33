"""FLUX.1 dev and schnell of any size, from one file in the makers' layout or a diffusers folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.families import FolderFacts, flux
from modules.catalog.header import Header
from modules.catalog.parts import text_files, text_model
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, separate_parts, vae_file
from modules.engine.checkpoints.families.base import FamilyAdapter, ModelPlan, PictureFacts
from modules.engine.checkpoints.families.sd3 import whole_patches
from modules.engine.checkpoints.families.separate_parts import Missing
from modules.engine.checkpoints.families.single_file import (
    Told,
    defaults_of,
    planned,
    planned_text,
)
from modules.engine.checkpoints.layouts.flux import latent_channels, read_flux
from modules.engine.memory import form_of

if TYPE_CHECKING:
    from modules.engine.checkpoints.loaded import LoadedModel
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextStates, TextTower

KEY = flux.KEY
DEV_TOKENS, SCHNELL_TOKENS = (flux.T5_TOKENS[kind] for kind in (flux.DEV, flux.SCHNELL))
PATCH = 2
USUAL_GUIDANCE = 3.5
MANY_STEPS = 12
"""More than schnell, which was distilled to 4, has any use for."""
_CLIP = Missing("CLIP-L", "clip_l.safetensors")
_T5 = Missing("T5", "t5xxl_fp16.safetensors")
_VAE_STARTS = ("ae.", "flux")


class FluxAdapter(FamilyAdapter):
    """Calls the transformer with T5's states, CLIP's summary and, for dev, the guidance."""

    key = KEY

    def predict(
        self,
        network: torch.nn.Module,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """See `FamilyAdapter.predict`; `added` may hold the distilled guidance."""
        dtype = form_of(network).dtype
        height, width = x.shape[-2:]
        whole = whole_patches(x, PATCH)
        rows, columns = whole.shape[-2] // PATCH, whole.shape[-1] // PATCH
        context = conditioning.context.to(dtype)
        guidance = (added or {}).get("guidance")
        output = network(
            hidden_states=packed(whole).to(dtype),
            timestep=timestep / 1000,
            guidance=guidance,
            pooled_projections=conditioning.pooled.to(dtype),
            encoder_hidden_states=context,
            txt_ids=torch.zeros(context.shape[1], 3, device=x.device),
            img_ids=positions(rows, columns, x.device),
            return_dict=False,
        )[0]
        return unpacked(output, rows, columns)[..., :height, :width].to(x.dtype)

    def added_conditioning(
        self, plan: ModelPlan, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """The distilled guidance [1], for the model that takes one."""
        scale = distilled_guidance(picture.request, plan)
        return {} if scale is None else {"guidance": torch.tensor([scale])}

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """CLIP-L and T5."""
        from modules.engine.conditioning.t5 import T5Tower
        from modules.engine.conditioning.towers import NEVER, ClipTower

        first, second = "text_encoder", "text_encoder_2"
        tokens = DEV_TOKENS if networks["unet"].config.guidance_embeds else SCHNELL_TOKENS
        return (
            ClipTower(networks[first], tokenizers[first], skips=NEVER),
            T5Tower(networks[second], tokenizers[second], tokens),
        )

    def join(self, parts: Sequence[TextStates]) -> Conditioning:
        """T5's states and CLIP's summary."""
        from modules.engine.conditioning.conditioning import Conditioning

        clip, t5 = parts
        return Conditioning(t5.states, clip.pooled)

    def advice(self, model: LoadedModel, request: Mapping[str, Any]) -> str:
        """See `FamilyAdapter.advice`: these models are distilled from guidance, or to few steps."""
        wrong = []
        if float(request.get("cfg_scale") or 0) > 1:
            guided = bool(model.plan.components["unet"].config.get("guidance_embeds"))
            instead = " (the Distilled CFG Scale guides it)" if guided else ""
            wrong.append(f"a CFG scale of 1{instead}")
        few = model.plan.components["unet"].config.get("guidance_embeds") is False
        if few and int(request.get("steps") or 0) > MANY_STEPS:
            wrong.append("4 steps")
        return f"{model.name} is a FLUX.1 model: try {' and '.join(wrong)}." if wrong else ""


def distilled_guidance(request: Mapping[str, Any], plan: ModelPlan) -> float | None:
    """The guidance that a model is told; None for models that take none."""
    if plan.family != KEY or not plan.components["unet"].config.get("guidance_embeds"):
        return None
    asked = request.get("distilled_cfg_scale")
    return USUAL_GUIDANCE if asked is None else float(asked)


def packed(x: torch.Tensor) -> torch.Tensor:
    """Latents [batch, channels, h, w] as places [batch, h/2 * w/2, channels * 4]."""
    places = torch.nn.functional.pixel_unshuffle(x, PATCH)
    return places.flatten(2).transpose(1, 2)


def unpacked(places: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The inverse of `packed` for `rows` x `columns` places."""
    grid = places.transpose(1, 2).unflatten(2, (rows, columns))
    return torch.nn.functional.pixel_shuffle(grid, PATCH)


def positions(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """Where each place lies: [rows * columns, 3] of (0, row, column), in float32.

    In half precision places of large pictures would fall together.
    """
    down = torch.arange(rows, device=device).repeat_interleave(columns)
    across = torch.arange(columns, device=device).repeat(rows)
    return torch.stack([torch.zeros_like(down), down, across], dim=1).float()


class FluxLoader:
    """Reads FLUX.1; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = FluxAdapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults, told = configs / "flux", sidecar.components
        names = separate_parts.transformer_names(header)
        transformer = planned(
            header.path,
            "flux_transformer",
            "transformer",
            lambda: read_flux(names, defaults_of(defaults, "transformer")),
            told,
            "unet",
        )
        components = {
            "unet": transformer,
            **_text_encoders(header, configs, transformer, told),
            "vae": vae
            or separate_parts.vae(
                header, configs, defaults, sidecar, _VAE_STARTS, "ae.safetensors"
            ),
        }
        scheduler = {**_scheduler(defaults, transformer.config), **told.get("scheduler", {})}
        return ModelPlan(KEY, header.path, components, scheduler, _tokenizers(configs), sidecar)

    def plan_folder(
        self, folder: FolderFacts, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_folder`."""
        told, defaults = sidecar.components, configs / "flux"
        found = separate_parts.transformer_folder(
            folder, told, "flux_transformer", "FluxTransformer2DModel"
        )
        config = {
            **defaults_of(defaults, "transformer"),
            **found.config,
            "latent_channels": latent_channels(int(found.config.get("in_channels", 64))),
        }
        components = {
            "unet": replace(found, config=config),
            "text_encoder": folder_parts.clip_text(folder, told, "text_encoder"),
            "text_encoder_2": separate_parts.t5_folder(folder, "text_encoder_2"),
            "vae": vae or folder_parts.vae(folder, told),
        }
        scheduler = {
            **_scheduler(defaults, config),
            **folder.configs.get("scheduler", {}),
            "prediction_type": "flow",
            **told.get("scheduler", {}),
        }
        tokenizers = separate_parts.folder_tokenizers(folder, _tokenizers(configs))
        return ModelPlan(KEY, folder.path, components, scheduler, tokenizers, sidecar)

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, defaults_of(configs / "flux", "vae"), sidecar)


def _text_encoders(
    header: Header, configs: Path, transformer: ComponentPlan, told: Told
) -> dict[str, ComponentPlan]:
    """CLIP-L and T5: inside of the file, else from their folder."""
    defaults, config = configs / "flux", transformer.config
    first = text_model(header, separate_parts.CLIP_L)
    if first is None:
        width = int(config["pooled_projection_dim"])
        found = text_files(header.path, configs)
        first = next((one for one in found if one.width == width), None)
    width = int(config["joint_attention_dim"])
    second = separate_parts.t5(header, configs, defaults, "text_encoder_2", width)
    separate_parts.refuse_missing(
        header.path, [what for what, one in ((_CLIP, first), (_T5, second)) if one is None]
    )
    name = "text_encoder"
    return {
        name: planned_text(header.path, first, defaults_of(defaults, name), told, name),
        "text_encoder_2": second,
    }


def _scheduler(defaults: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """How dev and schnell were trained: only dev's times depend on the picture's size."""
    return {
        **defaults_of(defaults, "scheduler"),
        "use_dynamic_shifting": bool(config.get("guidance_embeds")),
    }


def _tokenizers(configs: Path) -> dict[str, Path]:
    folder = configs / "tokenizers"
    return {"text_encoder": folder / "clip", "text_encoder_2": folder / "t5"}
