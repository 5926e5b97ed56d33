"""Further model files of a job: upscalers, face restorers, the refiner and hires checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modules.catalog import Catalog, CheckpointInfo
from modules.catalog.restorers import face_parser, list_restorers
from modules.catalog.upscalers import UpscalerInfo, find_upscaler
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.latent_upscaling import LATENT_UPSCALINGS, find_latent_upscaling
from modules.requests.samplers import resolve_sampler

SAME = ("use same checkpoint", "use same sampler", "use same scheduler", "none", "")
"""What forms and infotext write for "as in the first pass"."""
LANCZOS = "Lanczos"


@dataclass(frozen=True)
class ResourceSettler:
    """Finds the files that a request names, with one sentence for names that are not known."""

    catalog: Catalog

    def settle(
        self, request: GenerationRequest, options: dict[str, Any], warnings: list[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """``PreparedJob.resources``, and the request's fields with the names as they are known.

        Raises:
            RequestError: an upscaler, sampler or checkpoint is not known.
        """
        resources: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        refiner = self._checkpoint(request.refiner_checkpoint, "refiner_checkpoint")
        changes["refiner_checkpoint"] = _short_title(refiner)
        if refiner is not None:
            resources["refiner"] = str(refiner.path)
        upscalers: list[UpscalerInfo] = []
        if request.enable_hr and request.kind == "txt2img":
            changes |= self._hires(request, resources, upscalers)
        if request.kind == "img2img" and request.resize_mode < 3:
            chosen = self._for_img2img(request, options, warnings)
            if chosen is not None:
                upscalers.append(chosen)
        if upscalers:
            resources["upscalers"] = {info.name: info.to_json() for info in upscalers}
        restore = request.restore_faces
        if restore is None:
            restore = bool(options.get("face_restoration", False))
        changes["restore_faces"] = restore
        if restore or request.detailer is not None:
            resources["restorers"] = self.restorers()
        return resources, changes

    def restorers(self) -> dict[str, Any]:
        """Every face restorer and what goes with them, by name."""
        paths = self.catalog.paths
        found = (*list_restorers(paths), face_parser(paths))
        return {info.name: info.to_json() for info in found}

    def upscaler(self, name: str | None, field: str) -> UpscalerInfo:
        """The upscaler of a field; empty is "None".

        Raises:
            NotFoundInList: there is none of this name.
        """
        return find_upscaler(name or "None", self.catalog.upscalers(), field)

    def _hires(
        self,
        request: GenerationRequest,
        resources: dict[str, Any],
        upscalers: list[UpscalerInfo],
    ) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        latent = find_latent_upscaling(request.hr_upscaler)
        if latent is not None:
            changes["hr_upscaler"] = latent.name
        else:
            info = self._image_upscaler(request.hr_upscaler or "")
            changes["hr_upscaler"] = info.name
            upscalers.append(info)
        checkpoint = self._checkpoint(request.hr_checkpoint_name, "hr_checkpoint_name")
        changes["hr_checkpoint_name"] = _short_title(checkpoint)
        if checkpoint is not None:
            resources["hires_checkpoint"] = str(checkpoint.path)
        return changes | _hires_sampler(request)

    def _image_upscaler(self, name: str) -> UpscalerInfo:
        try:
            return self.upscaler(name, "hr_upscaler")
        except NotFoundInList as error:
            names = [entry.name for entry in LATENT_UPSCALINGS]
            raise NotFoundInList("hr_upscaler", name, [*names, *error.allowed]) from None

    def _for_img2img(
        self, request: GenerationRequest, options: dict[str, Any], warnings: list[str]
    ) -> UpscalerInfo | None:
        """The setting's upscaler for enlarging input pictures; None is Lanczos."""
        name = options.get("upscaler_for_img2img")
        if not name or name == "None":
            return None
        try:
            return self.upscaler(name, "override_settings.upscaler_for_img2img")
        except NotFoundInList as error:
            if request.override_settings.get("upscaler_for_img2img"):
                raise
            warnings.append(f"{error.sentence} {LANCZOS} was used.")
            options["upscaler_for_img2img"] = None
            return None

    def _checkpoint(self, name: str | None, field: str) -> CheckpointInfo | None:
        if is_same(name):
            return None
        try:
            return self.catalog.find_checkpoint(str(name))
        except NotFoundInList as error:
            raise NotFoundInList(field, name, error.allowed) from None
        except RequestError as error:
            reason = error.sentence.partition(": ")[2]
            raise RequestError(field, name, reason) from None


def is_same(name: str | None) -> bool:
    """Whether a field of the second pass means the first pass's choice."""
    return (name or "").strip().lower() in SAME


def _hires_sampler(request: GenerationRequest) -> dict[str, Any]:
    """The second pass's own sampler and schedule; None where they are the first pass's."""
    name = None if is_same(request.hr_sampler_name) else request.hr_sampler_name
    schedule = None if is_same(request.hr_scheduler) else request.hr_scheduler
    sampler, scheduler = resolve_sampler(
        name or request.chosen_sampler(),
        schedule or request.scheduler,
        sampler_field="hr_sampler_name" if name else "sampler_name",
        scheduler_field="hr_scheduler" if schedule else "scheduler",
    )
    combined = name is not None and sampler.name.lower() != name.strip().lower()
    return {
        "hr_sampler_name": sampler.name if name else None,
        # "DPM++ 2M Karras" as the second pass's sampler brings its schedule along.
        "hr_scheduler": scheduler.label if schedule or combined else None,
    }


def _short_title(info: CheckpointInfo | None) -> str | None:
    """``name [hash10]``, as A1111 writes a second checkpoint into infotext."""
    if info is None:
        return None
    return f"{info.model_name} [{info.hash}]" if info.hash else info.model_name
