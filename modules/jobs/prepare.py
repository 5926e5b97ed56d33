"""From a request to a job that can be repeated: everything random or changeable is settled here.

Nothing is allocated and nothing is stored; a request that cannot be done is refused with one
sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog import Catalog, CheckpointInfo
from modules.jobs.batch import BatchReader, JobRequest
from modules.jobs.fetching import FetchRules
from modules.jobs.folders import check_output_folder
from modules.jobs.inputs import InputStore
from modules.jobs.pictures import PictureDoor
from modules.jobs.planned import Planner
from modules.jobs.preparing.controls import check_overrides, check_terms, settle_safety
from modules.jobs.preparing.extension_scripts import ExtensionScripts, settle_extension_scripts
from modules.jobs.preparing.extras import settle_extras
from modules.jobs.preparing.models import ModelSettler
from modules.jobs.preparing.networks import NetworkSettler
from modules.jobs.preparing.pictures import check_inputs_given, take_pictures
from modules.jobs.preparing.prompts import PromptSettler
from modules.jobs.preparing.resources import ResourceSettler
from modules.jobs.seeds import fix_seed
from modules.prompts import Dictionary, StyleBook, WildcardLibrary
from modules.prompts.term_files import TermLibrary
from modules.requests.errors import NotFoundInList, RequestError, shorten
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.hires import with_first_pass_size
from modules.requests.limits import Limits, check_budget
from modules.requests.models import ConvertRequest, MergeRequest
from modules.requests.prepared import PreparedJob
from modules.requests.samplers import resolve_sampler
from modules.requests.scripts import apply_scripts
from modules.settings.options import OptionError
from modules.settings.store import OptionStore


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
    confined: bool = False
    """Results go into the data folder's outputs alone."""
    terms: TermLibrary | None = None
    """What prompts may not say; None: anything."""
    planner: Planner | None = None
    """Scripts that make jobs of many units."""
    extension_scripts: ExtensionScripts | None = None
    """Scripts of extensions, which the engine runs."""

    @property
    def limits(self) -> Limits:
        """How much one job may ask for now."""
        return Limits.from_options(self.options.as_dict()).within(self.ceiling)

    def prepare(self, request: JobRequest, job_id: str, client: str) -> PreparedJob:
        """Settle one request; its pictures are stored, nothing else is.

        Raises:
            RequestError: what is wrong and what is allowed.
        """
        if request.output_folder:
            self._check_folder("output_folder", request.output_folder)
        if isinstance(request, ExtrasRequest):
            return self._extras(request, job_id, client)
        if isinstance(request, (MergeRequest, ConvertRequest)):
            return self._model(request, job_id, client)
        script = None if self.planner is None else self.planner.find(request)
        if self.planner is None or script is None:
            return self._generation(request, job_id, client)
        plain = request.model_copy(update={"script_name": None, "script_args": []})
        base = self._generation(plain, job_id, client)
        return self.planner.settle(script, request, base, self.limits.images)

    def _generation(self, asked: GenerationRequest, job_id: str, client: str) -> PreparedJob:
        chosen: dict[str, Any] | None = None
        if self.extension_scripts is not None:
            asked, chosen = settle_extension_scripts(asked, self.extension_scripts)
        request = with_first_pass_size(apply_scripts(asked))
        check_budget(request, self.limits)
        check_inputs_given(request)
        sampler, scheduler = resolve_sampler(request.chosen_sampler(), request.scheduler)
        effective = self._effective_options(request.override_settings)
        warnings: list[str] = []
        checkpoint = self._checkpoint(request, effective, warnings)
        vae = self._vae(request, effective, checkpoint, warnings)
        settler = ResourceSettler(self.catalog)
        resources, names = settler.settle(request, effective, warnings)
        request, files = take_pictures(request, self._door(effective), self.limits)
        settled = request.sized().model_copy(
            update={
                **names,
                "seed": fix_seed(request.seed),
                "subseed": fix_seed(request.subseed),
                "sampler_name": sampler.name,
                "scheduler": scheduler.label,
            }
        )
        dictionary = self.dictionary(checkpoint, effective)
        prompts = PromptSettler(self.styles, self.wildcards).settle(
            settled, effective, dictionary, warnings
        )
        networks = NetworkSettler(self.catalog)
        prompts = prompts.with_networks(lambda texts: networks.added(texts, effective))
        if self.terms is not None:
            check_terms(self.terms, settled, prompts.told(), effective)
        if chosen is not None:
            resources["scripts"] = chosen
        resources |= settle_safety(self.catalog.paths, effective)
        resources |= networks.settle(
            [*prompts.positive, *(prompts.hires_positive or ())],
            [*prompts.negative, *(prompts.hires_negative or ())],
            effective,
        )
        return PreparedJob(
            id=job_id,
            kind=settled.kind,
            request=settled.model_dump(mode="json"),
            options=effective,
            all_prompts=prompts.positive,
            all_negative_prompts=prompts.negative,
            all_seeds=prompts.seeds,
            all_subseeds=prompts.subseeds,
            checkpoint=str(checkpoint.path),
            vae=vae,
            templates=prompts.templates,
            originals=prompts.originals,
            inputs=files,
            resources={**resources, **prompts.hires()},
            created=time.time(),
            client=client,
            warnings=warnings,
        )

    def _extras(self, asked: ExtrasRequest, job_id: str, client: str) -> PreparedJob:
        effective = self._effective_options(asked.override_settings)
        settler = ResourceSettler(self.catalog)
        request, files, resources = settle_extras(
            asked, self._door(effective), settler, self.limits
        )
        count = len(request.images)
        return PreparedJob(
            id=job_id,
            kind=request.kind,
            request=request.model_dump(mode="json"),
            options=effective,
            all_prompts=[""] * count,
            all_negative_prompts=[""] * count,
            all_seeds=[-1] * count,
            all_subseeds=[-1] * count,
            inputs=files,
            resources=resources,
            created=time.time(),
            client=client,
        )

    def _model(self, asked: MergeRequest | ConvertRequest, job_id: str, client: str) -> PreparedJob:
        """A job that makes a model; its name stands where others have a prompt."""
        settler = ModelSettler(self.catalog)
        request, resources = (
            settler.merge(asked, job_id)
            if isinstance(asked, MergeRequest)
            else settler.convert(asked, job_id)
        )
        return PreparedJob(
            id=job_id,
            kind=request.kind,
            request=request.model_dump(mode="json"),
            options=self._effective_options(asked.override_settings),
            all_prompts=[Path(resources["target"]).name],
            all_negative_prompts=[""],
            all_seeds=[-1],
            all_subseeds=[-1],
            resources=resources,
            created=time.time(),
            client=client,
        )

    def batch_reader(self) -> BatchReader:
        """Turns a batch of pictures into requests."""
        door = self._door(self.options.as_dict())
        return BatchReader(self.inputs, door, self.limits.images, self.catalog.paths.data)

    def _door(self, options: Mapping[str, Any]) -> PictureDoor:
        # A request may forbid itself to fetch, but not allow itself what the settings forbid.
        stored, wished = (
            FetchRules.from_options(self.options.as_dict()),
            FetchRules.from_options(options),
        )
        rules = FetchRules(
            stored.enabled and wished.enabled,
            stored.forbid_local or wished.forbid_local,
            wished.user_agent,
        )
        return PictureDoor(self.inputs, rules, self.limits.input_megapixels)

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

    def _check_folder(self, key: str, value: str) -> None:
        check_output_folder(self.catalog.paths, key, value, confined=self.confined)

    def _effective_options(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        for key, value in overrides.items():
            if key.startswith("outdir_") and isinstance(value, str):
                self._check_folder(key, value)
        try:
            effective = self.options.with_overrides(overrides)
        except OptionError as error:
            raise RequestError(
                f"override_settings.{error.key}",
                error.value,
                f"{shorten(error.value)!r} is not possible; allowed: {error.allowed}.",
            ) from None
        check_overrides(self.options.as_dict(), effective)
        return effective

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

    def vae_for(
        self, name: object, checkpoint: CheckpointInfo, options: Mapping[str, Any] | None = None
    ) -> str | None:
        """Path of the separate VAE that a setting means for a checkpoint, or None for its own.

        Raises:
            RequestError: there is no such VAE, or it cannot be used.
        """
        overrides = (options or {}).get("sd_vae_overrides_per_model_preferences", True)
        vae = self.catalog.find_vae(str(name or ""), checkpoint, overrides=bool(overrides))
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
            return self.vae_for(name, checkpoint, effective)
        except RequestError as error:
            if request.override_settings.get("sd_vae"):
                raise
            warnings.append(f"{error.sentence} The checkpoint's own VAE was used.")
            return None
