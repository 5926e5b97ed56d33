"""The autoencoder: train it on crops, then on whole pictures, and whiten its latents."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.starter import steps
from tools.starter.config import Config
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from diffusers import AutoencoderKL  # noqa: E402
from diffusers.models.resnet import ResnetBlock2D  # noqa: E402

log = logging.getLogger(__name__)


def build_vae(config: Config) -> AutoencoderKL:
    """Build the autoencoder with an initialisation that trains quickly.

    Every residual branch starts at zero, and the latents' variance starts small. At least eight
    channels share a normalisation group: fewer would normalise the absolute colours away.
    """
    levels = len(config.vae_channels)
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.vae_channels,
        layers_per_block=1,
        latent_channels=config.latent_channels,
        norm_num_groups=config.vae_groups,
        mid_block_add_attention=False,
        sample_size=config.picture_size,
        scaling_factor=1.0,
        force_upcast=False,
    )
    for module in vae.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            nn.init.zeros_(module.conv2.weight)
    half = config.latent_channels
    nn.init.zeros_(vae.quant_conv.weight[half:])
    nn.init.constant_(vae.quant_conv.bias[half:], -5.0)
    return vae


class Pictures:
    """Random training pictures: objects of many sizes and places on flat colours."""

    def __init__(
        self,
        drawings: np.ndarray,
        config: Config,
        drawn: list[int],
        seed: int,
        exact: float = 0.0,
    ) -> None:
        """Draw from all `drawings`, half of the time from the `drawn` ones.

        A share `exact` of the pictures are the very scenes that the UNet learns.
        """
        self._exact = exact
        from tools.starter.scenes import paint

        self._paint = paint
        self._drawings, self._config, self._drawn = drawings, config, drawn
        self._rng = random.Random(seed)

    def batch(self, count: int, crop: int | None) -> torch.Tensor:
        """Return `[count, 3, side, side]` pixels; `crop` cuts a random square of that side."""
        return steps.to_pixels(np.stack([self._one(crop) for _ in range(count)]))

    def _one(self, crop: int | None) -> np.ndarray:
        rng, config, size = self._rng, self._config, self._config.picture_size
        if rng.random() < self._exact:
            drawing = self._drawings[rng.choice(self._drawn)]
            colour = config.backgrounds[
                0 if rng.random() < 0.3 else rng.randrange(len(config.backgrounds))
            ]
            return self._paint(drawing, colour, size, config.object_size)
        half = rng.random() < 0.5
        row = rng.choice(self._drawn) if half else rng.randrange(len(self._drawings))
        colour = rng.choice(config.backgrounds) if rng.random() < 0.65 else config.backgrounds[0]
        corner, scale = None, config.object_size
        if rng.random() < 0.35:
            scale = rng.uniform(0.4, 1.0)
            room = size - round(size * scale)
            corner = (rng.randint(0, room), rng.randint(0, room))
        picture = self._paint(self._drawings[row], colour, size, scale, corner)
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if crop is None:
            return picture
        top, left = rng.randint(0, size - crop), rng.randint(0, size - crop)
        return picture[top : top + crop, left : left + crop]


def reconstruction_loss(made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 of the pixels, of their gradients and of their 4x4 means."""
    difference = made - target
    down, right = difference.diff(dim=-2).abs().mean(), difference.diff(dim=-1).abs().mean()
    means = functional.avg_pool2d(difference, 4).abs().mean()
    return difference.abs().mean() + 0.25 * (down + right) + 0.5 * means


def train_vae(
    config: Config, drawings: np.ndarray, drawn: list[int], minutes: float
) -> AutoencoderKL:
    """Train from nothing within `minutes`, whiten, save to `run/vae.pt` and return it.

    The first 60 % of the time goes to 64-pixel crops (batch 4, then 8), the rest to whole
    pictures, whose normalisation statistics are those that the model meets in use.
    """
    torch.manual_seed(config.seed)
    vae = build_vae(config).to(config.device)
    pictures = Pictures(drawings, config, drawn, config.seed)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=1.5e-3, betas=(0.9, 0.99), fused=True)
    average = steps.Average(vae, 0.998)
    budget = steps.Budget(minutes)
    step, seen, running = 0, 0, 0.0
    while not budget.over:
        share = budget.fraction
        count, crop = (4, 64) if share < 0.2 else (8, 64) if share < 0.6 else (3, None)
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-3 * min(1, step / 50) * steps.cosine_tail(share, 0.5, 0.01)
        pixels = pictures.batch(count, crop).to(config.device)
        posterior = vae.encode(pixels).latent_dist
        made = vae.decode(posterior.sample()).sample
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        error = reconstruction_loss(made, pixels)
        loss = error + 2e-4 * kl
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        if step % 5 == 0:
            average.update(vae)
        step, seen = step + 1, seen + count
        running += 0.02 * (error.item() - running) if step > 1 else error.item()
        if step % 200 == 0:
            log.info(
                "step %d, %d pictures, %.0f s, error %.4f, kl %.2f",
                step, seen, budget.spent, running, kl.item(),
            )  # fmt: skip
        if step % 1000 == 0:
            steps.save_atomically(vae.state_dict(), config.run / "vae-raw.pt")
    average.copy_to(vae)
    vae.eval()
    log.info("PSNR %.2f dB after %d pictures", measure_psnr(vae, drawings, config, drawn), seen)
    whiten(vae, drawings, config, drawn)
    log.info("PSNR %.2f dB whitened", measure_psnr(vae, drawings, config, drawn))
    steps.save_atomically(vae.state_dict(), config.run / "vae.pt")
    save_reconstructions(vae, drawings, config, drawn, config.run / "vae.png")
    return vae


def load_vae(config: Config, name: str = "vae.pt") -> AutoencoderKL:
    """Load the trained autoencoder in evaluation mode."""
    vae = build_vae(config)
    vae.load_state_dict(torch.load(config.run / name, map_location="cpu"))
    return vae.to(config.device).eval().requires_grad_(False)


@torch.no_grad()
def whiten(vae: AutoencoderKL, drawings: np.ndarray, config: Config, drawn: list[int]) -> None:
    """Give the latents zero mean and unit covariance by folding a 4x4 matrix into two 1x1 layers.

    With `m` and `C = L L^T` the mean and covariance of the raw latents `z`, the encoder's last
    layer gives `L^-1 (z - m)` and the decoder's first undoes it: pictures do not change.
    The latents' log variance is not mixed; the engine uses the mean or a nearly constant spread.
    """
    rng_pictures = Pictures(drawings, config, drawn, config.seed + 1)
    raw = torch.cat(
        [vae.encode(rng_pictures.batch(32, None).to(config.device)).latent_dist.mean]
        + [vae.encode(rng_pictures.batch(32, None).to(config.device)).latent_dist.mean
           for _ in range(7)]
    )  # fmt: skip
    flat = raw.permute(1, 0, 2, 3).flatten(1).double()
    mean = flat.mean(1)
    lower = torch.linalg.cholesky(torch.cov(flat))
    inverse = torch.linalg.inv(lower)
    half = config.latent_channels
    quant, post = vae.quant_conv, vae.post_quant_conv
    weight, bias = quant.weight[:half, :, 0, 0].double(), quant.bias[:half].double()
    quant.weight[:half, :, 0, 0] = (inverse @ weight).to(quant.weight)
    quant.bias[:half] = (inverse @ (bias - mean)).to(quant.bias)
    quant.bias[half:] += 2 * inverse.diagonal().abs().log().to(quant.bias)
    weight = post.weight[:, :, 0, 0].double().clone()
    post.weight[:, :, 0, 0] = (weight @ lower).to(post.weight)
    post.bias += (weight @ mean).to(post.bias)


@torch.no_grad()
def measure_psnr(
    vae: AutoencoderKL, drawings: np.ndarray, config: Config, drawn: list[int]
) -> float:
    """Mean PSNR in dB over 64 fixed random pictures."""
    pixels = Pictures(drawings, config, drawn, 7).batch(64, None).to(config.device)
    made = vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1)
    error = ((made - pixels) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()


@torch.no_grad()
def save_reconstructions(
    vae: AutoencoderKL, drawings: np.ndarray, config: Config, drawn: list[int], path: Path
) -> None:
    """Save sixteen pictures above their reconstructions."""
    pixels = Pictures(drawings, config, drawn, 8).batch(16, None).to(config.device)
    made = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    rows = [pixels[:8], made[:8], pixels[8:], made[8:]]
    steps.save_sheet(steps.to_pictures(torch.cat(rows)), path, 8)
