"""From A1111's ``p`` to a prepared job, by the same code that settles requests in the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.addons.asking import look_of, reference_of, request_of
from modules.catalog import Catalog
from modules.imaging.reading import open_picture
from modules.jobs.inputs import STORED_MEGAPIXELS as MOST
from modules.jobs.inputs import InputStore
from modules.jobs.prepare import Preparer
from modules.jobs.preparing.controls import check_terms
from modules.jobs.preparing.networks import NetworkSettler
from modules.prompts import StyleBook, WildcardLibrary
from modules.prompts.term_files import FOLDER as TERM_LISTS
from modules.prompts.term_files import TermLibrary
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table


class JobOptions(OptionStore):
    """The settings as the job in progress sees them; never written."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths.config_file, build_table(), use_file=False)
        self.remarks.clear()

    def take(self, values: Mapping[str, Any]) -> None:
        """These are in force from now on."""
        self._values = {key: value for key, value in values.items() if key in self.table}


class Settler:
    """Settles what scripts ask for; one per process."""

    def __init__(self, paths: Paths, *, hashing: bool = True) -> None:
        self.options = JobOptions(paths)
        self.catalog = Catalog(paths, self.options, hashing=hashing)
        self.inputs = InputStore(paths)
        self.terms = TermLibrary(paths.data / TERM_LISTS)
        self.styles = StyleBook(paths.styles_file)
        self._preparer = Preparer(
            self.options,
            self.catalog,
            self.styles,
            WildcardLibrary(paths.wildcards),
            self.inputs,
            terms=self.terms,
        )

    def job_of(self, p: Any, job: PreparedJob) -> PreparedJob:
        """The job that ``p`` describes; the very one it was made from while nothing has changed.

        Args:
            job: in which it happens; its settings are in force but for ``p.override_settings``.

        Raises:
            RequestError: a field cannot be used.
        """
        request = request_of(p, self.reference)
        drawn = request.seed < 0
        if not drawn and p._settled is not None and p._settled[0] == request:
            settled: PreparedJob = p._settled[1]
            return settled
        self.options.take(job.options)
        made = self._preparer.prepare(request, job.id, job.client)
        made = self._with_models(made, request, job)
        p._settled = (request, made)
        return made

    def adopt(self, p: Any, job: PreparedJob) -> None:
        """``p`` was made from ``job``: settling it gives that again."""
        p._settled = (request_of(p, self.reference), job)

    def with_texts(self, job: PreparedJob, lists: Mapping[str, list[Any]]) -> PreparedJob:
        """The job with other prompts or seeds, one per picture; new extra networks are found.

        Raises:
            RequestError: a prompt holds a term that is forbidden.
        """
        count = len(job.all_prompts)
        fitted = {name: _fitted(values, count) for name, values in lists.items() if values}
        own = {name: fitted.pop(name) for name in list(fitted) if name.startswith("hires_")}
        changed = replace(job, **fitted)
        resources = {**job.resources, **own}
        texts = (changed.all_prompts, changed.all_negative_prompts, own)
        if texts != (job.all_prompts, job.all_negative_prompts, {}):
            positive = [*changed.all_prompts, *own.get("hires_prompts", ())]
            negative = [*changed.all_negative_prompts, *own.get("hires_negative_prompts", ())]
            resources |= self.networks(positive, negative, job)
        return replace(changed, resources=resources)

    def networks(
        self, positive: list[str], negative: list[str], job: PreparedJob
    ) -> dict[str, Any]:
        """The files of extra networks in prompts, after a look at what they may not say.

        Raises:
            RequestError: a prompt holds a term that is forbidden.
        """
        request = GenerationRequest.model_validate(job.request)
        check_terms(self.terms, request, positive, job.options)
        return NetworkSettler(self.catalog).settle(positive, negative, job.options)

    def reference(self, picture: Image.Image | str) -> str:
        """A picture as requests name it; while it stays the same it is stored once."""
        return reference_of(picture, lambda data: self.inputs.put(data, "image", MOST).ref)

    def picture(self, job: PreparedJob, reference: str, field: str) -> Image.Image:
        """The picture behind a reference of a job.

        Raises:
            RequestError: it is not there any more.
        """
        path = job.inputs.get(reference)
        source = self.inputs.path(reference, field) if path is None else Path(path)
        found = open_picture(source, field, MOST)
        found.easel_reference = (look_of(found), reference)  # type: ignore[attr-defined]
        return found

    def _with_models(
        self, made: PreparedJob, request: GenerationRequest, job: PreparedJob
    ) -> PreparedJob:
        """The whole job's checkpoint and VAE, unless ``p`` overrides them."""
        # Settings of extensions are no rows of the table; they come along as they are.
        options = {**job.options, **made.options}
        checkpoint, vae = made.checkpoint, made.vae
        if not request.override_settings.get("sd_model_checkpoint"):
            checkpoint = job.checkpoint
            for key in ("sd_model_checkpoint", "sd_checkpoint_hash"):
                options[key] = job.options.get(key)
            if not request.override_settings.get("sd_vae"):
                vae = job.vae
        return replace(made, options=options, checkpoint=checkpoint, vae=vae)


def _fitted(values: list[Any], count: int) -> list[Any]:
    """As many entries as there are pictures; the last one again where some are missing."""
    values = list(values)[:count]
    return values + values[-1:] * (count - len(values))
