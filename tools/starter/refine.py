"""Refine the decoder alone: the encoder stays, so cached latents and the UNet stay valid."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import nn

from tools.starter import steps
from tools.starter.config import Config
from tools.starter.vae import (
    Pictures,
    load_vae,
    measure_psnr,
    reconstruction_loss,
    save_reconstructions,
)

log = logging.getLogger(__name__)
_BATCH = 4
_RATE = 6e-4
_SAVE_EVERY = 600.0
_JITTER = 0.08
"""Spread of the noise on the latents: the decoder should forgive a UNet's small errors."""


def refine_decoder(config: Config, drawings: np.ndarray, drawn: list[int], minutes: float) -> None:
    """Train the decoder for `minutes` and save the whole autoencoder as `run/vae-refined.pt`."""
    torch.manual_seed(config.seed + 2)
    resumed = (config.run / "vae-refined.pt").exists()
    vae = load_vae(config, "vae-refined.pt" if resumed else "vae.pt")
    trained = [vae.decoder, vae.post_quant_conv]
    for module in trained:
        module.requires_grad_(True)
    parameters = [p for module in trained for p in module.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, betas=(0.9, 0.99), fused=True)
    average = steps.Average(vae, 0.998)
    pictures = Pictures(drawings, config, drawn, config.seed + 3, exact=0.8)
    budget, step, running, saved = steps.Budget(minutes), 0, 0.0, 0.0
    while not budget.over:
        rate = _RATE * min(1, (step + 1) / 100) * steps.cosine_tail(budget.fraction, 0.3, 0.01)
        for group in optimiser.param_groups:
            group["lr"] = rate
        pixels = pictures.batch(_BATCH, None).to(config.device)
        with torch.no_grad():
            latents = vae.encode(pixels).latent_dist.mean
            latents = latents + _JITTER * torch.randn_like(latents)
        loss = reconstruction_loss(vae.decode(latents).sample, pixels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        running += 0.02 * (loss.item() - running) if step > 1 else loss.item()
        if step % 5 == 0:
            average.update(vae)
        if step % 200 == 0:
            log.info("step %d, %.0f s, loss %.4f", step, budget.spent, running)
        if budget.spent - saved > _SAVE_EVERY:
            saved = budget.spent
            steps.save_atomically(average.values, config.run / "vae-refined.pt")
    average.copy_to(vae)
    vae.eval()
    log.info("PSNR %.2f dB", measure_psnr(vae, drawings, config, drawn))
    steps.save_atomically(average.values, config.run / "vae-refined.pt")
    save_reconstructions(vae, drawings, config, drawn, config.run / "vae-refined.png")
