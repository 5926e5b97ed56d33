"""From A1111's ``p`` to a prepared job, by the same code that settles requests in the server."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import ValidationError

from modules.catalog import Catalog
from modules.imaging.reading import open_picture
from modules.jobs.inputs import STORED_MEGAPIXELS, InputStore
from modules.jobs.prepare import Preparer
from modules.jobs.preparing.controls import check_terms
from modules.jobs.preparing.networks import NetworkSettler
from modules.prompts import StyleBook, WildcardLibrary
from modules.prompts.term_files import FOLDER as TERM_LISTS
from modules.prompts.term_files import TermLibrary
from modules.requests.errors import RequestError
from modules.requests.generation import IMG2IMG_FIELDS, TXT2IMG_FIELDS, GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table

SAME = (
    *("prompt", "negative_prompt", "styles", "seed", "subseed", "subseed_strength"),
    *("seed_resize_from_h", "seed_resize_from_w", "sampler_name", "scheduler", "steps"),
    *("cfg_scale", "distilled_cfg_scale", "width", "height", "batch_size", "n_iter", "eta"),
    *("s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise", "tiling", "restore_faces"),
    *("denoising_strength", "refiner_checkpoint", "refiner_switch_at", "do_not_save_samples"),
    *("do_not_save_grid", "override_settings", "disable_extra_networks"),
)
"""Fields that ``p`` and a request have under one name."""
OF_KIND = {
    "txt2img": tuple(sorted(TXT2IMG_FIELDS)),
    "img2img": tuple(
        sorted(IMG2IMG_FIELDS - {"mask_blur", "mask", "latent_mask", "include_init_images"})
    ),
}
PICTURES = {
    "image_mask": "mask",
    "latent_mask": "latent_mask",
    "firstpass_image": "firstpass_image",
}
WHOLE = frozenset(
    (
        *("seed", "subseed", "seed_resize_from_h", "seed_resize_from_w", "steps", "width"),
        *("height", "batch_size", "n_iter", "firstphase_width", "firstphase_height"),
        *("hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "resize_mode", "mask_blur_x"),
        *("mask_blur_y", "inpainting_fill", "inpaint_full_res_padding", "inpainting_mask_invert"),
    )
)
"""Fields without fractions; sliders give floats."""


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
        request = self._request(p)
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
        p._settled = (self._request(p), job)

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
        if isinstance(picture, str):
            return picture
        look = _look(picture)
        known = getattr(picture, "easel_reference", None)
        if known is not None and known[0] == look:
            return str(known[1])
        stream = io.BytesIO()
        image = picture if picture.mode in ("RGB", "RGBA", "L") else picture.convert("RGB")
        image.save(stream, format="PNG", compress_level=1)
        reference = self.inputs.put(stream.getvalue(), max_megapixels=STORED_MEGAPIXELS).ref
        picture.easel_reference = (look, reference)  # type: ignore[attr-defined]
        return reference

    def picture(self, job: PreparedJob, reference: str, field: str) -> Image.Image:
        """The picture behind a reference of a job.

        Raises:
            RequestError: it is not there any more.
        """
        path = job.inputs.get(reference)
        source = self.inputs.path(reference, field) if path is None else Path(path)
        found = open_picture(source, field, STORED_MEGAPIXELS)
        found.easel_reference = (_look(found), reference)  # type: ignore[attr-defined]
        return found

    def _request(self, p: Any) -> GenerationRequest:
        base = dict(p._settled[0]) if p._settled is not None else {"kind": p.kind}
        if p._settled is None and getattr(p, "_base", None):
            base = dict(p._base)
        for name in (*SAME, *OF_KIND[p.kind]):
            if hasattr(p, name):
                base[name] = _plain(name, getattr(p, name))
        if p.kind == "img2img":
            base["mask_blur"] = None
            base["init_images"] = [self.reference(one) for one in p.init_images or [] if one]
        for own, name in PICTURES.items():
            value = getattr(p, own, None)
            base[name] = None if value is None else self.reference(value)
        base |= {"script_name": None, "script_args": [], "alwayson_scripts": {}}
        try:
            return GenerationRequest.model_validate(base).sized()
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise RequestError(where, fault.get("input"), f"{fault['msg']}.") from None

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


def _plain(name: str, value: Any) -> Any:
    if name in ("prompt", "negative_prompt") and isinstance(value, list):
        return value[0] if value else ""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if name in WHOLE and isinstance(value, float):
        return int(value)
    if name == "override_settings":
        return dict(value or {})
    return list(value) if isinstance(value, tuple) else value


def _fitted(values: list[Any], count: int) -> list[Any]:
    """As many entries as there are pictures; the last one again where some are missing."""
    values = list(values)[:count]
    return values + values[-1:] * (count - len(values))


def _look(picture: Image.Image) -> tuple[Any, ...]:
    """Changes when somebody draws on the picture."""
    return picture.mode, picture.size, zlib.crc32(picture.tobytes())
