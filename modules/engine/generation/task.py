"""One walk of a sampler over a batch: what is asked of it, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.blending import MaskBlend
from modules.engine.generation.concat import ConcatSource
from modules.engine.generation.job_models import Role
from modules.engine.generation.spec import GenerationSpec
from modules.engine.generation.token_merging import merging_ratio
from modules.engine.sampling import SamplerParams, SamplingPlan
from modules.prompts.plan import PromptPlan
from modules.requests.samplers import SamplerInfo, SchedulerInfo

STRONGEST = 0.999
"""A1111's upper limit of the denoising strength."""


@dataclass(frozen=True)
class PassTask:
    """What a walk does, the same for all its pictures."""

    width: int
    height: int
    """Pixels, multiples of 8."""
    sampler: SamplerInfo
    scheduler: SchedulerInfo
    steps: int
    """As the user asked for them."""
    cfg_scale: float
    image_cfg_scale: float | None = None
    """Guidance by the picture, of models that take one (InstructPix2Pix)."""
    distilled_cfg_scale: float | None = None
    """What models are told that were distilled with guidance (FLUX.1 dev); None: the usual."""
    strength: float | None = None
    """Denoising strength 0 to 1; None: from pure noise."""
    exact_steps: bool = False
    """Make ``steps`` steps whatever the strength; else that share of them."""
    noise_multiplier: float = 1.0
    extra_noise: float = 0.0
    token_merging: float = 0.0
    """Share of a picture's places that self-attention takes together, see ``TokenMerging``."""
    model: Role = "base"
    first_calls: int | None = None
    """Second pass of hires fix: model calls of its first, after which prompt editing goes on."""
    refines: bool = True
    """Whether the refiner takes over in this pass."""

    @classmethod
    def of(cls, spec: GenerationSpec, **changes: Any) -> PassTask:
        """The walk that the job itself describes."""
        task = cls(
            width=spec.width,
            height=spec.height,
            sampler=spec.sampler,
            scheduler=spec.scheduler,
            steps=spec.steps,
            cfg_scale=spec.form.cfg_scale,
            image_cfg_scale=spec.form.image_cfg_scale,
            distilled_cfg_scale=spec.form.distilled_cfg_scale,
            token_merging=merging_ratio(spec.options, spec.form.kind),
        )
        return replace(task, **changes)

    @property
    def calls(self) -> int:
        """Model calls that prompt editing counts on: those of all ``steps``."""
        return self.sampler.total_steps(self.steps)

    def plan(self, spec: GenerationSpec, model: LoadedModel) -> SamplingPlan:
        """Noise levels for a model.

        Raises:
            RequestError: the settings contradict each other.
        """
        params = replace(
            SamplerParams.from_options(spec.options, spec.request),
            align_your_steps=model.adapter.align_your_steps,
        )
        steps, last = self.steps, None
        if self.strength is not None:
            steps, last = partial_steps(self.steps, self.strength, exact=self.exact_steps)
        side = 2 * model.vae_scale
        sampling = model.model_sampling.for_picture(
            -(-self.width // side) * -(-self.height // side)
        )
        plan = SamplingPlan.build(
            self.sampler, self.scheduler, steps, sampling, params, model.device
        )
        return plan if last is None else plan.start_at(last)


def partial_steps(steps: int, strength: float, *, exact: bool) -> tuple[int, int]:
    """``(steps of the schedule, t_enc)`` of img2img, as A1111 counts: ``t_enc + 1`` steps are made.

    Without ``exact``, ``int(min(strength, 0.999) * steps) + 1`` steps are made; with it, ``steps``
    of a schedule that is lengthened to ``int(steps / min(strength, 0.999))``.
    """
    share = min(strength, STRONGEST)
    if exact and share > 0:
        return max(steps, int(steps / share)), steps - 1
    return steps, int(share * steps)


@dataclass(frozen=True)
class Start:
    """What a walk starts from. Tensors have one row per picture of the batch."""

    latents: Tensor | None = None
    """[batch, channels, height, width]; None: nothing but noise."""
    blend: MaskBlend | None = None
    """Keeps the unmasked part."""
    concat: ConcatSource = field(default_factory=ConcatSource)
    """The picture and the mask, for models that are shown them."""

    def only(self, place: int) -> Start:
        """One picture of the batch."""
        part = slice(place, place + 1)
        return Start(
            None if self.latents is None else self.latents[part],
            None if self.blend is None else self.blend.only(place),
            self.concat.only(place),
        )


@dataclass(frozen=True)
class Sampled:
    """Latents of a batch, and how they came about."""

    latents: Tensor
    plan: SamplingPlan
    left_out: frozenset[str] = frozenset()
    """Why the negative prompt was left out in some call."""
    complete: bool = True
    handed_over: bool = False
    """The refiner finished them."""
    prompts: tuple[PromptPlan, ...] = ()
    """The prompts as they were read."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Infotext keys of what guidance and the refiner did."""

    def with_latents(self, latents: Tensor) -> Sampled:
        """The same with other latents."""
        return replace(self, latents=latents)
