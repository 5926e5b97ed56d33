"""The noise levels a diffusion model was trained with, and how timesteps map to them.

Sigmas are those of Karras et al. (2022): ``x = x0 + sigma * noise``, for variance preserving
models ``sigma = sqrt((1 - alphas_cumprod) / alphas_cumprod)``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

# What A1111 puts in place of the zero of a terminal signal-to-noise ratio of zero: sigma 4518.79.
TERMINAL_ALPHA_CUMPROD = 4.8973451890853435e-08

# Above this sigma x holds no signal that a model could have been trained on; only models with zero
# terminal SNR get here, and solvers take their first step with Euler's method.
TERMINAL_SIGMA = 1000.0

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True, eq=False)
class ModelSampling:
    """Discrete noise schedule of a model: ``sigmas[t]`` ascending for the timesteps ``t``."""

    alphas_cumprod: Tensor
    """[timesteps] float32 on the CPU, descending."""
    prediction_type: str = "epsilon"
    """What the network predicts: ``epsilon``, ``v_prediction``, ``sample``, or ``flow`` (see
    ``modules.engine.sampling.flow``)."""
    body_sigma_max: float = 0.0
    """Largest sigma that still carries signal; below ``sigma_max`` only for zero terminal SNR."""
    zero_terminal_snr: bool = False
    """Whether the model itself (not a setting) was trained with zero terminal SNR."""
    timestep_spacing: str = "leading"
    """How the model's makers spread timesteps: ``leading``, ``trailing`` or ``linspace``."""
    steps_offset: int = 1
    """Added to ``leading`` timesteps."""
    set_alpha_to_one: bool = False
    """Whether the step below the first timestep is free of noise (sigma 0)."""
    quantize: bool = False
    """Round to the nearest timestep instead of interpolating."""
    sigmas: Tensor = field(init=False)
    """[timesteps] float32 on the CPU, ascending."""
    log_sigmas: Tensor = field(init=False)

    def __post_init__(self) -> None:
        sigmas = self._sigmas()
        object.__setattr__(self, "sigmas", sigmas)
        object.__setattr__(self, "log_sigmas", sigmas.log())
        object.__setattr__(self, "_levels", self.log_sigmas.double().tolist())
        object.__setattr__(self, "_on_device", {"cpu": self.log_sigmas})
        if not self.body_sigma_max:
            object.__setattr__(self, "body_sigma_max", float(sigmas[-1]))

    @classmethod
    def from_scheduler_config(cls, config: Mapping[str, Any]) -> ModelSampling:
        """The schedule a diffusers ``scheduler_config.json`` describes; missing keys as in SD 1.5.

        Raises:
            ValueError: an unknown beta schedule or prediction type.
        """
        if config.get("prediction_type") == "flow":
            from modules.engine.sampling.flow import FlowSampling

            return FlowSampling.from_config(config)
        alphas = cumulated_alphas(config)
        terminal = bool(config.get("rescale_betas_zero_snr", False))
        kind = str(config.get("prediction_type") or "epsilon")
        if kind not in PREDICTION_TYPES:
            raise ValueError(
                f"prediction_type {kind!r} is not one of {', '.join(PREDICTION_TYPES)}"
            )
        model = cls(
            alphas.float(),
            prediction_type=kind,
            timestep_spacing=str(config.get("timestep_spacing") or "leading"),
            steps_offset=int(config.get("steps_offset", 1)),
            set_alpha_to_one=bool(config.get("set_alpha_to_one", False)),
        )
        return replace(model._rescaled(alphas), zero_terminal_snr=True) if terminal else model

    def _sigmas(self) -> Tensor:
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5

    def for_picture(self, tokens: int) -> ModelSampling:
        """The schedule for a picture of so many places of 2x2 latent pixels; most do not care."""
        return self

    def with_zero_terminal_snr(self) -> ModelSampling:
        """The same model sampled under A1111's noise schedule "Zero Terminal SNR"."""
        return self if self.zero_terminal_snr else self._rescaled(self.alphas_cumprod)

    def downcast(self) -> ModelSampling:
        """The same model with ``alphas_cumprod`` rounded to half precision, as A1111 once did."""
        rounded = self.alphas_cumprod.half().float().clamp(min=TERMINAL_ALPHA_CUMPROD)
        return replace(self, alphas_cumprod=rounded)

    def _rescaled(self, alphas_cumprod: Tensor) -> ModelSampling:
        rescaled = rescale_to_zero_terminal_snr(alphas_cumprod).float()
        return replace(self, alphas_cumprod=rescaled, body_sigma_max=self.sigma_max)

    @property
    def sigma_min(self) -> float:
        """Sigma of timestep 0."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """Sigma of the last timestep."""
        return float(self.sigmas[-1])

    @property
    def timesteps(self) -> int:
        """Number of timesteps the model was trained with."""
        return len(self.sigmas)

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        """Timesteps [batch] of sigmas [batch], interpolated in log sigma; any device, no sync."""
        return self._level_to_t(sigma.log())

    def timestep(self, sigma: float) -> float:
        """Timestep of one sigma; the same as ``sigma_to_t`` without touching a tensor."""
        levels: list[float] = self._levels  # type: ignore[attr-defined]
        level = math.log(sigma)
        low = min(max(bisect_right(levels, level) - 1, 0), len(levels) - 2)
        share = (level - levels[low]) / (levels[low + 1] - levels[low])
        t = low + min(max(share, 0.0), 1.0)
        return float(round(t)) if self.quantize else t

    def _level_to_t(self, level: Tensor) -> Tensor:
        levels = self._levels_on(level.device)
        low = torch.searchsorted(levels, level.to(levels.dtype), right=True) - 1
        low = low.clamp(0, len(levels) - 2)
        below, above = levels[low], levels[low + 1]
        t = low + ((level - below) / (above - below)).clamp(0, 1)
        return t.round() if self.quantize else t

    def t_to_sigma(self, t: Tensor | float) -> Tensor:
        """Sigmas of (fractional) timesteps, interpolated in log sigma."""
        t = torch.as_tensor(t, dtype=torch.float32)
        levels = self._levels_on(t.device)
        share = t.frac()
        return ((1 - share) * levels[t.floor().long()] + share * levels[t.ceil().long()]).exp()

    def _levels_on(self, device: torch.device) -> Tensor:
        cache: dict[str, Tensor] = self._on_device  # type: ignore[attr-defined]
        key = str(device)
        if key not in cache:
            cache[key] = self.log_sigmas.to(device)
        return cache[key]

    def for_lcm(self) -> LcmSampling:
        """The 50 timesteps 19, 39 … 999 that latent consistency models were distilled on."""
        skip = max(self.timesteps // LcmSampling.ORIGINAL_STEPS, 1)
        return LcmSampling(
            self.alphas_cumprod[skip - 1 :: skip],
            prediction_type=self.prediction_type,
            zero_terminal_snr=self.zero_terminal_snr,
            body_sigma_max=self.body_sigma_max,
            skip=skip,
        )


@dataclass(frozen=True, eq=False)
class LcmSampling(ModelSampling):
    """A model seen through every ``skip``-th timestep (Luo et al. 2023, skipping step k = 20)."""

    ORIGINAL_STEPS = 50
    skip: int = 20

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        """The nearest of the timesteps 19, 39 … in log sigma; between two, the lower."""
        levels = self._levels_on(sigma.device)
        nearest = (sigma.log()[:, None] - levels).abs().argmin(dim=1)
        return nearest * self.skip + (self.skip - 1)

    def timestep(self, sigma: float) -> float:
        """The nearest of the timesteps 19, 39 … of one sigma."""
        return float(self.sigma_to_t(torch.tensor([sigma]))[0])

    def t_to_sigma(self, t: Tensor | float) -> Tensor:
        """Sigmas of timesteps of the full model, clamped to those that the distillation used."""
        t = (torch.as_tensor(t, dtype=torch.float32) - (self.skip - 1)) / self.skip
        return super().t_to_sigma(t.clamp(0, len(self.sigmas) - 1))


def cumulated_alphas(config: Mapping[str, Any]) -> Tensor:
    """``alphas_cumprod`` [timesteps] in float64 of a scheduler config, before any rescaling.

    Raises:
        ValueError: an unknown beta schedule.
    """
    steps = int(config.get("num_train_timesteps", 1000))
    start = float(config.get("beta_start", 0.00085))
    end = float(config.get("beta_end", 0.012))
    schedule = str(config.get("beta_schedule") or "scaled_linear")
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float64)
    elif schedule == "linear":
        betas = torch.linspace(start, end, steps, dtype=torch.float64)
    elif schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    elif schedule == "squaredcos_cap_v2":
        t = torch.arange(steps + 1, dtype=torch.float64) / steps
        bar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = (1 - bar[1:] / bar[:-1]).clamp(max=0.999)
    else:
        known = "linear, scaled_linear, squaredcos_cap_v2"
        raise ValueError(f"beta_schedule {schedule!r} is not one of {known}")
    return (1 - betas).cumprod(0)


def rescale_to_zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Shift and scale sqrt(alphas_cumprod) so that the last is zero and the first stays.

    Lin et al. (2023), "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
    The last value is then set to A1111's tiny one, so that its sigma is finite.
    """
    root = alphas_cumprod.sqrt()
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    rescaled = root**2
    rescaled[-1] = TERMINAL_ALPHA_CUMPROD
    return rescaled
