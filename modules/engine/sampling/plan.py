"""A sampler, a schedule and their settings made ready to run: noise levels, then steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.sampling import schedules
from modules.engine.sampling.model_sampling import TERMINAL_SIGMA, ModelSampling
from modules.engine.sampling.noise import NoiseSource
from modules.engine.sampling.params import SamplerParams
from modules.engine.sampling.solvers.ddim import (
    ddim_timesteps,
    sample_ddim_cfgpp,
    spaced_timesteps,
    vp_scale,
)
from modules.engine.sampling.solvers.dpm_2 import sample_dpm_2, sample_dpm_2_ancestral
from modules.engine.sampling.solvers.dpm_solver import (
    fast_levels,
    sample_dpm_adaptive,
    sample_dpm_fast,
)
from modules.engine.sampling.solvers.dpmpp_sde import (
    sample_dpmpp_2m_sde,
    sample_dpmpp_2s_ancestral,
    sample_dpmpp_3m_sde,
    sample_dpmpp_sde,
)
from modules.engine.sampling.solvers.euler import (
    sample_euler,
    sample_euler_ancestral,
    sample_heun,
    sample_lcm,
    sample_restart,
)
from modules.engine.sampling.solvers.multistep import sample_dpmpp_2m, sample_lms, sample_plms
from modules.engine.sampling.solvers.unipc import sample_unipc, unipc_sigmas
from modules.engine.sampling.step import BEGINNING, Denoiser, Resume, SamplerStep, at, toward
from modules.requests.errors import RequestError
from modules.requests.samplers import SamplerInfo, SchedulerInfo, effective_scheduler

SOLVERS: dict[str, Callable[..., Iterator[SamplerStep]]] = {
    "dpmpp_2m": sample_dpmpp_2m,
    "dpmpp_sde": sample_dpmpp_sde,
    "dpmpp_2m_sde": sample_dpmpp_2m_sde,
    "dpmpp_2s_ancestral": sample_dpmpp_2s_ancestral,
    "dpmpp_3m_sde": sample_dpmpp_3m_sde,
    "euler_ancestral": sample_euler_ancestral,
    "euler": sample_euler,
    "lms": sample_lms,
    "heun": sample_heun,
    "dpm_2": sample_dpm_2,
    "dpm_2_ancestral": sample_dpm_2_ancestral,
    "dpm_fast": sample_dpm_fast,
    "dpm_adaptive": sample_dpm_adaptive,
    "restart": sample_restart,
    "ddim": sample_euler_ancestral,
    "ddim_cfgpp": sample_ddim_cfgpp,
    "plms": sample_plms,
    "unipc": sample_unipc,
    "lcm": sample_lcm,
}
"""``SamplerInfo.function`` -> the generator. Adding a sampler: a row there, an entry here."""

_FIRST_ORDER_AWARE = {"heun", "dpm_2", "dpm_2_ancestral", "plms", "restart"}
_TAKES_NOISE = {
    *("euler", "heun", "dpm_2", "dpm_2_ancestral", "euler_ancestral", "dpmpp_2s_ancestral"),
    *("dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpm_fast", "restart", "ddim", "ddim_cfgpp"),
    "lcm",
}
# They do not follow the scheduled sigmas one by one.
_OWN_WALK = {"dpm_fast", "dpm_adaptive", "restart"}

CFGPP_FACTOR = 1 / 12.5


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """How one batch will be sampled. Build it with ``SamplingPlan.build``."""

    sampler: SamplerInfo
    scheduler: SchedulerInfo
    """The schedule type really used."""
    steps: int
    """Steps the user asked for."""
    sigmas: Tensor
    """Scheduled noise levels, descending, float32 on the CPU; usually ending with 0."""
    model_sampling: ModelSampling
    """Maps sigma to the timestep the network is told, for this sampler."""
    params: SamplerParams
    extra_infotext: dict[str, Any] = field(default_factory=dict)
    """Infotext keys of settings that are not at their defaults, in A1111's order."""
    init_sigma: float = 0.0
    """Noise level of the latents that sampling starts from."""
    partial: bool = False
    """Whether this is the tail of a plan, for img2img (``start_at``)."""

    @classmethod
    def build(
        cls,
        sampler: SamplerInfo,
        scheduler: SchedulerInfo,
        steps: int,
        model_sampling: ModelSampling,
        params: SamplerParams | None = None,
        device: torch.device | str | None = None,
    ) -> SamplingPlan:
        """Choose the noise levels.

        ``device`` is accepted for symmetry; noise levels stay on the CPU.

        Raises:
            RequestError: ``steps`` below 1, or settings that contradict each other.
        """
        params = params or SamplerParams()
        if steps < 1:
            raise RequestError(
                "steps", steps, f"{steps} is not possible; at least 1 step is needed."
            )
        infotext: dict[str, Any] = {}
        model = _configured_model(model_sampling, params, infotext)
        if sampler.kind == "timestep":
            used = scheduler
            sigmas = _timestep_sigmas(sampler, steps, model, params, infotext)
        else:
            model = model.for_lcm() if sampler.kind == "lcm" else model
            used = effective_scheduler(sampler, scheduler)
            sigmas = _scheduled_sigmas(sampler, used, steps, model, params, infotext)
        _note_sampler_settings(sampler, params, infotext)
        sigmas = sigmas.unique_consecutive()  # more steps than the model has timesteps
        return cls(
            sampler, used, steps, sigmas, model, params, infotext, init_sigma=float(sigmas[0])
        )

    @property
    def schedule_label(self) -> str:
        """Schedule type for the infotext: the one really used."""
        return self.scheduler.label

    @property
    def total_steps(self) -> int:
        """Steps that ``run`` will yield; DPM adaptive decides on the way (see ``fraction``)."""
        function = self.sampler.function
        if function == "dpm_adaptive":
            return self.steps
        if function == "restart":
            return len(self._restart_pairs()) + self._lead_in
        if function == "dpm_fast":
            return len(self._fast()[1]) + self._lead_in
        return len(self.sigmas) - 1

    @property
    def total_calls(self) -> int:
        """Model calls as A1111 counts them ahead, for prompt editing and "skip early"."""
        return self.sampler.total_steps(self.steps)

    @property
    def guidance_factor(self) -> float:
        """Factor on the CFG scale (CFG++ maps 0 to 12.5 to its 0 to 1)."""
        return CFGPP_FACTOR if self.needs_uncond else 1.0

    @property
    def needs_uncond(self) -> bool:
        """Whether the denoiser has to show ``uncond_denoised`` after each call."""
        return self.sampler.function == "ddim_cfgpp"

    @property
    def uses_ensd(self) -> bool:
        """Whether ENSD changes the image, so that the infotext names it."""
        return self.sampler.uses_ensd and self.eta != 0

    @property
    def eta(self) -> float:
        """Share of fresh noise of ancestral, SDE and DDIM samplers."""
        if self.params.eta is not None:
            return self.params.eta
        timestep = self.sampler.kind == "timestep"
        return self.params.eta_ddim if timestep else self.params.eta_ancestral

    def init_noise(self, noise: Tensor) -> Tensor:
        """Latents to start from for txt2img: ``noise`` [batch, ...] raised to the first level."""
        if self.sampler.kind == "timestep" or self.params.sgm_noise_multiplier:
            return noise * math.sqrt(1 + self.init_sigma**2)
        return noise * self.init_sigma

    def noised(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Latents to start from for img2img: ``latents`` with noise of the plan's first level."""
        x = torch.add(latents, noise, alpha=self.init_sigma)
        # A1111's timestep samplers take up a step below the level that the noise was made for.
        return (
            x * (vp_scale(self.init_sigma) / vp_scale(float(self.sigmas[0])))
            if (self.sampler.kind == "timestep" and self.init_sigma != float(self.sigmas[0]))
            else x
        )

    def start_at(self, t_enc: int) -> SamplingPlan:
        """The last ``t_enc + 1`` steps of this plan, as A1111's img2img takes them."""
        if self._a1111_timesteps:
            # Its timestep samplers make one step less, from a step below the noise.
            tail = self.sigmas[len(self.sigmas) - max(t_enc, 1) :]
            above = self.sigmas[max(len(self.sigmas) - 1 - t_enc, 0)]
            return replace(self, sigmas=tail, init_sigma=float(above), partial=True)
        first = max(len(self.sigmas) - 2 - t_enc, 0)
        tail = self.sigmas[first:]
        return replace(self, sigmas=tail, init_sigma=float(tail[0]), partial=True)

    def with_sigmas(self, sigmas: Tensor | Sequence[float]) -> SamplingPlan:
        """The same sampler over other noise levels, descending; the last may be 0.

        DPM fast and DPM adaptive take only the first, and end at the model's lowest.
        """
        levels = torch.as_tensor(sigmas, dtype=torch.float32).cpu()
        return replace(self, sigmas=levels, init_sigma=float(levels[0]))

    def run(
        self,
        denoiser: Denoiser,
        x: Tensor,
        noise: NoiseSource,
        resume: SamplerStep | Resume | None = None,
    ) -> Iterator[SamplerStep]:
        """Sample: yields after every step; the last step's ``x`` is the result.

        Args:
            denoiser: the model behind guidance.
            x: ``init_noise(...)`` or ``noised(...)``; after a pause, the last step's ``x``.
            noise: after its ``initial`` has been drawn; to go on, with its state restored.
            resume: the last step taken before the pause.
        """
        start = BEGINNING
        if resume is not None:
            index = resume.index + 1 if isinstance(resume, SamplerStep) else resume.index
            start = Resume(index, resume.history)
        for step in self._steps(denoiser, x, noise, start):
            last = step.index == self.total_steps - 1
            if last and self.sampler.kind == "timestep" and step.sigma_next > 0:
                # What is left of the noise level: the latents are the variance preserving ones.
                yield replace(step, x=step.x * vp_scale(step.sigma_next))
            else:
                yield step

    def _steps(
        self, denoiser: Denoiser, x: Tensor, noise: NoiseSource, start: Resume
    ) -> Iterator[SamplerStep]:
        if not self._lead_in:
            yield from self._solve(denoiser, x, noise, start)
            return
        if start.index == 0:
            sigma, sigma_next = self.init_sigma, self._lead_in_end
            denoised = denoiser(x, at(sigma, x))
            x = toward(denoised, x, sigma_next / sigma)
            yield SamplerStep(0, sigma, sigma_next, x, denoised)
            start = Resume(1)
        inner = Resume(start.index - 1, start.history)
        for step in self._solve(denoiser, x, noise, inner):
            yield replace(step, index=step.index + 1)

    def _solve(
        self, denoiser: Denoiser, x: Tensor, noise: NoiseSource, start: Resume
    ) -> Iterator[SamplerStep]:
        function = self.sampler.function
        solver = SOLVERS[function]
        options = self._solver_options(noise)
        if function == "restart":
            return solver(denoiser, x, self._restart_pairs(), resume=start, **options)
        if function == "dpm_fast":
            levels, orders = self._fast()
            return solver(denoiser, x, levels, orders=orders, resume=start, **options)
        if function == "dpm_adaptive":
            high, low = self._span()
            return solver(denoiser, x, high, low, image_noise=noise.next, resume=start, **options)
        return solver(denoiser, x, self.sigmas, resume=start, **options)

    def _solver_options(self, noise: NoiseSource) -> dict[str, Any]:
        sampler, params = self.sampler, self.params
        options: dict[str, Any] = {}
        if sampler.function in _TAKES_NOISE:
            options["noise_sampler"] = self._noise_sampler(noise)
        if sampler.eta:
            options["eta"] = self.eta
        if sampler.churn:
            options.update(s_churn=params.s_churn, s_tmin=params.s_tmin, s_tmax=params.s_tmax)
        if sampler.s_noise:
            options["s_noise"] = params.s_noise
        if sampler.function in _FIRST_ORDER_AWARE:
            options["first_order_above"] = params.first_order_above
        if "solver_type" in sampler.options:
            options["solver_type"] = sampler.options["solver_type"]
        if sampler.function == "unipc":
            options.update(
                order=params.unipc_order,
                variant=params.unipc_variant,
                lower_order_final=params.unipc_lower_order_final,
            )
        if sampler.function == "lcm":
            levels = self.sigmas[:-1]
            options["timestep"] = self.model_sampling.sigma_to_t(levels).tolist()
        return options

    def _noise_sampler(self, noise: NoiseSource) -> Callable[[float, float], Tensor]:
        if not (self.sampler.brownian_noise and self.params.batch_brownian):
            return noise.sampler
        if not self.eta:
            return noise.sampler  # never asked
        positive = self.sigmas[self.sigmas > 0]
        return noise.brownian(float(positive.min()), float(positive.max()))

    @property
    def _a1111_timesteps(self) -> bool:
        return (
            self.sampler.kind == "timestep"
            and _spacing(self.model_sampling, self.params) == "a1111"
        )

    @property
    def _lead_in(self) -> bool:
        """Whether one Euler step from the terminal sigma comes before the sampler's own walk."""
        return (
            self.sampler.function in _OWN_WALK
            and self.model_sampling.zero_terminal_snr
            and float(self.sigmas[0]) > TERMINAL_SIGMA
            and len(self.sigmas) > 2
            and float(self.sigmas[1]) < TERMINAL_SIGMA
        )

    @property
    def _lead_in_end(self) -> float:
        if self.sampler.function == "restart":
            return float(self.sigmas[1])
        return self.model_sampling.body_sigma_max

    def _restart_pairs(self) -> list[tuple[float, float]]:
        return schedules.restart_pairs(self.sigmas[1:] if self._lead_in else self.sigmas)

    def _span(self) -> tuple[float, float]:
        """First and last noise level of the samplers that take only those."""
        first = self._lead_in_end if self._lead_in else float(self.sigmas[0])
        return first, float(self.sigmas[-2]) if self.partial else self.model_sampling.sigma_min

    def _fast(self) -> tuple[list[float], list[int]]:
        calls = len(self.sigmas) - 1 if self.partial else self.steps
        return fast_levels(*self._span(), max(calls - self._lead_in, 1))


def _configured_model(
    model: ModelSampling, params: SamplerParams, infotext: dict[str, Any]
) -> ModelSampling:
    if params.downcast_alphas:
        model = model.downcast()
        infotext["Downcast alphas_cumprod"] = True
    if params.zero_terminal_snr and not model.zero_terminal_snr:
        model = model.with_zero_terminal_snr()
        infotext["Noise Schedule"] = "Zero Terminal SNR"
    return replace(model, quantize=True) if params.quantize else model


def _discards(sampler: SamplerInfo, params: SamplerParams, infotext: dict[str, Any]) -> bool:
    if params.discard_penultimate and not sampler.discard_next_to_last:
        infotext["Discard penultimate sigma"] = True
    return params.discard_penultimate or sampler.discard_next_to_last


def _scheduled_sigmas(
    sampler: SamplerInfo,
    scheduler: SchedulerInfo,
    steps: int,
    model: ModelSampling,
    params: SamplerParams,
    infotext: dict[str, Any],
) -> Tensor:
    discard = _discards(sampler, params, infotext)
    low, high = (0.1, 10.0) if params.old_karras_sigmas else (model.sigma_min, model.sigma_max)
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
    sigmas = schedules.scheduled_sigmas(scheduler.name, request)
    return schedules.discard_penultimate(sigmas) if discard else sigmas


def _spacing(model: ModelSampling, params: SamplerParams) -> str:
    if params.timestep_spacing:
        return params.timestep_spacing
    return "trailing" if model.timestep_spacing == "trailing" else "a1111"


def _timestep_sigmas(
    sampler: SamplerInfo,
    steps: int,
    model: ModelSampling,
    params: SamplerParams,
    infotext: dict[str, Any],
) -> Tensor:
    """Noise levels of the timestep samplers; A1111's end at the first timestep, not at 0."""
    steps += _discards(sampler, params, infotext)
    if sampler.function == "unipc":
        stride = max(model.timesteps // steps, 1)
        count = -(-model.timesteps // stride)  # as many as A1111's timesteps
        levels = unipc_sigmas(model.alphas_cumprod, count, params.unipc_skip_type)
        return torch.tensor(levels, dtype=torch.float32)
    spacing = _spacing(model, params)
    if spacing == "a1111":
        timesteps = ddim_timesteps(steps, model.timesteps)[::-1]
        if len(timesteps) == 1:  # A1111 would make no step at all
            timesteps = [model.timesteps - 1, *timesteps]
        return model.sigmas[timesteps]
    timesteps = spaced_timesteps(steps, model.timesteps, spacing, model.steps_offset)
    end = torch.zeros(1) if model.set_alpha_to_one else model.sigmas[:1]
    return torch.cat([model.sigmas[timesteps], end])


def _note_sampler_settings(
    sampler: SamplerInfo, params: SamplerParams, infotext: dict[str, Any]
) -> None:
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
