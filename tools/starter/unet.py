"""The UNet: trained on cached latents, against the clock, resumable."""

from __future__ import annotations

import csv
import logging
import random
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.starter import steps
from tools.starter.concepts import Concept
from tools.starter.config import STRETCHES, Config
from tools.starter.curve import save_curve
from tools.starter.data import Contexts, Data, LiveData
from tools.starter.sampling import FORTY, build_scheduler, read_prompts, sample
from tools.starter.torchvision_guard import define_missing_ops
from tools.starter.vae import load_vae

define_missing_ops()

from diffusers import UNet2DConditionModel  # noqa: E402

log = logging.getLogger(__name__)
_CHECKPOINT_EVERY = 240.0
_SHEET_EVERY = 1200.0
_AVERAGE_EVERY = 10
_AVERAGE_DECAY = 0.99


def build_unet(config: Config) -> UNet2DConditionModel:
    """Build the conditional UNet of the configured size."""
    down = tuple(
        "CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.unet_attention
    )
    up = tuple(
        "CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in config.unet_attention[::-1]
    )
    return UNet2DConditionModel(
        sample_size=config.picture_size // 2 ** (len(config.vae_channels) - 1),
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        layers_per_block=config.unet_layers,
        block_out_channels=config.unet_channels,
        down_block_types=down,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=up,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.unet_heads,
        norm_num_groups=config.unet_groups,
    )


def train_unet(
    config: Config,
    concepts: list[Concept],
    drawings: np.ndarray,
    minutes: float,
    phase: str,
    samples: int = 0,
) -> None:
    """Train for `minutes` more, from `run/unet-<phase>.pt` where it exists.

    With `samples` the phase ends after so many samples, and its learning rate follows their number
    instead of the clock: the same machine then gives the same curve again.

    A phase is one stretch with its own learning-rate decay; its name picks the checkpoint. A
    phase that starts fresh continues from the averaged weights in `run/unet.pt` if there are any.
    """
    started = time.monotonic()
    torch.manual_seed(config.seed)
    stretch = STRETCHES.get(phase, STRETCHES["third"])
    data = (LiveData if config.live else Data)(config, stretch, concepts, drawings)
    unet = build_unet(config).to(config.device)
    optimiser = torch.optim.AdamW(
        unet.parameters(), lr=stretch.learning_rate, betas=(0.9, 0.99), fused=True
    )
    checkpoint = config.run / f"unet-{phase}.pt"
    progress = {"step": 0, "seen": 0, "spent": 0.0}
    average = steps.Average(unet, _AVERAGE_DECAY)
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=config.device)
        unet.load_state_dict(state["unet"])
        optimiser.load_state_dict(state["optimiser"])
        average.values, average.updates = state["average"], state["updates"]
        progress = state["progress"]
    elif (config.run / "unet.pt").exists():
        unet.load_state_dict(torch.load(config.run / "unet.pt", map_location=config.device))
        average = steps.Average(unet, _AVERAGE_DECAY)
    log.info("%.1f M parameters, %s", sum(p.numel() for p in unet.parameters()) / 1e6, progress)

    def save() -> None:
        progress["spent"] = budget.spent
        state = {
            "unet": unet.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": average.values,
            "updates": average.updates,
            "progress": progress,
            "config": {key: str(value) for key, value in asdict(config).items()},
        }
        steps.save_atomically(state, checkpoint)
        steps.save_atomically(average.values, config.run / "unet.pt")
        table = config.run / f"unet-{phase}.csv"
        if table.exists():
            save_curve(table, table.with_suffix(".png"))

    preparation = time.monotonic() - started
    trained = torch.compile(unet) if config.compiled else unet
    budget = steps.Budget(minutes + progress["spent"] / 60, progress["spent"] + preparation)
    saved = shown = budget.spent
    rng = random.Random(config.seed + progress["step"])
    alphas = build_scheduler().alphas_cumprod.to(config.device)
    losses: deque[torch.Tensor] = deque(maxlen=100)
    while not (progress["seen"] >= samples if samples else budget.over):
        share = progress["seen"] / samples if samples else budget.fraction
        rate = stretch.learning_rate * min(1, (progress["step"] + 1) / 200)
        rate *= steps.cosine_tail(share, stretch.decay_from)
        for group in optimiser.param_groups:
            group["lr"] = rate
        latents, contexts = data.batch(rng, config.unet_batch)
        losses.append(_step(trained, optimiser, latents, contexts, alphas, config))
        progress["step"] += 1
        progress["seen"] += config.unet_batch
        if progress["step"] % _AVERAGE_EVERY == 0:
            average.update(unet)
        if progress["step"] % 100 == 0:
            mean = torch.stack(tuple(losses)).mean().item()
            _record(config.run / f"unet-{phase}.csv", progress, budget.spent, mean, rate)
            log.info("%(step)d steps, %(seen)d samples", progress)
            log.info("loss %.4f, rate %.2e, %.0f s", mean, rate, budget.spent)
        if budget.spent - saved > _CHECKPOINT_EVERY:
            save()
            saved = budget.spent
        if budget.spent - shown > _SHEET_EVERY:
            _show(config, average, data.contexts, f"sheet-{phase}-{progress['step']:06d}.png")
            shown = budget.spent
    save()
    _show(config, average, data.contexts, f"sheet-{phase}-final.png")


def _step(
    unet: nn.Module,
    optimiser: torch.optim.Optimizer,
    latents: torch.Tensor,
    contexts: torch.Tensor,
    alphas: torch.Tensor,
    config: Config,
) -> torch.Tensor:
    """One optimiser step on the v-prediction error; timesteps are spread evenly over the batch."""
    count = len(latents)
    strata = (torch.arange(count, device=latents.device) + torch.rand(1, device=latents.device)) % (
        count
    )
    offsets = torch.rand(count, device=latents.device)
    timesteps = ((strata.floor() + offsets) * (len(alphas) / count)).long().clamp(max=999)
    signal = alphas[timesteps].sqrt()[:, None, None, None]
    spread = (1 - alphas[timesteps]).sqrt()[:, None, None, None]
    noise = torch.randn_like(latents)
    noisy = signal * latents + spread * noise
    target = signal * noise - spread * latents
    with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.half):
        guess = unet(noisy, timesteps, contexts).sample
    loss = functional.mse_loss(guess.float(), target)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    optimiser.step()
    return loss.detach()


def _record(path: Path, progress: dict, spent: float, loss: float, rate: float) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        if new:
            writer.writerow(["step", "samples", "seconds", "loss", "learning_rate"])
        row = [progress["step"], progress["seen"], f"{spent:.0f}", f"{loss:.5f}", f"{rate:.2e}"]
        writer.writerow(row)


@torch.no_grad()
def _show(config: Config, average: steps.Average, contexts: Contexts, name: str) -> None:
    unet = build_unet(config).to(config.device).eval()
    average.copy_to(unet)
    latents = sample(
        unet, contexts.of(read_prompts(FORTY)[: config.sheet_prompts]), contexts.of([""]), config
    )
    pictures = load_vae(config).decode(latents).sample
    steps.save_sheet(steps.to_pictures(pictures), config.run / name, 10)
