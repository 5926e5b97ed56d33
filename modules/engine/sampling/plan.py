"""A sampler, a schedule and their settings made ready to run: noise levels, then steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.sampling import schedules
from modules.engine.sampling.levels import (
    configured_model,
    note_sampler_settings,
    scheduled_sigmas,
    spacing,
    timestep_sigmas,
    unipc_tail,
)
from modules.engine.sampling.model_sampling import TERMINAL_SIGMA, ModelSampling
from modules.engine.sampling.noise import NoiseSource
from modules.engine.sampling.params import SamplerParams
from modules.engine.sampling.solvers.ddim import vp_scale
from modules.engine.sampling.solvers.dpm_solver import fast_levels
from modules.engine.sampling.solvers.registry import (
    FIRST_ORDER_AWARE,
    OWN_WALK,
    SOLVERS,
    TAKES_NOISE,
)
from modules.engine.sampling.step import BEGINNING, Denoiser, Resume, SamplerStep, at, toward
from modules.requests.errors import RequestError
from modules.requests.samplers import SamplerInfo, SchedulerInfo, effective_scheduler

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
        model = configured_model(model_sampling, params, infotext)
        if sampler.kind == "timestep":
            used = scheduler
            sigmas = timestep_sigmas(sampler, steps, model, params, infotext)
        else:
            model = model.for_lcm() if sampler.kind == "lcm" else model
            # A sampler's own schedule type is made for the sigmas of Stable Diffusion 1 and 2.
            flow = model.prediction_type == "flow"
            used = scheduler if flow else effective_scheduler(sampler, scheduler)
            sigmas = scheduled_sigmas(sampler, used, steps, model, params, infotext)
        note_sampler_settings(sampler, params, infotext)
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
    def run_calls(self) -> int:
        """Model calls of this plan itself: those of its tail when it starts at an image."""
        return self.sampler.total_steps(len(self.sigmas) - 1) if self.partial else self.total_calls

    @property
    def guidance_factor(self) -> float:
        """Factor on the CFG scale (CFG++ maps 0 to 12.5 to its 0 to 1)."""
        return CFGPP_FACTOR if self.needs_uncond else 1.0

    @property
    def needs_uncond(self) -> bool:
        """Whether the denoiser has to show ``uncond_denoised`` after each call."""
        return self.sampler.function == "ddim_cfgpp"

    @property
    def one_by_one(self) -> bool:
        """Whether images of a batch take different steps, so that each is better sampled alone."""
        return self.sampler.function == "dpm_adaptive"

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
            if self.sampler.function == "unipc" and t_enc > 0:
                tail, above = unipc_tail(self.model_sampling, self.params, self.steps, t_enc)
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
        if sampler.function in TAKES_NOISE:
            options["noise_sampler"] = self._noise_sampler(noise)
        if sampler.eta:
            options["eta"] = self.eta
        if sampler.churn:
            options.update(s_churn=params.s_churn, s_tmin=params.s_tmin, s_tmax=params.s_tmax)
        if sampler.s_noise:
            options["s_noise"] = params.s_noise
        if sampler.function in FIRST_ORDER_AWARE:
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
            self.sampler.kind == "timestep" and spacing(self.model_sampling, self.params) == "a1111"
        )

    @property
    def _lead_in(self) -> bool:
        """Whether one Euler step from the terminal sigma comes before the sampler's own walk."""
        return (
            self.sampler.function in OWN_WALK
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
        if self._lead_in:
            return schedules.restart_pairs(self.sigmas[1:], before=1)
        return schedules.restart_pairs(self.sigmas)

    def _span(self) -> tuple[float, float]:
        """First and last noise level of the samplers that take only those."""
        first = self._lead_in_end if self._lead_in else float(self.sigmas[0])
        return first, float(self.sigmas[-2]) if self.partial else self.model_sampling.sigma_min

    def _fast(self) -> tuple[list[float], list[int]]:
        calls = len(self.sigmas) - 1 if self.partial else self.steps
        return fast_levels(*self._span(), max(calls - self._lead_in, 1))
