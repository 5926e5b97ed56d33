"""The settings of samplers and schedules, read from the option table and the request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SamplerParams:
    """Everything a sampler or a schedule can be told, with A1111's defaults."""

    eta: float | None = None
    """The request's eta; None: ``eta_ancestral`` or ``eta_ddim``."""
    eta_ancestral: float = 1.0
    eta_ddim: float = 0.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    sigma_min: float = 0.0
    """Lowest sigma of the schedule; 0: the model's own."""
    sigma_max: float = 0.0
    """Highest sigma of the schedule; 0: the model's own."""
    rho: float = 0.0
    """0: the schedule type's own."""
    discard_penultimate: bool = False
    sgm_noise_multiplier: bool = False
    """Begin at sqrt(1 + sigma²) instead of sigma times the noise."""
    ensd: int = 0
    """Eta noise seed delta; for ``NoiseSource``."""
    zero_terminal_snr: bool = False
    """Noise schedule "Zero Terminal SNR" for a model that was not trained so."""
    downcast_alphas: bool = False
    quantize: bool = False
    old_karras_sigmas: bool = False
    """Spread sigmas between 0.1 and 10."""
    batch_brownian: bool = True
    """Brownian noise by the images' seeds; off: the plain noise stream."""
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    unipc_variant: str = "bh1"
    unipc_skip_type: str = "time_uniform"
    unipc_order: int = 3
    unipc_lower_order_final: bool = True
    align_your_steps: str = "sd1"
    """Table of Align Your Steps: ``sd1`` or ``sdxl``; a fact of the model, not a setting."""
    timestep_spacing: str = ""
    """Timesteps of DDIM, PLMS and CFG++: ``a1111``; or as diffusers has them: ``leading``,
    ``trailing``, ``linspace``. Empty: ``trailing`` for models made for it, else ``a1111``."""
    first_order_above: float = 1000.0
    """Sigma above which second-order methods take Euler's step (the first from zero SNR)."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any], request: Any = None) -> SamplerParams:
        """From the effective options (A1111's keys) and a request (mapping or object).

        The request's ``eta``, ``s_churn``, ``s_tmin``, ``s_tmax`` and ``s_noise`` win where given.
        """

        def wanted(key: str, default: float) -> float:
            value = _field(request, key)
            return float(options.get(key, default) if value is None else value)

        eta = _field(request, "eta")
        return cls(
            eta=None if eta is None else float(eta),
            eta_ancestral=float(options.get("eta_ancestral", 1.0)),
            eta_ddim=float(options.get("eta_ddim", 0.0)),
            s_churn=wanted("s_churn", 0.0),
            s_tmin=wanted("s_tmin", 0.0),
            s_tmax=wanted("s_tmax", 0.0) or math.inf,
            s_noise=wanted("s_noise", 1.0),
            sigma_min=float(options.get("sigma_min", 0.0)),
            sigma_max=float(options.get("sigma_max", 0.0)),
            rho=float(options.get("rho", 0.0)),
            discard_penultimate=bool(options.get("always_discard_next_to_last_sigma", False)),
            sgm_noise_multiplier=bool(options.get("sgm_noise_multiplier", False)),
            ensd=int(options.get("eta_noise_seed_delta") or 0),
            zero_terminal_snr=options.get("sd_noise_schedule") == "Zero Terminal SNR",
            downcast_alphas=bool(options.get("use_downcasted_alpha_bar", False)),
            quantize=bool(options.get("enable_quantization", False)),
            old_karras_sigmas=bool(options.get("use_old_karras_scheduler_sigmas", False)),
            batch_brownian=not options.get("no_dpmpp_sde_batch_determinism", False),
            beta_alpha=float(options.get("beta_dist_alpha", 0.6)),
            beta_beta=float(options.get("beta_dist_beta", 0.6)),
            unipc_variant=str(options.get("uni_pc_variant", "bh1")),
            unipc_skip_type=str(options.get("uni_pc_skip_type", "time_uniform")),
            unipc_order=int(options.get("uni_pc_order", 3)),
            unipc_lower_order_final=bool(options.get("uni_pc_lower_order_final", True)),
        )


def _field(request: Any, key: str) -> Any:
    if request is None:
        return None
    return request.get(key) if isinstance(request, Mapping) else getattr(request, key, None)
