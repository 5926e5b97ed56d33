"""The noise levels of a plan: schedule types and timesteps under the user's settings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.sampling import schedules
from modules.engine.sampling.flow import FlowSampling, FlowTimes, to_sigma
from modules.engine.sampling.model_sampling import ModelSampling
from modules.engine.sampling.params import SamplerParams
from modules.engine.sampling.solvers.ddim import ddim_timesteps, spaced_timesteps
from modules.engine.sampling.solvers.unipc import unipc_sigmas
from modules.requests.errors import RequestError
from modules.requests.samplers import SamplerInfo, SchedulerInfo

Infotext = dict[str, Any]
"""Keys of settings that are not at their defaults; the functions here add to it."""


def configured_model(
    model: ModelSampling, params: SamplerParams, infotext: Infotext
) -> ModelSampling:
    """The model as the settings want it sampled: downcast, zero terminal SNR, quantized."""
    if params.downcast_alphas and not isinstance(model, FlowSampling):
        model = model.downcast()
        infotext["Downcast alphas_cumprod"] = True
    if params.zero_terminal_snr and not model.zero_terminal_snr:
        model = model.with_zero_terminal_snr()
        infotext["Noise Schedule"] = "Zero Terminal SNR"
    return replace(model, quantize=True) if params.quantize else model


def _discards(sampler: SamplerInfo, params: SamplerParams, infotext: Infotext) -> bool:
    if params.discard_penultimate and not sampler.discard_next_to_last:
        infotext["Discard penultimate sigma"] = True
    return params.discard_penultimate or sampler.discard_next_to_last


def scheduled_sigmas(
    sampler: SamplerInfo,
    scheduler: SchedulerInfo,
    steps: int,
    model: ModelSampling,
    params: SamplerParams,
    infotext: Infotext,
) -> Tensor:
    """Noise levels of a sampler with a schedule type.

    Raises:
        RequestError: sigma_min is not below sigma_max, or the schedule type does not suit the
            model.
    """
    discard = _discards(sampler, params, infotext)
    if isinstance(model, FlowSampling):
        return _flow_sigmas(scheduler, steps, model, params, infotext, discard)
    low, high = (0.1, 10.0) if params.old_karras_sigmas else (model.sigma_min, model.sigma_max)
    return _spread(scheduler, steps, model, params, infotext, discard, low, high)


def _flow_sigmas(
    scheduler: SchedulerInfo,
    steps: int,
    model: FlowSampling,
    params: SamplerParams,
    infotext: Infotext,
    discard: bool,
) -> Tensor:
    """Noise levels of a flow matching model: schedule types spread its times from 1 to 0."""
    times = model.view
    if scheduler.name == "align_your_steps":
        message = (
            f"{scheduler.label} has no published table for flow matching models such as this; "
            "choose another schedule type."
        )
        raise RequestError("scheduler", scheduler.label, message)
    if scheduler.name == "automatic":
        spread = times.automatic(steps + discard)
        spread = schedules.discard_penultimate(spread) if discard else spread
    else:
        if max(params.sigma_min, params.sigma_max) > times.sigma_max:
            name = "sigma_max" if params.sigma_max > times.sigma_max else "sigma_min"
            value = getattr(params, name)
            message = f"{value:g} is not possible; flow matching models take levels from 0 to 1."
            raise RequestError(name, value, message)
        low, high = times.sigma_min, times.sigma_max
        spread = _spread(scheduler, steps, times, params, infotext, discard, low, high)
    return to_sigma(spread.double()).float()


def _spread(
    scheduler: SchedulerInfo,
    steps: int,
    model: ModelSampling | FlowTimes,
    params: SamplerParams,
    infotext: Infotext,
    discard: bool,
    low: float,
    high: float,
) -> Tensor:
    rho = scheduler.default_rho
    if scheduler.name != "automatic":
        if params.sigma_min and params.sigma_min != model.sigma_min:
            low = infotext["Schedule min sigma"] = params.sigma_min
        if params.sigma_max and params.sigma_max != model.sigma_max:
            high = infotext["Schedule max sigma"] = params.sigma_max
        if rho != -1 and params.rho and params.rho != rho:
            rho = infotext["Schedule rho"] = params.rho
        if scheduler.name == "beta":
            infotext["Beta schedule alpha"] = params.beta_alpha
            infotext["Beta schedule beta"] = params.beta_beta
    if not 0 < low < high:
        message = f"{low:g} is not possible; it must lie between 0 and sigma_max, {high:g}."
        raise RequestError("sigma_min", low, message)
    request = schedules.ScheduleRequest(
        n=steps + discard,
        sigma_min=low,
        sigma_max=high,
        model=model,
        rho=rho,
        beta_alpha=params.beta_alpha,
        beta_beta=params.beta_beta,
        align_your_steps=params.align_your_steps,
    )
    sigmas = schedules.spread(scheduler.name, request)
    return schedules.discard_penultimate(sigmas) if discard else sigmas


def spacing(model: ModelSampling, params: SamplerParams) -> str:
    """How DDIM, PLMS and CFG++ spread timesteps, see ``SamplerParams.timestep_spacing``."""
    if params.timestep_spacing:
        return params.timestep_spacing
    return "trailing" if model.timestep_spacing == "trailing" else "a1111"


def timestep_sigmas(
    sampler: SamplerInfo,
    steps: int,
    model: ModelSampling,
    params: SamplerParams,
    infotext: Infotext,
) -> Tensor:
    """Noise levels of the timestep samplers; A1111's end at the first timestep, not at 0."""
    steps += _discards(sampler, params, infotext)
    if isinstance(model, FlowSampling):
        return to_sigma(model.view.automatic(steps).double()).float()
    if sampler.function == "unipc":
        stride = max(model.timesteps // steps, 1)
        count = -(-model.timesteps // stride)  # as many as A1111's timesteps
        levels = unipc_sigmas(model.alphas_cumprod, count, params.unipc_skip_type)
        return torch.tensor(levels, dtype=torch.float32)
    spread = spacing(model, params)
    if spread == "a1111":
        timesteps = ddim_timesteps(steps, model.timesteps)[::-1]
        if len(timesteps) == 1:  # A1111 would make no step at all
            timesteps = [model.timesteps - 1, *timesteps]
        return model.sigmas[timesteps]
    timesteps = spaced_timesteps(steps, model.timesteps, spread, model.steps_offset)
    end = torch.zeros(1) if model.set_alpha_to_one else model.sigmas[:1]
    return torch.cat([model.sigmas[timesteps], end])


def unipc_tail(
    model: ModelSampling, params: SamplerParams, steps: int, t_enc: int
) -> tuple[Tensor, Tensor]:
    """Noise levels of A1111's UniPC for img2img, and the level its noise is made for.

    The levels are spread anew from just above the timestep below that of the noise.
    """
    timesteps = ddim_timesteps(steps + params.discard_penultimate, model.timesteps)
    t_enc = min(t_enc, len(timesteps) - 1)
    t_start = (timesteps[t_enc - 1] + 1) / model.timesteps
    levels = unipc_sigmas(model.alphas_cumprod, t_enc, params.unipc_skip_type, t_start)
    return torch.tensor(levels, dtype=torch.float32), model.sigmas[timesteps[t_enc]]


def note_sampler_settings(sampler: SamplerInfo, params: SamplerParams, infotext: Infotext) -> None:
    """Add the infotext keys of the sampler's own settings, in A1111's order."""
    timestep = sampler.kind == "timestep"
    if sampler.eta:
        fallback, usual = (params.eta_ddim, 0.0) if timestep else (params.eta_ancestral, 1.0)
        eta = fallback if params.eta is None else params.eta
        if eta != usual:
            infotext["Eta DDIM" if timestep else "Eta"] = eta
    if sampler.churn and params.s_churn:
        infotext["Sigma churn"] = params.s_churn
    if sampler.churn and params.s_tmin:
        infotext["Sigma tmin"] = params.s_tmin
    if sampler.churn and params.s_tmax != math.inf:
        infotext["Sigma tmax"] = params.s_tmax
    if sampler.s_noise and params.s_noise != 1.0:
        infotext["Sigma noise"] = params.s_noise
    if params.sgm_noise_multiplier and not timestep:
        infotext["SGM noise multiplier"] = True
    if sampler.function == "unipc":
        if params.unipc_variant != "bh1":
            infotext["UniPC variant"] = params.unipc_variant
        if params.unipc_skip_type != "time_uniform":
            infotext["UniPC skip type"] = params.unipc_skip_type
        if params.unipc_order != 3:
            infotext["UniPC order"] = params.unipc_order
        if not params.unipc_lower_order_final:
            infotext["UniPC lower order final"] = False
