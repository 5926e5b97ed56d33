"""From a request to a job that can be repeated: everything random or changeable is settled here.

Nothing is allocated and nothing is stored; a request that cannot be done is refused with one
sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.catalog import Catalog, CheckpointInfo
from modules.jobs.folders import check_output_folder
from modules.jobs.inputs import InputStore
from modules.jobs.seeds import expand_seeds, fix_seed
from modules.jobs.translating import translate_all
from modules.prompts import (
    Dictionary,
    StyleBook,
    WildcardLibrary,
    apply_styles,
    expand,
    strip_comments,
)
from modules.requests.errors import NotFoundInList, RequestError, shorten
from modules.requests.generation import GenerationRequest
from modules.requests.limits import Limits, check_budget
from modules.requests.prepared import PreparedJob
from modules.requests.samplers import resolve_sampler
from modules.settings.options import OptionError
from modules.settings.store import OptionStore

NO_STYLE = "None"
"""What A1111's clients send when no style is chosen."""
MAX_PROMPT_CHARACTERS = 4_000_000
"""Of all images' prompts of one job together."""


@dataclass(frozen=True)
class Preparer:
    """Settles requests with this installation's settings, styles, wildcards and model files."""

    options: OptionStore
    catalog: Catalog
    styles: StyleBook
    wildcards: WildcardLibrary
    inputs: InputStore
    ceiling: Limits | None = None
    """Bounds that hold whatever the settings allow."""

    @property
    def limits(self) -> Limits:
        """How much one job may ask for now."""
        return Limits.from_options(self.options.as_dict()).within(self.ceiling)

    def prepare(self, request: GenerationRequest, job_id: str, client: str) -> PreparedJob:
        """Settle one request.

        Raises:
            RequestError: what is wrong and what is allowed.
        """
        check_budget(request, self.limits)
        _refuse_what_is_not_there(request)
        sampler, scheduler = resolve_sampler(request.chosen_sampler(), request.scheduler)
        effective = self._effective_options(request)
        warnings: list[str] = []
        checkpoint = self._checkpoint(request, effective, warnings)
        vae = self._vae(request, effective, checkpoint, warnings)
        settled = request.sized().model_copy(
            update={
                "seed": fix_seed(request.seed),
                "subseed": fix_seed(request.subseed),
                "sampler_name": sampler.name,
                "scheduler": scheduler.label,
            }
        )
        prompts = self._prompts(settled, effective, warnings)
        translated = translate_all(
            prompts.positive, prompts.negative, self.dictionary(checkpoint, effective)
        )
        warnings += translated.notes
        if settled.restore_faces:
            warnings.append("No face restorer is installed; faces stay as they are.")
        return PreparedJob(
            id=job_id,
            kind=settled.kind,
            request=settled.model_dump(mode="json"),
            options=effective,
            all_prompts=translated.positive,
            all_negative_prompts=translated.negative,
            all_seeds=prompts.seeds,
            all_subseeds=prompts.subseeds,
            checkpoint=str(checkpoint.path),
            vae=vae,
            templates=prompts.templates,
            originals=translated.originals,
            created=time.time(),
            client=client,
            warnings=warnings,
        )

    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint that the settings name, or the best there is; None without any."""
        return self.catalog.default_checkpoint()

    def dictionary(
        self, checkpoint: CheckpointInfo | None, options: Mapping[str, Any]
    ) -> Dictionary | None:
        """What translates Chinese prompts for a checkpoint; None when that is switched off."""
        if checkpoint is None or not options.get("translate_chinese", True):
            return None
        return self.catalog.dictionary(checkpoint)

    def _effective_options(self, request: GenerationRequest) -> dict[str, Any]:
        for key, value in request.override_settings.items():
            if key.startswith("outdir_") and isinstance(value, str):
                check_output_folder(self.catalog.paths, key, value)
        try:
            return self.options.with_overrides(request.override_settings)
        except OptionError as error:
            raise RequestError(
                f"override_settings.{error.key}",
                error.value,
                f"{shorten(error.value)!r} is not possible; allowed: {error.allowed}.",
            ) from None

    def _checkpoint(
        self, request: GenerationRequest, effective: dict[str, Any], warnings: list[str]
    ) -> CheckpointInfo:
        asked = request.override_settings.get("sd_model_checkpoint")
        if asked:
            info = self._named(str(asked))
        else:
            info = self._stored(str(effective.get("sd_model_checkpoint") or ""), warnings)
        effective["sd_model_checkpoint"] = info.title
        effective["sd_checkpoint_hash"] = info.sha256 or ""
        return info

    def _named(self, asked: str) -> CheckpointInfo:
        try:
            return self.catalog.find_checkpoint(asked)
        except NotFoundInList as error:
            field = "override_settings.sd_model_checkpoint"
            raise NotFoundInList(field, asked, error.allowed) from None

    def _stored(self, title: str, warnings: list[str]) -> CheckpointInfo:
        info = self.chosen_checkpoint()
        if info is None:
            raise RequestError(
                "sd_model_checkpoint",
                title,
                "there is no checkpoint yet; put a .safetensors file into "
                f"{self.catalog.paths.checkpoints} and press Refresh.",
            )
        if title:
            try:
                info = self.catalog.find_checkpoint(title)
            except RequestError:
                warnings.append(
                    f"The chosen checkpoint {title!r} is not there any more; {info.title} was used."
                )
        return info

    def vae_for(self, name: object, checkpoint: CheckpointInfo) -> str | None:
        """Path of the separate VAE that a setting means for a checkpoint, or None for its own.

        Raises:
            RequestError: there is no such VAE, or it cannot be used.
        """
        vae = self.catalog.find_vae(str(name or ""), checkpoint)
        return None if vae is None else str(vae.path)

    def _vae(
        self,
        request: GenerationRequest,
        effective: dict[str, Any],
        checkpoint: CheckpointInfo,
        warnings: list[str],
    ) -> str | None:
        name = effective.get("sd_vae")
        try:
            return self.vae_for(name, checkpoint)
        except RequestError as error:
            if request.override_settings.get("sd_vae"):
                raise
            warnings.append(f"{error.sentence} The checkpoint's own VAE was used.")
            return None

    def _prompts(
        self, request: GenerationRequest, effective: dict[str, Any], warnings: list[str]
    ) -> _Prompts:
        """Styles first, then comments away, then wildcards with each image's own seed."""
        for name in request.styles:
            if name != NO_STYLE and self.styles.get(name) is None:
                raise NotFoundInList("styles", name, [style.name for style in self.styles.list()])
        prompt, negative = apply_styles(
            request.prompt, request.negative_prompt, request.styles, self.styles
        )
        if effective.get("enable_prompt_comments", True):
            prompt, negative = strip_comments(prompt), strip_comments(negative)
        count = request.batch_size * request.n_iter
        if (len(prompt) + len(negative)) * count > MAX_PROMPT_CHARACTERS:
            raise RequestError(
                "prompt",
                f"{len(prompt) + len(negative)} characters",
                f"{count} images with this prompt exceed {MAX_PROMPT_CHARACTERS} characters; "
                "ask for fewer images or a shorter prompt.",
            )
        seeds, subseeds = expand_seeds(
            request.seed, request.subseed, request.subseed_strength, count
        )
        if not effective.get("enable_wildcards", True):
            return _Prompts([prompt] * count, [negative] * count, seeds, subseeds, None)
        return self._expand(prompt, negative, seeds, subseeds, request, warnings)

    def _expand(
        self,
        prompt: str,
        negative: str,
        seeds: list[int],
        subseeds: list[int],
        request: GenerationRequest,
        warnings: list[str],
    ) -> _Prompts:
        # With a variation strength all images share the seed; wildcards still differ.
        varied = subseeds if request.subseed_strength > 0 else seeds
        positives, negatives = [], []
        total = 0
        for seed in varied:
            first = expand(prompt, seed, self.wildcards)
            second = expand(negative, seed, self.wildcards)
            for warning in (*first.warnings, *second.warnings):
                if warning.message not in warnings:
                    warnings.append(warning.message)
            positives.append(first.text)
            negatives.append(second.text)
            total += len(first.text) + len(second.text)
            if total > MAX_PROMPT_CHARACTERS:
                raise RequestError(
                    "prompt",
                    prompt,
                    f"the wildcards grow to more than {MAX_PROMPT_CHARACTERS} characters.",
                )
        changed = any(text != prompt for text in positives) or any(
            text != negative for text in negatives
        )
        templates = [prompt, negative] if changed else None
        return _Prompts(positives, negatives, seeds, subseeds, templates)


@dataclass(frozen=True)
class _Prompts:
    """One entry per image, and the texts before wildcards if those changed anything."""

    positive: list[str]
    negative: list[str]
    seeds: list[int]
    subseeds: list[int]
    templates: list[str] | None


def _refuse_what_is_not_there(request: GenerationRequest) -> None:
    if request.kind != "txt2img":
        raise RequestError("kind", request.kind, "allowed in this version: txt2img.")
    if request.enable_hr:
        raise RequestError(
            "enable_hr", True, "Hires. fix is not part of this version; allowed: false."
        )
    if request.refiner_checkpoint and request.refiner_checkpoint != "None":
        raise RequestError(
            "refiner_checkpoint",
            request.refiner_checkpoint,
            "the refiner is not part of this version; leave it empty.",
        )
    if request.script_name and request.script_name != "None":
        raise RequestError(
            "script_name", request.script_name, f"Script '{shorten(request.script_name)}' not found"
        )
    for name in request.alwayson_scripts:
        raise RequestError(
            "alwayson_scripts", name, f"always on script '{shorten(name)}' not found"
        )
