"""What one job asks for, read once from the request and the settings into plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.engine.conditioning import TextOptions
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.requests.samplers import SamplerInfo, SchedulerInfo, resolve_sampler

PIXELS_PER_LATENT = 8


@dataclass(frozen=True)
class PreviewSpec:
    """How the unfinished picture is shown."""

    every: int
    """Steps between two previews; 0 means never."""
    method: str
    """Full, Approx NN, Approx cheap or TAESD."""
    format: str
    """jpeg, png or webp."""
    subject: str
    """Prompt (what it alone would give), Negative prompt, or Combined (with guidance)."""
    grid: bool
    """Show the whole batch instead of its first picture."""


@dataclass(frozen=True)
class BatchSpec:
    """One pass of the sampler: pictures that are computed together."""

    iteration: int
    first: int
    """Index of its first picture in the job."""
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    def only(self, place: int) -> BatchSpec:
        """One picture of the batch."""
        part = slice(place, place + 1)
        return BatchSpec(
            self.iteration,
            self.first + place,
            self.prompts[part],
            self.negative_prompts[part],
            self.seeds[part],
            self.subseeds[part],
        )


@dataclass(frozen=True)
class GenerationSpec:
    """Everything about a job that stays the same for all of its pictures."""

    job: str
    width: int
    height: int
    """Pixels, multiples of 8."""
    steps: int
    batch_size: int
    n_iter: int
    sampler: SamplerInfo
    scheduler: SchedulerInfo
    one_batch: bool
    """Setting: prompt and negative prompt may go through the network together."""
    preview: PreviewSpec
    subseed_strength: float
    seed_resize_from: tuple[int, int]
    """(height, width) in latent pixels of the noise that seeds are resized from; (0, 0) is off."""
    text: TextOptions
    pad_conds: bool
    comments: bool
    old_scheduling: bool
    rng: str
    """Where noise is drawn: GPU, CPU or NV."""
    ensd: int
    tiling: bool
    upcast_vae_on_nan: bool
    form: GenerationRequest
    """The request with all its fields."""
    request: Mapping[str, Any]
    options: Mapping[str, Any]

    @classmethod
    def from_prepared(cls, prepared: PreparedJob) -> GenerationSpec:
        """Read a job.

        Raises:
            RequestError: a field cannot be used; the sentence names it.
        """
        request = GenerationRequest.model_validate(prepared.request)
        options = prepared.options
        width = _side("width", request.width)
        height = _side("height", request.height)
        sampler, scheduler = resolve_sampler(request.chosen_sampler(), request.scheduler)
        _check_lists(prepared, request.batch_size * request.n_iter)
        return cls(
            job=prepared.id,
            width=width,
            height=height,
            steps=request.steps,
            batch_size=request.batch_size,
            n_iter=request.n_iter,
            sampler=sampler,
            scheduler=scheduler,
            one_batch=bool(options.get("batch_cond_uncond", True)),
            preview=_preview(options),
            subseed_strength=request.subseed_strength,
            seed_resize_from=_resized(request),
            text=TextOptions.from_options(options),
            pad_conds=bool(options.get("pad_cond_uncond", False)),
            comments=bool(options.get("enable_prompt_comments", True)),
            old_scheduling=bool(options.get("use_old_scheduling", False)),
            rng=str(options.get("randn_source", "GPU")),
            ensd=int(options.get("eta_noise_seed_delta", 0)),
            tiling=bool(_first(request.tiling, options.get("tiling", False))),
            upcast_vae_on_nan=bool(options.get("auto_vae_precision", True)),
            form=request,
            request=prepared.request,
            options=options,
        )

    @property
    def hires(self) -> bool:
        """Whether the job has a second pass."""
        return self.form.kind == "txt2img" and self.form.enable_hr

    @property
    def images(self) -> int:
        """How many pictures the job makes."""
        return self.batch_size * self.n_iter

    def batch(self, prepared: PreparedJob, iteration: int) -> BatchSpec:
        """The pictures of one pass, ``iteration`` from 0."""
        part = slice(iteration * self.batch_size, (iteration + 1) * self.batch_size)
        return BatchSpec(
            iteration=iteration,
            first=part.start,
            prompts=tuple(prepared.all_prompts[part]),
            negative_prompts=tuple(prepared.all_negative_prompts[part]),
            seeds=tuple(prepared.all_seeds[part]),
            subseeds=tuple(prepared.all_subseeds[part]),
        )


def _side(name: str, value: int) -> int:
    """Round down to the latent grid, as A1111 does."""
    side = value // PIXELS_PER_LATENT * PIXELS_PER_LATENT
    if side < PIXELS_PER_LATENT:
        raise RequestError(name, value, f"{value} is too small; allowed: 8 pixels and more.")
    return side


def _check_lists(prepared: PreparedJob, images: int) -> None:
    for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"):
        found = len(getattr(prepared, name))
        if found != images:
            raise RequestError(name, found, f"{found} entries for {images} pictures.")


def _preview(options: Mapping[str, Any]) -> PreviewSpec:
    every = int(options.get("show_progress_every_n_steps", 1))
    # A preview is a picture too, and there is no time to check each of them.
    unchecked = options.get("safety_checker", "off") == "off"
    enabled = bool(options.get("live_previews_enable", True)) and unchecked
    return PreviewSpec(
        every=max(every, 0) if enabled else 0,
        method=str(options.get("show_progress_type", "Approx NN")),
        format=str(options.get("live_previews_image_format", "jpeg")),
        subject=str(options.get("live_preview_content", "Prompt")),
        grid=bool(options.get("show_progress_grid", True)),
    )


def _resized(request: GenerationRequest) -> tuple[int, int]:
    height, width = request.seed_resize_from_h, request.seed_resize_from_w
    if height < PIXELS_PER_LATENT or width < PIXELS_PER_LATENT:
        return 0, 0
    return height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT


def _first(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
