"""A batch: the same request for many pictures, each as a job of its own.

What cannot be read is left out and named; the others go on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modules.gallery import ImageReadError, parse_any, read_image_info, to_request
from modules.jobs.inputs import InputStore, StoredInput
from modules.jobs.pictures import PictureDoor
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest, Name
from modules.requests.models import ConvertRequest, MergeRequest

JobRequest = GenerationRequest | ExtrasRequest | MergeRequest | ConvertRequest

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".gif", ".bmp"})
"""Files that a directory is searched for; what they really are shows when they are opened."""
INFO_FIELDS = ("Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash")
"""What may be taken from each picture's own parameters, as A1111's form lists it."""


class PictureParameters(BaseModel):
    """Take parameters from each picture, or from the one of the same name elsewhere."""

    model_config = ConfigDict(extra="ignore")

    directory: Name | None = None
    fields: list[Name] = Field(default_factory=list, max_length=20)


class BatchRequest(BaseModel):
    """What the Batch tabs send: references, or directories on this machine."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["img2img", "extras"] = "img2img"
    request: dict[str, Any] = Field(default_factory=dict)
    refs: list[Name] = Field(default_factory=list, max_length=10_000)
    names: list[Name] = Field(default_factory=list, max_length=10_000)
    directory: Name | None = None
    mask_directory: Name | None = None
    output_directory: Name | None = None
    png_info: PictureParameters | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


@dataclass(frozen=True)
class BatchEntry:
    """One picture of a batch and the request it becomes."""

    name: str
    request: JobRequest


@dataclass
class Batch:
    """What can be done and what cannot."""

    entries: list[BatchEntry] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

    def skip(self, name: str, reason: str) -> None:
        """Leave a picture out."""
        self.skipped.append({"name": name, "reason": reason})


@dataclass(frozen=True)
class BatchReader:
    """Turns a batch into requests."""

    inputs: InputStore
    door: PictureDoor
    most: int
    """How many pictures one batch may have."""
    data: Path
    """Relative directories lie below it."""

    def read(self, asked: BatchRequest) -> Batch:
        """The requests of a batch.

        Raises:
            RequestError: no picture at all, a directory that cannot be read, or too many pictures.
        """
        base = self._base(asked)
        batch = Batch()
        pictures = list(self._pictures(asked))
        if len(pictures) > self.most:
            raise RequestError(
                "directory" if asked.directory else "refs",
                len(pictures),
                f"{len(pictures)} pictures in one batch; allowed: {self.most} "
                "(setting max_images_per_job).",
            )
        masks = self._masks(asked)
        infos = (
            self._folder(asked.png_info.directory, "png_info.directory")
            if (asked.png_info and asked.png_info.directory)
            else None
        )
        for name, take in pictures:
            try:
                stored = take()
                changes = self._of_one(asked, base, name, stored, masks, infos)
                batch.entries.append(BatchEntry(name, base.model_copy(update=changes)))
            except RequestError as error:
                batch.skip(name, error.sentence.partition(": ")[2])
            except OSError:
                batch.skip(name, "the file cannot be read.")
        return batch

    def _base(self, asked: BatchRequest) -> JobRequest:
        model = ExtrasRequest if asked.kind == "extras" else GenerationRequest
        given = {**asked.request, "kind": asked.kind}
        if asked.output_directory:
            given["output_folder"] = asked.output_directory
        for pictures in ("init_images", "images", "names", "output_name"):
            given.pop(pictures, None)
        try:
            return model.model_validate(given)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(str(part) for part in fault["loc"]) or "request"
            raise RequestError(name, fault.get("input"), f"{fault['msg']}.") from None

    def _pictures(self, asked: BatchRequest) -> Iterator[tuple[str, Callable[[], StoredInput]]]:
        """Name of each picture and how to get it."""
        if not asked.directory:
            if not asked.refs:
                raise RequestError("refs", [], "there is no picture; add files or a directory.")
            for number, ref in enumerate(asked.refs):
                name = asked.names[number] if number < len(asked.names) else ""
                yield (
                    name or f"Picture {number + 1}",
                    lambda ref=ref: self.door.take(ref, "refs"),
                )
            return
        found = list_pictures(self._folder(asked.directory, "directory"))
        if not found:
            raise RequestError(
                "directory", asked.directory, "there is no picture in this directory."
            )
        for path in found:
            yield path.name, lambda path=path: self._taken(path, "directory")

    def _of_one(
        self,
        asked: BatchRequest,
        base: JobRequest,
        name: str,
        stored: StoredInput,
        masks: list[Path] | None,
        infos: Path | None,
    ) -> dict[str, Any]:
        if isinstance(base, ExtrasRequest):
            return {"images": [stored.ref], "names": [name]}
        changes: dict[str, Any] = {"init_images": [stored.ref], "do_not_save_grid": True}
        if base.output_folder:
            changes["output_name"] = Path(name).stem
        if masks is not None:
            mask = _mask_for(name, masks)
            if mask is None:
                raise RequestError("mask_directory", name, "there is no mask of the same name.")
            changes["mask"] = self._taken(mask, "mask_directory").ref
        if asked.png_info is not None:
            source = _same_stem(name, list_pictures(infos)) if infos else stored.path
            if source is not None:
                changes |= taken_over(base, source, asked.png_info.fields)
        return changes

    def _masks(self, asked: BatchRequest) -> list[Path] | None:
        if not asked.mask_directory:
            return None
        masks = list_pictures(self._folder(asked.mask_directory, "mask_directory"))
        if not masks:
            raise RequestError(
                "mask_directory", asked.mask_directory, "there is no picture in this directory."
            )
        return masks

    def _taken(self, path: Path, field_name: str) -> StoredInput:
        return self.inputs.put(path.read_bytes(), field_name, self.door.max_megapixels)

    def _folder(self, name: str, field_name: str) -> Path:
        try:
            folder = (self.data / Path(name).expanduser()).resolve()
            there = folder.is_dir()
        except (OSError, ValueError, RuntimeError):
            there = False
        if not there:
            raise RequestError(field_name, name, "there is no such directory.")
        return folder


def list_pictures(folder: Path) -> list[Path]:
    """Picture files of a folder in the order people expect: 2 before 10; hidden ones left out."""
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.is_file()
                and not entry.name.startswith(".")
                and Path(entry.name).suffix.lower() in ENDINGS
            ]
    except OSError:
        raise RequestError("directory", folder.name, "it cannot be read.") from None
    return sorted(found, key=_natural)


def taken_over(base: GenerationRequest, source: Path, wanted: list[str]) -> dict[str, Any]:
    """Fields that a picture's own parameters give; prompts are put behind those of the form."""
    try:
        info = read_image_info(source)
    except ImageReadError:
        return {}
    if not info.text:
        return {}
    found = to_request(parse_any(info.text))
    names = set(wanted)
    changes: dict[str, Any] = {}
    for label, key in (("Prompt", "prompt"), ("Negative prompt", "negative_prompt")):
        text = str(found.fields.get(key) or "")
        if label in names and text:
            own = getattr(base, key)
            changes[key] = f"{own} {text}" if own else text
    for label, keys in _TAKEN.items():
        if label in names:
            changes |= {key: found.fields[key] for key in keys if key in found.fields}
    checkpoint = found.override_settings.get("sd_model_checkpoint")
    if "Model hash" in names and checkpoint:
        changes["override_settings"] = {**base.override_settings, "sd_model_checkpoint": checkpoint}
    return _checked(base, changes)


_TAKEN: Mapping[str, tuple[str, ...]] = {
    "Seed": ("seed",),
    "CFG scale": ("cfg_scale",),
    "Sampler": ("sampler_name", "scheduler"),
    "Steps": ("steps",),
}


def _checked(base: GenerationRequest, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes as validation makes them; strange parameters are the picture's fault."""
    try:
        given = base.model_dump(include=base.model_fields_set) | changes
        settled = GenerationRequest.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise RequestError("png_info", name, f"its own {name} cannot be used.") from None
    return {key: getattr(settled, key) for key in changes}


def _mask_for(name: str, masks: list[Path]) -> Path | None:
    """The mask of the same name; a single mask serves all pictures."""
    return masks[0] if len(masks) == 1 else _same_stem(name, masks)


def _same_stem(name: str, paths: list[Path]) -> Path | None:
    return next((path for path in paths if path.stem == Path(name).stem), None)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d{1,18})", path.name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]
