"""Stable Diffusion 2.x of any size: base, 768-v, inpainting, depth and unCLIP models."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.families import FolderFacts, sd2
from modules.catalog.header import Header
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, sd1, unclip, vae_file
from modules.engine.checkpoints.families.base import ModelPlan, PictureFacts
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
from modules.engine.checkpoints.families.training import (
    EPSILON,
    VELOCITY,
    name_hints_velocity,
    told_training,
)
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import CLASS, LABEL, read_original_unet
from modules.engine.memory import form_of

if TYPE_CHECKING:
    from modules.engine.conditioning.conditioning import Conditioning
    from modules.engine.conditioning.towers import TextTower

logger = logging.getLogger("easel.engine")

KEY = sd2.KEY
TEXT = "cond_stage_model.model."
UNUSED_LAYERS = 1
"""The family was trained on the states before the last layer, so that one is never read."""
PAD = 0
"""OpenCLIP fills up with id 0, not with the end token."""
OWN_SIDE = {EPSILON: 64, VELOCITY: 96}
"""Side in latent pixels of what models of either kind were trained on."""
_LABEL = LABEL.format(0) + ".weight"
_LABELS = "class_labels"
VELOCITY_BELOW = -1.0
"""Mean difference between output and input at the highest noise level, see `probe`."""


class Sd2Adapter(sd1.Sd1Adapter):
    """Calls the UNet with the states before the last layer of one OpenCLIP text model."""

    key = KEY

    def towers(
        self, networks: Mapping[str, torch.nn.Module], tokenizers: Mapping[str, Path]
    ) -> tuple[TextTower, ...]:
        """OpenCLIP's text model; its last layer was left out, clip skip does not count."""
        from modules.engine.conditioning.towers import NEVER, ClipTower

        network, tokenizer = networks["text_encoder"], tokenizers["text_encoder"]
        return (ClipTower(network, tokenizer, skips=NEVER, pad=PAD),)

    def predict(
        self,
        network: torch.nn.Module,
        x: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        added: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        """See `FamilyAdapter.predict`; unCLIP's `added` holds "class_labels" [batch, width]."""
        dtype = form_of(network).dtype
        output = network(
            x.to(dtype),
            timestep,
            encoder_hidden_states=conditioning.context.to(dtype),
            class_labels=added[_LABELS].to(dtype) if added and _LABELS in added else None,
            timestep_cond=of_step(added, dtype),
            return_dict=False,
        )[0]
        return output.to(x.dtype)

    def added_conditioning(
        self, plan: ModelPlan, picture: PictureFacts, *, negative: bool = False
    ) -> Mapping[str, torch.Tensor]:
        """unCLIP: what the picture shows; zeros for the negative prompt and without a picture."""
        config, told = plan.components["unet"].config, told_guidance(plan, picture)
        if config.get("class_embed_type") != "projection":
            return told
        if negative or picture.summary is None:
            width = int(config["projection_class_embeddings_input_dim"])
            return {**told, _LABELS: torch.zeros(1, width)}
        return {**told, _LABELS: picture.summary}

    def summary(
        self,
        networks: Mapping[str, torch.nn.Module],
        pixels: torch.Tensor,
        request: Mapping[str, Any],
        seeds: Sequence[int],
    ) -> torch.Tensor | None:
        """See `FamilyAdapter.summary`; only unCLIP models are told what a picture shows."""
        return unclip.picture_summary(
            networks, pixels, level=int(request.get("noise_level") or 0), seeds=seeds
        )

    def settled(self, plan: ModelPlan, networks: Mapping[str, torch.nn.Module]) -> ModelPlan:
        """Find out whether the network predicts noise or v, when nothing has said so."""
        if not plan.undecided:
            return plan
        difference = probe(networks["unet"])
        velocity = difference < VELOCITY_BELOW
        if difference != difference:  # NaN: the weights tell nothing
            velocity = name_hints_velocity(plan.path)
        kind = VELOCITY if velocity else EPSILON
        logger.info("%s predicts %s (tried: %.3f)", plan.path.name, kind, difference)
        unet = plan.components["unet"]
        sized = replace(unet, config={**unet.config, "sample_size": OWN_SIDE[kind]})
        return replace(
            plan,
            components={**plan.components, "unet": sized},
            scheduler={**plan.scheduler, "prediction_type": kind},
            undecided=False,
        )


class Sd2Loader:
    """Reads Stable Diffusion 2.x; hyper-parameters come from shapes, the rest from `configs`."""

    key = KEY
    adapter = Sd2Adapter()

    def plan_file(
        self, header: Header, sidecar: Sidecar, configs: Path, vae: ComponentPlan | None
    ) -> ModelPlan:
        """See `FamilyLoader.plan_file`."""
        defaults, told = configs / "sd2", told_by(header.path, sidecar)
        names = unet_names(header)
        scheduler = {
            **told_training(header),
            **told.get("scheduler", {}),
        }
        told_pictures = _LABEL in names
        if told_pictures:
            scheduler = {"prediction_type": VELOCITY, **scheduler}
        kind = scheduler.get("prediction_type")
        unet = planned(header.path, "unet", "UNet", lambda: _unet(names, defaults, kind), told)
        text = only_text_file(header, TEXT, unet, configs, "OpenCLIP ViT-H", "clip_h.safetensors")
        components = {
            "unet": unet,
            "text_encoder": planned_text(
                header.path,
                text,
                defaults_of(defaults, "text_encoder"),
                told,
                "text_encoder",
                unused_layers=UNUSED_LAYERS,
            ),
            "vae": planned_vae(header, vae, defaults, told, sd1.USUAL_VAE),
        }
        if told_pictures:
            components |= unclip.file_parts(header, told)
        tokenizers = {"text_encoder": configs / "tokenizers" / "clip"}
        return ModelPlan(
            KEY,
            header.path,
            components,
            {**defaults_of(defaults, "scheduler"), **scheduler},
            tokenizers,
            sidecar,
            # Inpainting and depth models were only ever trained to predict noise.
            undecided=kind is None and unet.config["in_channels"] == 4,
        )

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
        if components["unet"].config.get("class_embed_type") == "projection":
            components |= unclip.read_folder_parts(folder, told)
        scheduler = {**folder.configs.get("scheduler", {}), **told.get("scheduler", {})}
        tokenizer = folder_parts.tokenizer(folder, "tokenizer", configs / "tokenizers" / "clip")
        unet = components["unet"].config
        return ModelPlan(
            KEY,
            folder.path,
            components,
            {**defaults_of(configs / "sd2", "scheduler"), **scheduler},
            {"text_encoder": tokenizer},
            sidecar,
            undecided=not scheduler.get("prediction_type")
            and unet.get("in_channels") == 4
            and unet.get("class_embed_type") is None,
        )

    def plan_vae(self, path: Path, configs: Path, sidecar: Sidecar) -> ComponentPlan:
        """See `FamilyLoader.plan_vae`."""
        return vae_file.plan_vae(path, defaults_of(configs / "sd2", "vae"), sidecar)


def probe(network: torch.nn.Module) -> float:
    """Mean of output minus input for a flat grey picture at the highest noise level.

    There the noise that a network sees is nearly all of its input: one that predicts noise gives
    the input back (about 0), one that predicts v gives minus the picture, far below. The test and
    its threshold are those of A1111.
    """
    config = network.config
    form = form_of(network)
    device, dtype = form.device, form.dtype
    side = 2 ** (len(config["block_out_channels"]) - 1)
    x = torch.full((1, config["in_channels"], side, side), 0.5, device=device, dtype=dtype)
    context = torch.full((1, 2, config["cross_attention_dim"]), 0.5, device=device, dtype=dtype)
    timestep = torch.tensor([999], device=device)
    with torch.no_grad():
        output = network(x, timestep, encoder_hidden_states=context, return_dict=False)[0]
    return float((output.float() - x.float()).mean())


def _unet(names: Names, defaults: Path, kind: str | None) -> tuple[dict[str, Any], Names]:
    known = {**defaults_of(defaults, "unet"), "sample_size": OWN_SIDE.get(kind, 64)}
    read = read_original_unet(names, known, label=CLASS, wide_heads=True)
    if _LABEL in names:
        read.config["class_embed_type"] = "projection"
    return read.config, read.names
