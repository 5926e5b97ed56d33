"""Stable Diffusion 3 and 3.5 of any size, from one file in the original layout or a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.families import FolderFacts, sd3
from modules.catalog.header import Header
from modules.catalog.parts import TextFile, text_files, text_model
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, separate_parts, vae_file
from modules.engine.checkpoints.families.advice import distilled_advice
from modules.engine.checkpoints.families.base import FamilyAdapter, ModelPlan
from modules.engine.checkpoints.families.separate_parts import Missing
from modules.engine.checkpoints.families.single_file import (
    Told,
    defaults_of,
    planned,
    planned_text,
)
from modules.engine.checkpoints.layouts.mmdit import read_mmdit
from modules.engine.memory import form_of

if TYPE_CHECKING:
    from modules.engine.checkpoints.loaded import LoadedModel
    from modules.engine.conditioning.conditioner import Conditioner
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextStates, TextTower

KEY = sd3.KEY
T5_TOKENS = sd3.T5_TOKENS
CLIP_L_WIDTH, CLIP_G_WIDTH = 768, 1280
_CLIP_L = Missing("CLIP-L", "clip_l.safetensors")
_CLIP_G = Missing("CLIP-G", "clip_g.safetensors")
_VAE_STARTS = ("sd3",)


class Sd3Adapter(FamilyAdapter):
    """Calls MMDiT with the states of both CLIPs and T5 one after the other."""

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
        dtype = form_of(network).dtype
        height, width = x.shape[-2:]
        output = network(
            hidden_states=whole_patches(x, network.config.patch_size).to(dtype),
            timestep=timestep,
            encoder_hidden_states=conditioning.context.to(dtype),
            pooled_projections=conditioning.pooled.to(dtype),
            return_dict=False,
        )[0]
        return output[..., :height, :width].to(x.dtype)

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """CLIP-L, CLIP-G, and T5 if the model has it."""
        from modules.engine.conditioning.t5 import T5Tower
        from modules.engine.conditioning.towers import NEVER, ClipTower

        first, second = "text_encoder", "text_encoder_2"
        towers: list[TextTower] = [
            ClipTower(networks[first], tokenizers[first], layer=2, normed=False, skips=NEVER),
            # OpenCLIP's models were trained with zeros behind the end token.
            ClipTower(
                networks[second], tokenizers[second], layer=2, normed=False, skips=NEVER, pad=0
            ),
        ]
        if "text_encoder_3" in networks:
            third = networks["text_encoder_3"]
            towers.append(T5Tower(third, tokenizers["text_encoder_3"], T5_TOKENS))
        return tuple(towers)

    def conditioner(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> Conditioner:
        """See `FamilyAdapter.conditioner`; the join needs the transformer's text width."""
        from modules.engine.conditioning import Conditioner

        width = networks["unet"].config.joint_attention_dim
        return Conditioner(self.towers(networks, tokenizers), join=partial(join, width=width))

    def advice(self, model: LoadedModel, request: Mapping[str, Any]) -> str:
        """See `FamilyAdapter.advice`: 3.5 large turbo wants few steps."""
        return distilled_advice(model.name, request)


def join(parts: Sequence[TextStates], *, width: int) -> Conditioning:
    """CLIP-L beside CLIP-G, filled up to `width` with zeros; behind them T5, or zeros for it.

    Esser et al. (2024), section 4. The summaries of both CLIPs stand side by side.
    """
    from modules.engine.conditioning.conditioner import join_widths
    from modules.engine.conditioning.conditioning import Conditioning

    clips = join_widths(parts[:2]).context.float()
    clips = torch.nn.functional.pad(clips, (0, width - clips.shape[-1]))
    if len(parts) > 2:
        third = parts[2].states.to(clips)
    else:
        third = clips.new_zeros(len(clips), T5_TOKENS, width)
    pooled = torch.cat([part.pooled.float() for part in parts[:2]], dim=-1)
    return Conditioning(torch.cat([clips, third], dim=1), pooled)


def whole_patches(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Latents [batch, channels, h, w] with the last rows and columns repeated to whole patches."""
    down, right = -x.shape[-2] % patch, -x.shape[-1] % patch
    if not (down or right):
        return x
    return torch.nn.functional.pad(x, (0, right, 0, down), mode="replicate")


class Sd3Loader:
    """Reads SD3; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = Sd3Adapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults, told = configs / "sd3", sidecar.components
        names = separate_parts.transformer_names(header)
        transformer = planned(
            header.path,
            "sd3_transformer",
            "transformer",
            lambda: read_mmdit(names, defaults_of(defaults, "transformer")),
            told,
            "unet",
        )
        components = {
            "unet": transformer,
            **_text_encoders(header, configs, transformer, told),
            "vae": vae
            or separate_parts.vae(
                header, configs, defaults, sidecar, _VAE_STARTS, "sd3_vae.safetensors"
            ),
        }
        scheduler = {**defaults_of(defaults, "scheduler"), **told.get("scheduler", {})}
        tokenizers = _tokenizers(components, configs)
        return ModelPlan(KEY, header.path, components, scheduler, tokenizers, sidecar)

    def plan_folder(
        self, folder: FolderFacts, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_folder`."""
        told = sidecar.components
        components = {
            "unet": separate_parts.transformer_folder(
                folder, told, "sd3_transformer", "SD3Transformer2DModel"
            ),
            "text_encoder": folder_parts.clip_text(folder, told, "text_encoder", projection=True),
            "text_encoder_2": folder_parts.clip_text(
                folder, told, "text_encoder_2", projection=True
            ),
            "vae": vae or folder_parts.vae(folder, told),
        }
        if folder.weights.get("text_encoder_3"):
            components["text_encoder_3"] = separate_parts.t5_folder(folder, "text_encoder_3")
        scheduler = {
            **defaults_of(configs / "sd3", "scheduler"),
            **folder.configs.get("scheduler", {}),
            "prediction_type": "flow",
            **told.get("scheduler", {}),
        }
        tokenizers = separate_parts.folder_tokenizers(folder, _tokenizers(components, configs))
        return ModelPlan(KEY, folder.path, components, scheduler, tokenizers, sidecar)

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, defaults_of(configs / "sd3", "vae"), sidecar)


def _text_encoders(
    header: Header, configs: Path, transformer: ComponentPlan, told: Told
) -> dict[str, ComponentPlan]:
    """Both CLIPs and, where it is found, T5: inside of the file, else from their folder."""
    defaults = configs / "sd3"
    first = text_model(header, separate_parts.CLIP_L)
    second = text_model(header, separate_parts.CLIP_G)
    if first is None or second is None:
        found = list(text_files(header.path, configs))
        first, second = _pair(first, second, found, transformer.config["pooled_projection_dim"])
    separate_parts.refuse_missing(
        header.path, [what for what, one in ((_CLIP_L, first), (_CLIP_G, second)) if one is None]
    )
    plans = {
        name: planned_text(
            header.path,
            file,
            defaults_of(defaults, name),
            told,
            name,
            projection=file.projection,
        )
        for name, file in (("text_encoder", first), ("text_encoder_2", second))
    }
    width = int(transformer.config["joint_attention_dim"])
    third = separate_parts.t5(header, configs, defaults, "text_encoder_3", width)
    return plans if third is None else {**plans, "text_encoder_3": third}


def _pair(
    first: TextFile | None, second: TextFile | None, files: Sequence[TextFile], pooled: int
) -> tuple[TextFile | None, TextFile | None]:
    """The two CLIPs, the narrower first; together they are as wide as the model's summary."""
    by_width = {file.width: file for file in reversed(files)}
    if first is not None:
        return first, by_width.get(pooled - first.width)
    if second is not None:
        return by_width.get(pooled - second.width), second
    for width in sorted(by_width):
        if width < pooled - width and pooled - width in by_width:
            return by_width[width], by_width[pooled - width]
    # Without the pair: whichever of the published models is there is not reported missing.
    return by_width.get(CLIP_L_WIDTH), by_width.get(CLIP_G_WIDTH)


def _tokenizers(components: Mapping[str, ComponentPlan], configs: Path) -> dict[str, Path]:
    clip, t5 = configs / "tokenizers" / "clip", configs / "tokenizers" / "t5"
    names = [name for name in components if name.startswith("text_encoder")]
    return {name: t5 if name == "text_encoder_3" else clip for name in names}
