"""Making a picture again from what is known of it, and comparing the two, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import ValidationError

from modules.gallery import ImageReadError, open_image, parse_any, read_image_info, to_request
from modules.gallery.obstacles import obstacles
from modules.imaging.comparing import Comparison, compare
from modules.jobs.records import DONE, PAINTING, ImageRecord, JobRecord, UnknownJob
from modules.jobs.replay_causes import Cause, find_causes
from modules.jobs.service import JobService
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob

RESOURCE = "replay"
"""Name of the prepared job's resource: what is made again."""
LOSSY = ("JPEG", "WEBP", "AVIF")
CHANGED_AFTER = 10.0
"""Seconds after a picture was recorded from which on its file counts as changed."""
PER_IMAGE = ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds", "originals")
HIRES_TEXTS = ("hires_prompts", "hires_negative_prompts")

ReadPicture = Callable[[ImageRecord], bytes]


@dataclass(frozen=True)
class Report:
    """What came of a replay that is done."""

    comparison: Comparison
    causes: tuple[Cause, ...]
    """Empty when the pictures are the same."""
    image: ImageRecord
    """The new picture."""
    original: str | None
    """Id of the picture that was made again; None for a file from outside."""


@dataclass(frozen=True)
class Known:
    """A picture and what is recorded of the job that made it."""

    image: ImageRecord
    kind: str
    prepared: Mapping[str, Any]
    facts: Mapping[str, Any]


FindPicture = Callable[[str], Known | None]


class Replays:
    """Makes pictures again."""

    def __init__(
        self, jobs: JobService, read: ReadPicture, find: FindPicture | None = None
    ) -> None:
        """
        Args:
            read: the bytes of a recorded picture; raises OSError or LookupError when it is gone.
            find: the picture that has exactly this text; by default one of the service's own.
        """
        self._jobs = jobs
        self._read = read
        self._find = find or self._own

    def of_image(self, image_id: str, client: str = "ui") -> str:
        """Make a recorded picture again; gives the id of the job that does it.

        Raises:
            LookupError: there is no such picture, or its job is not known any more.
            RequestError: it cannot be made again.
            QueueFull: too many jobs are waiting.
        """
        image = self._jobs.store.image(image_id)
        if image is None:
            raise UnknownJob(image_id)
        known = self._known(image)
        if known is None:
            return self._by_text(image.infotext, {"image": image.id}, {}, client)
        return self._again(known, {"image": image.id}, {}, client)

    def of_file(self, data: bytes, client: str = "ui") -> str:
        """Make the picture of a file again, from what its text says or from the job that it knows.

        Raises:
            RequestError: it is no picture, carries no parameters, or cannot be made again.
            QueueFull: too many jobs are waiting.
        """
        try:
            text = read_image_info(data).text
        except ImageReadError as error:
            raise RequestError("image", "…", error.sentence) from None
        if not parse_any(text).parameters:
            raise RequestError("image", "…", "the file carries no parameters to make it again.")
        stored = self._jobs.keep_input(data)
        told = {"input": stored.ref}
        inputs = {stored.ref: str(stored.path)}
        known = self._find(text)
        if known is not None:
            return self._again(known, {**told, "image": known.image.id}, inputs, client)
        return self._by_text(text, told, inputs, client)

    def _by_text(
        self, text: str, told: dict[str, Any], inputs: Mapping[str, str], client: str
    ) -> str:
        """Make what an infotext describes."""
        request = self._request_of(text)
        told = {**told, "text": text}
        return self._jobs.submit_settled(
            lambda job_id: _with(self._settled(request, text, job_id, client), told, inputs),
            client,
            save=False,
        )

    def report(self, job_id: str) -> Report | None:
        """What came of a replay; None while it is not done.

        Raises:
            UnknownJob: there is no such job.
            RequestError: the job is no replay, or one of the pictures is gone.
        """
        record = self._jobs.record(job_id)
        told = _told(record)
        if record.state != DONE:
            return None
        place = int(told.get("place", 0))
        new = next((image for image in record.pictures() if image.index == place), None)
        if new is None:
            raise RequestError("id", job_id, "the new picture is not there any more.")
        try:
            old = None if "input" in told else self._jobs.store.image(str(told["image"]))
            data = self._original(record, told, old)
            pictures = open_image(data), open_image(self._read(new))
            form = read_image_info(data).format
        except (OSError, LookupError, ImageReadError) as error:
            raise RequestError("id", job_id, f"a picture cannot be read: {error}") from None
        found = compare(*pictures)
        causes = () if found.same else tuple(self._causes(record, told, old, new, pictures, form))
        return Report(found, causes, new, None if "input" in told else str(told["image"]))

    # -- the job ----------------------------------------------------------------------------------

    def _own(self, text: str) -> Known | None:
        image = self._jobs.store.image_with_text(text)
        return None if image is None else self._known(image)

    def _known(self, image: ImageRecord) -> Known | None:
        """The job of a picture; None for one that a script planned: its units are not stored."""
        record = self._jobs.record(image.job)
        if record.prepared.get("plan"):
            return None
        return Known(image, record.kind, record.prepared, record.facts)

    def _again(
        self, known: Known, told: dict[str, Any], inputs: Mapping[str, str], client: str
    ) -> str:
        """Run the batch that a recorded picture was made in once more."""
        image = known.image
        if known.kind not in PAINTING or image.kind != "image":
            what = image.kind if known.kind in PAINTING else known.kind
            raise RequestError(
                "image",
                image.id,
                f"a picture of the kind {what} cannot be made again; allowed: "
                f"pictures of {', '.join(PAINTING)}.",
            )
        if image.facts.get("incomplete"):
            raise RequestError(
                "image", image.id, "it was interrupted; only finished pictures can be made again."
            )
        batch = max(1, int(known.prepared["request"]["batch_size"]))
        iteration, place = divmod(image.index, batch)
        versions = dict(known.facts.get("versions") or {})
        told = {**told, "place": place, "text": image.infotext, "versions": versions}
        part = slice(iteration * batch, (iteration + 1) * batch)
        again = _one_batch(PreparedJob.from_json(dict(known.prepared)), part)
        return self._jobs.submit_settled(
            lambda job_id: _with(replace(again, id=job_id, client=client), told, inputs),
            client,
            save=False,
        )

    def _request_of(self, text: str) -> GenerationRequest:
        """What an infotext asks for, with nothing left to chance."""
        parsed = parse_any(text)
        missing = [one for one in obstacles(parsed) if "not in the file" in one]
        if missing:
            raise RequestError("image", "…", missing[0])
        jobs = self._jobs
        options = {**jobs.preparer.options.as_dict(), "enable_wildcards": False}
        found = to_request(parsed, options, find_loras=jobs.preparer.catalog.loras_of_hashes)
        # The text is what the program made of styles, wildcards and translation.
        settled = {
            "enable_wildcards": False,
            "translate_chinese": False,
            "samples_format": "png",
            **found.override_settings,
        }
        asked = {**found.fields, "batch_size": 1, "n_iter": 1, "override_settings": settled}
        try:
            return GenerationRequest.model_validate(asked)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(str(part) for part in fault["loc"]) or "request"
            raise RequestError(name, fault.get("input"), f"{fault['msg']}.") from None

    def _settled(
        self, request: GenerationRequest, text: str, job_id: str, client: str
    ) -> PreparedJob:
        try:
            return self._jobs.preparer.prepare(request, job_id, client)
        except NotFoundInList as error:
            if error.field != "override_settings.sd_model_checkpoint":
                raise
            parameters = parse_any(text).parameters
            name, digest = parameters.get("Model"), parameters.get("Model hash")
            if name and name != error.value:  # its hash may not be known yet
                with_name = {**request.override_settings, "sd_model_checkpoint": name}
                renamed = request.model_copy(update={"override_settings": with_name})
                return self._settled(renamed, text, job_id, client)
            told = f"{name} [{digest}]" if name and digest else name or digest
            raise RequestError(
                "image", "…", f"the checkpoint {told} that made it is not here."
            ) from None

    # -- the report -------------------------------------------------------------------------------

    def _original(
        self, record: JobRecord, told: Mapping[str, Any], old: ImageRecord | None
    ) -> bytes:
        if "input" in told:
            return Path(record.prepared["inputs"][told["input"]]).read_bytes()
        if old is None:
            raise LookupError("the original is not recorded any more")
        return self._read(old)

    def _causes(
        self,
        record: JobRecord,
        told: Mapping[str, Any],
        old: ImageRecord | None,
        new: ImageRecord,
        pictures: tuple[Image.Image, Image.Image],
        form: str,
    ) -> list[Cause]:
        then = str(told.get("text") or "")
        more = []
        if pictures[0].size != pictures[1].size:
            more.append(Cause("size", "", *("x".join(map(str, one.size)) for one in pictures)))
        if old is not None and _changed(old):
            more.append(Cause("changed"))
        if "image" not in told and form in LOSSY:
            more.append(Cause("lossy", "", form))
        if "image" not in told:
            more += [Cause("obstacle", sentence) for sentence in obstacles(parse_any(then))]
        versions = told.get("versions"), record.facts.get("versions")
        return find_causes(then, new.infotext, *versions, *more)


def report_json(report: Report) -> dict[str, Any]:
    """The verdict for the page and the API; pictures are named by their ids."""
    found = report.comparison
    return {
        "same": found.same,
        "pixels": found.pixels,
        "differing": found.differing,
        "largest": found.largest,
        "mean": round(found.mean, 4),
        "causes": [cause.to_json() for cause in report.causes],
    }


def is_replay(record: JobRecord) -> bool:
    """Whether a job makes a picture again."""
    return RESOURCE in (record.prepared.get("resources") or {})


def _told(record: JobRecord) -> Mapping[str, Any]:
    if not is_replay(record):
        raise RequestError("id", record.id, "this job makes no picture again.")
    return record.prepared["resources"][RESOURCE]


def _one_batch(prepared: PreparedJob, part: slice) -> PreparedJob:
    """The job reduced to one of its batches, which becomes what it was."""
    lists = {
        name: value[part] for name in PER_IMAGE if (value := getattr(prepared, name)) is not None
    }
    resources = {
        name: value[part] if name in HIRES_TEXTS and value is not None else value
        for name, value in prepared.resources.items()
        if name != RESOURCE
    }
    request = {
        **prepared.request,
        "n_iter": 1,
        "seed": prepared.all_seeds[part.start],
        "output_folder": None,
        "output_name": None,
    }
    options = {**prepared.options, "return_grid": False, "grid_save": False}
    return replace(prepared, request=request, options=options, resources=resources, **lists)


def _with(prepared: PreparedJob, told: dict[str, Any], inputs: Mapping[str, str]) -> PreparedJob:
    return replace(
        prepared,
        resources={**prepared.resources, RESOURCE: told},
        inputs={**prepared.inputs, **inputs},
    )


def _changed(image: ImageRecord) -> bool:
    try:
        return Path(image.path).stat().st_mtime > image.created + CHANGED_AFTER
    except OSError:
        return False
