"""unCLIP models of SD 2.x: they are told what a picture shows, as CLIP's vision model sees it.

The picture's embedding passes through the noise that the model was trained with; the level goes
with it. At the lowest level, the usual one, the noise has its mean, so that the same picture always
says the same. Higher levels let the result stray further from what the picture shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.families import FolderFacts
from modules.catalog.header import Header
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts
from modules.engine.checkpoints.families.single_file import Told, planned
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.open_clip_vision import read_open_clip_vision
from modules.engine.memory import form_of

IMAGE_ENCODER, NORMALISER = "image_encoder", "image_normalizer"
"""Components by diffusers' names."""
VISION = "embedder.model.visual."
AUGMENTOR = "noise_augmentor."
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, per colour."""
SEED_OFFSET = 1 << 40


def file_parts(header: Header, told: Told) -> dict[str, ComponentPlan]:
    """The vision model and the embedding's statistics inside a single file.

    Raises:
        UnsupportedModelError: they are not there, or odd.
    """
    vision = Names.below(header, VISION)
    statistics = Names.below(header, AUGMENTOR)
    if not vision or "data_mean" not in statistics:
        reason = "is an unCLIP model without its vision model; take the full file"
        raise UnsupportedModelError(header.path, reason)
    table = {"data_mean": "mean", "data_std": "std"}
    width = statistics.shape("data_mean")[-1]
    return {
        IMAGE_ENCODER: planned(
            header.path,
            "clip_vision_projection",
            "vision model",
            lambda: read_open_clip_vision(vision),
            told,
            IMAGE_ENCODER,
        ),
        NORMALISER: ComponentPlan(
            "image_normaliser",
            {"embedding_dim": width},
            Names({new: statistics[old] for old, new in table.items()}),
            header.path,
            "embedding's statistics",
        ),
    }


def read_folder_parts(folder: FolderFacts, told: Told) -> dict[str, ComponentPlan]:
    """The same of a diffusers folder."""
    return {
        IMAGE_ENCODER: folder_parts.clip_vision(folder, told, IMAGE_ENCODER),
        NORMALISER: folder_parts.statistics(folder, told, NORMALISER),
    }


def picture_summary(
    networks: Mapping[str, torch.nn.Module],
    pixels: torch.Tensor,
    *,
    level: int = 0,
    seeds: Sequence[int] = (),
) -> torch.Tensor | None:
    """What pictures [batch, 3, height, width] in [-1, 1] show, [batch, 2 * width]; None in models
    that are not told. The second half embeds the noise level.

    Args:
        level: 0 to 999 of the noise that is added to what they show; none is at 0.
        seeds: of that noise, one per picture that is made. A single picture is shown to all.
    """
    if IMAGE_ENCODER not in networks:
        return None
    from modules.engine.sampling.model_sampling import cumulated_alphas

    encoder, normaliser = networks[IMAGE_ENCODER], networks[NORMALISER]
    form = form_of(encoder)
    side = encoder.config.image_size
    seen = torch.nn.functional.interpolate(
        (pixels.float().cpu() + 1) / 2, size=(side, side), mode="bicubic", antialias=True
    ).clamp(0, 1)
    mean, deviation = (torch.tensor(row).view(1, 3, 1, 1) for row in (MEAN, DEVIATION))
    seen = ((seen - mean) / deviation).to(form.device, form.dtype)
    with torch.no_grad():
        embedding = encoder(pixel_values=seen).image_embeds.float()
        kept = float(cumulated_alphas({"beta_schedule": "squaredcos_cap_v2"})[level])
        noise = None
        if level:
            embedding = embedding.expand(len(seeds), -1)
            noise = embedding_noise(seeds, embedding.shape[-1]).to(embedding)
        embedding = normaliser(embedding, kept, noise)
    return torch.cat([embedding, embedded_level(level, embedding)], dim=1)


def embedding_noise(seeds: Sequence[int], width: int) -> torch.Tensor:
    """Unit noise [seeds, width] on the CPU, the same for the same seeds everywhere."""
    rows = []
    for seed in seeds:
        # Not the latents' own noise: its first numbers would be these.
        generator = torch.Generator().manual_seed((seed + SEED_OFFSET) % 2**63)
        rows.append(torch.randn(width, generator=generator))
    return torch.stack(rows)


def embedded_level(level: int, like: torch.Tensor) -> torch.Tensor:
    """Cosines, then sines [batch, width] of a noise level, as timesteps are embedded."""
    half = like.shape[-1] // 2
    rates = torch.exp(torch.arange(half) * -(math.log(10000.0) / half))
    angles = level * rates
    row = torch.nn.functional.pad(
        torch.cat([angles.cos(), angles.sin()]), (0, like.shape[-1] - 2 * half)
    )
    return row.to(like).expand(len(like), -1)


class ImageNormaliser(torch.nn.Module):
    """Mean and deviation of the embeddings of the pictures that a model was trained with."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.mean = torch.nn.Parameter(torch.zeros(1, embedding_dim))
        self.std = torch.nn.Parameter(torch.ones(1, embedding_dim))

    def forward(
        self, embedding: torch.Tensor, kept: float, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """An embedding [batch, width] under noise of unit size in the statistics' terms, at a level
        where the share `kept` of the signal's variance is left. Without noise it only shrinks
        towards the mean."""
        mean, deviation = self.mean.to(embedding), self.std.to(embedding)
        whitened = (embedding - mean) / deviation * kept**0.5
        if noise is not None:
            whitened = whitened + noise * (1 - kept) ** 0.5
        return whitened * deviation + mean
