"""Jobs made of many units by a script: what is kept of them, and how their plan begins again."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from modules.catalog import Catalog
from modules.imaging.reading import open_picture
from modules.jobs.inputs import InputStore
from modules.jobs.preparing.controls import FIXED, ONLY_ON
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Batch, Lists, Plan, PlannedScript, Tools, Unit
from modules.requests.prepared import PreparedJob

Interrogate = Callable[[Image.Image, str], str]


@dataclass(frozen=True)
class Planner:
    """Begins the plans of the scripts that come with Easel."""

    scripts: Sequence[PlannedScript]
    catalog: Catalog
    inputs: InputStore
    styles: Callable[[], Sequence[str]]
    interrogate: Interrogate | None = None

    def find(self, request: GenerationRequest) -> PlannedScript | None:
        """The script that a request names, if it is one of these."""
        wanted = (request.script_name or "").strip().lower()
        for script in self.scripts:
            if script.name == wanted and request.kind in script.kinds:
                return script
        return None

    def described(self, kind: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The scripts of one tab with their controls, for the page."""
        tools = self._tools(options, random=False)
        return [
            {
                "title": script.title,
                "name": script.name,
                "args": [argument.to_json() for argument in script.arguments],
                **script.details(kind, tools),
            }
            for script in self.scripts
            if kind in script.kinds
        ]

    def settle(
        self, script: PlannedScript, asked: GenerationRequest, base: PreparedJob, most: int
    ) -> PreparedJob:
        """The job with its plan, whose first units are checked.

        Args:
            asked: the request as it came, its script included.
            base: the same without the script, settled.
            most: pictures that one job may make.

        Raises:
            RequestError: the script's arguments do not fit, or it would make too many pictures.
        """
        kept = _without_script(asked).model_copy(
            update={name: base.request[name] for name in SETTLED if name in base.request}
        )
        stored = {
            "script": script.title,
            "args": script.filled(asked.script_args),
            "request": kept.model_dump(mode="json"),
            "random": asked.seed < 0,
        }
        job = replace(base, plan=stored)
        first = next(self.begin(job), Batch(()))
        images = sum(pictures_of(unit) for unit in first.units) + first.more
        if images > most:
            raise RequestError(
                "script_args",
                images,
                f"{images} images in one job; allowed: {most} (setting max_images_per_job).",
            )
        return replace(job, plan={**stored, "images": images})

    def begin(self, job: PreparedJob) -> Plan:
        """The plan from its beginning; the same each time.

        Raises:
            RequestError: this installation has no such script.
        """
        assert job.plan is not None
        request = GenerationRequest.model_validate(job.plan["request"])
        named = request.model_copy(update={"script_name": job.plan["script"]})
        script = self.find(named)
        if script is None:
            raise RequestError(
                "script_name", job.plan["script"], "there is no such script here any more."
            )
        tools = self._tools(job.options, random=bool(job.plan.get("random")))
        return script.plan(request, list(job.plan["args"]), tools)

    def _tools(self, options: Mapping[str, Any], random: bool) -> Tools:
        catalog = self.catalog
        return Tools(
            options=options,
            lists=Lists(
                checkpoints=tuple(info.title for info in catalog.checkpoints()),
                vaes=tuple(info.name for info in catalog.vaes()),
                upscalers=tuple(info.name for info in catalog.upscalers()),
                styles=tuple(self.styles()),
            ),
            find_checkpoint=lambda name: catalog.find_checkpoint(name).title,
            keep_picture=self._keep,
            read_picture=lambda ref: open_picture(self.inputs.path(ref).read_bytes(), "image"),
            interrogate=self.interrogate,
            seed_was_random=random,
        )

    def _keep(self, image: Image.Image) -> str:
        stream = io.BytesIO()
        image.save(stream, format="PNG", compress_level=1)
        return self.inputs.put(stream.getvalue()).ref


SETTLED = ("seed", "subseed", "init_images", "mask", "latent_mask", "firstpass_image", "depth_map")
"""Fields whose values are settled for the whole plan: seeds drawn, pictures stored."""


LATEST = frozenset({"safety_checker", *ONLY_ON, *FIXED, "sd_checkpoint_hash"})
"""Settings that hold as they are now: a stored job does not loosen them."""


def pictures_of(unit: Unit) -> int:
    """How many pictures a unit makes."""
    if isinstance(unit.request, ExtrasRequest):
        return len(unit.request.images)
    return unit.request.batch_size * unit.request.n_iter


def _without_script(asked: GenerationRequest) -> GenerationRequest:
    return asked.model_copy(update={"script_name": None, "script_args": []})


def unit_request(
    unit: Unit, job: PreparedJob, now: Mapping[str, Any]
) -> GenerationRequest | ExtrasRequest:
    """A unit's request under the settings that the whole job was submitted with.

    Args:
        now: the settings in force; those that changed since then are overridden.
    """
    pinned = {
        key: value
        for key, value in job.options.items()
        if key not in LATEST and now.get(key) != value
    }
    overrides = {**pinned, **unit.request.override_settings}
    return unit.request.model_copy(update={"override_settings": overrides})
