"""Stable Diffusion XL of any size: base, refiner, inpainting, distilled and pruned models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.families import FolderFacts, sdxl
from modules.catalog.header import Header
from modules.catalog.parts import TextFile, text_files, text_model
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, vae_file
from modules.engine.checkpoints.families.advice import distilled_advice
from modules.engine.checkpoints.families.base import FamilyAdapter, ModelPlan, PictureFacts
from modules.engine.checkpoints.families.guided import of_step, told_guidance
from modules.engine.checkpoints.families.single_file import (
    defaults_of,
    no_text_encoder,
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

KEY = sdxl.KEY
FIRST_TEXT = "conditioner.embedders.0.transformer."
USUAL_VAE = "sdxl_vae.safetensors"
SIZES = 6
"""Numbers that the base is told: original height and width, crop top and left, target height and
width."""
SIZES_AND_SCORE = 5
"""Numbers that the refiner is told: the first four, and an aesthetic score."""
PENULTIMATE = 2
PAD = 0
"""OpenCLIP fills up with id 0; CLIP-L with the end token."""


class SdxlAdapter(FamilyAdapter):
    """Calls the UNet with both text models' states, the second's summary, and the sizes."""

    key = KEY
    zero_empty_negative = True
    align_your_steps = "sdxl"

    def predict(
        self,
        network: torch.nn.Module,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """See `FamilyAdapter.predict`; `added` holds "time_ids" [batch, 6 or 5]."""
        dtype = form_of(network).dtype
        output = network(
            x.to(dtype),
            timestep,
            encoder_hidden_states=conditioning.context.to(dtype),
            added_cond_kwargs={
                "text_embeds": conditioning.pooled.to(dtype),
                "time_ids": added["time_ids"],
            },
            timestep_cond=of_step(added, dtype),
            return_dict=False,
        )[0]
        return output.to(x.dtype)

    def added_conditioning(
        self, plan: ModelPlan, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """The sizes under A1111's settings: `sdxl_crop_top`, `sdxl_crop_left` and, for the refiner,
        `sdxl_refiner_high_aesthetic_score` (prompt) and `…_low_…` (negative prompt)."""
        options = picture.options
        size = [picture.height, picture.width]
        crop = [int(options.get("sdxl_crop_top", 0)), int(options.get("sdxl_crop_left", 0))]
        told = [*size, *crop, *size]
        if _told_count(plan) == SIZES_AND_SCORE:
            high = float(options.get("sdxl_refiner_high_aesthetic_score", 6.0))
            low = float(options.get("sdxl_refiner_low_aesthetic_score", 2.5))
            told = [*size, *crop, low if negative else high]
        sizes = {"time_ids": torch.tensor([told], dtype=torch.float32)}
        return {**sizes, **told_guidance(plan, picture)}

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """CLIP-L (not in the refiner) and OpenCLIP bigG, both by the states before the last
        layer, without a final norm."""
        from modules.engine.conditioning.towers import NEVER, ON_REQUEST, ClipTower

        towers = [
            ClipTower(
                networks["text_encoder_2"],
                tokenizers["text_encoder_2"],
                layer=PENULTIMATE,
                normed=False,
                skips=NEVER,
                pad=PAD,
            )
        ]
        if "text_encoder" in networks:
            first = ClipTower(
                networks["text_encoder"],
                tokenizers["text_encoder"],
                layer=PENULTIMATE,
                normed=False,
                skips=ON_REQUEST,
            )
            towers.insert(0, first)
        return tuple(towers)

    def advice(self, model: LoadedModel, request: Mapping[str, Any]) -> str:
        """See `FamilyAdapter.advice`: distilled models want few steps."""
        return distilled_advice(model.name, request, guided=self.embeds_guidance(model.plan))


@dataclass(frozen=True)
class _Texts:
    """Where the two text models lie; the refiner has no first one."""

    first: TextFile | None
    second: TextFile


class SdxlLoader:
    """Reads SDXL; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = SdxlAdapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults, told = configs / "sdxl", told_by(header.path, sidecar)
        names = unet_names(header)
        width = _context_width(names)
        texts = _text_files(header, width, configs)
        second = planned_text(
            header.path,
            texts.second,
            defaults_of(defaults, "text_encoder_2"),
            told,
            "text_encoder_2",
            projection=True,
        )
        components = {
            "unet": planned(
                header.path,
                "unet",
                "UNet",
                lambda: _unet(names, defaults, second, base=texts.first is not None),
                told,
            ),
            "text_encoder_2": second,
            "vae": planned_vae(header, vae, defaults, told, USUAL_VAE),
        }
        if texts.first is not None:
            components["text_encoder"] = planned_text(
                header.path,
                texts.first,
                defaults_of(defaults, "text_encoder"),
                told,
                "text_encoder",
            )
        scheduler = {
            **defaults_of(defaults, "scheduler"),
            **told_training(header),
            **told.get("scheduler", {}),
        }
        tokenizer = configs / "tokenizers" / "clip"
        tokenizers = {name: tokenizer for name in components if name.startswith("text_encoder")}
        return ModelPlan(KEY, header.path, components, scheduler, tokenizers, sidecar)

    def plan_folder(
        self, folder: FolderFacts, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_folder`."""
        told = sidecar.components
        components = {
            "unet": folder_parts.unet(folder, told),
            "text_encoder_2": folder_parts.clip_text(
                folder, told, "text_encoder_2", projection=True
            ),
            "vae": vae or folder_parts.vae(folder, told),
        }
        shipped = configs / "tokenizers" / "clip"
        tokenizers = {"text_encoder_2": folder_parts.tokenizer(folder, "tokenizer_2", shipped)}
        if "text_encoder" in folder.classes:
            components["text_encoder"] = folder_parts.clip_text(folder, told, "text_encoder")
            tokenizers["text_encoder"] = folder_parts.tokenizer(folder, "tokenizer", shipped)
        scheduler = {
            **defaults_of(configs / "sdxl", "scheduler"),
            **folder.configs.get("scheduler", {}),
            **told.get("scheduler", {}),
        }
        plan = ModelPlan(KEY, folder.path, components, scheduler, tokenizers, sidecar)
        if _told_count(plan) not in (SIZES, SIZES_AND_SCORE):
            raise UnsupportedModelError(folder.path, "its UNet is told other things than sizes")
        return plan

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, defaults_of(configs / "sdxl", "vae"), sidecar)


def _told_count(plan: ModelPlan) -> int:
    """How many numbers the UNet is told beside the summary of the text."""
    unet = plan.components["unet"].config
    summary = int(plan.components["text_encoder_2"].config["projection_dim"])
    each = int(unet.get("addition_time_embed_dim") or 256)
    return (int(unet["projection_class_embeddings_input_dim"]) - summary) // each


def _unet(
    names: Names, defaults: Path, second: ComponentPlan, *, base: bool
) -> tuple[dict[str, Any], Names]:
    read = read_original_unet(names, defaults_of(defaults, "unet"), wide_heads=True)
    count = SIZES if base else SIZES_AND_SCORE
    told = read.config["projection_class_embeddings_input_dim"] - second.config["projection_dim"]
    if told <= 0 or told % count:
        raise ValueError(f"it is told {told} values, which are not {count} embedded numbers")
    read.config["addition_time_embed_dim"] = told // count
    return read.config, read.names


def _context_width(names: Names) -> int:
    return next((names.shape(n)[1] for n in names if n.endswith(".attn2.to_k.weight")), 0)


def _text_files(header: Header, width: int, configs: Path) -> _Texts:
    """The text models inside the file, else some that lie around; their widths add up to `width`.

    Raises:
        UnsupportedModelError: one of them is nowhere; says where to put it.
    """
    alone = text_model(header, sdxl.REFINER_TEXT)
    if alone is not None:
        return _Texts(None, alone)
    first, second = text_model(header, FIRST_TEXT), text_model(header, sdxl.BASE_TEXT)
    around = [] if first and second else list(text_files(header.path, configs))
    if second is None:
        wanted = None if first is None else width - first.width
        second = _second_around(around, width, wanted)
        if second is None:
            what = "OpenCLIP bigG" if first else "CLIP-L and OpenCLIP bigG"
            usual = "clip_g.safetensors" if first else "clip_l.safetensors and clip_g.safetensors"
            raise no_text_encoder(header, what, usual)
    if first is None and second.width < width:
        first = next((one for one in around if one.width == width - second.width), None)
        if first is None:
            raise no_text_encoder(header, "CLIP-L", "clip_l.safetensors")
    return _Texts(first, second)


def _second_around(files: list[TextFile], width: int, wanted: int | None) -> TextFile | None:
    """A text model with a projection: of the wanted width, else the wider of the two."""
    fitting = [
        file
        for file in files
        if file.projection
        and (file.width == wanted if wanted else width < 2 * file.width <= 2 * width)
    ]
    return max(fitting, key=lambda file: file.width, default=None)
