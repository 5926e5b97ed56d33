"""What becomes of one picture of a job: its text, its name, its folder, and whether it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from modules.gallery import ImageReadError, NameContext, context_of, image_infotext, read_image_info
from modules.gallery.encode import Seal
from modules.gallery.infotext import compose
from modules.gallery.parameters import readable
from modules.jobs.provenance import credentials
from modules.jobs.records import JobRecord
from modules.requests import events
from modules.settings.paths import Paths


@dataclass(frozen=True)
class Role:
    """A picture beside a result: which settings save and show it, and how its file is named."""

    saving: str
    showing: str | None
    suffix: str


ROLES = {
    "mask": Role("save_mask", "return_mask", "-mask"),
    "mask_composite": Role("save_mask_composite", "return_mask_composite", "-mask-composite"),
    "before_highres_fix": Role("save_images_before_highres_fix", None, "-before-highres-fix"),
    "before_face_restoration": Role(
        "save_images_before_face_restoration", None, "-before-face-restoration"
    ),
    "before_color_correction": Role(
        "save_images_before_color_correction", None, "-before-color-correction"
    ),
}


STEP = "step"
"""Kind of a picture on the way to a result: a tile, a frame that is enlarged later."""


@dataclass(frozen=True)
class PicturePlan:
    """How one picture is kept."""

    facts: dict[str, Any]
    text: str
    """Its infotext on the page."""
    wanted: bool
    """True when it goes to the user's output folder."""
    context: NameContext
    options: Mapping[str, Any]
    folder: Path | None = None
    """Instead of the settings' folder; without subfolders."""
    name: str | None = None
    """File name without number and extension, instead of the settings' pattern."""
    suffix: str = ""
    chunks: dict[str, str] = field(default_factory=dict)
    """Further texts of a PNG file."""
    caption: str | None = None
    """Text of a file beside the picture (data sets)."""
    written: str | None = None
    """The infotext in the file, where it is not ``text``."""
    seal: Seal | None = None
    """Signs the file."""

    @property
    def file_text(self) -> str:
        """What is written into the file."""
        return self.text if self.written is None else self.written


def is_of_use(event: events.ImageDone, options: Mapping[str, Any]) -> bool:
    """Whether the settings want a picture of this role at all."""
    role = ROLES.get(event.role)
    if role is None:
        return event.role == "image"
    return bool(options.get(role.saving) or (role.showing and options.get(role.showing)))


def is_shown(kind: str, options: Mapping[str, Any]) -> bool:
    """Whether a kept picture is among the results that clients and the page get."""
    role = ROLES.get(kind)
    if kind == STEP:
        return False
    return role is None or bool(role.showing and options.get(role.showing))


def plan_picture(
    record: JobRecord, event: events.ImageDone, paths: Paths, version: str
) -> PicturePlan:
    """Decide about one picture of a txt2img, img2img or extras job."""
    if record.kind == "extras":
        return _plan_extras(record, event, paths, version)
    prepared = record.prepared
    options, request = prepared["options"], prepared["request"]
    facts = {"width": request["width"], "height": request["height"], **event.facts}
    facts["version"] = version
    text = image_infotext(
        facts,
        request,
        options,
        templates=prepared.get("templates"),
        originals=_of_image(prepared.get("originals"), event.index),
        version=version,
    )
    batch = max(1, int(request["batch_size"]))
    context = replace(
        context_of(facts, request, options, job_started=started(record)),
        all_seeds=tuple(prepared["all_seeds"]),
        batch_index=event.index % batch,
        iteration=event.index // batch,
    )
    role = ROLES.get(event.role)
    if facts.get("infotext"):
        text = str(facts["infotext"])  # a script of an extension has written it
    return PicturePlan(
        facts=facts,
        text=text,
        wanted=_wanted(record, facts) and (role is None or bool(options.get(role.saving))),
        context=context,
        options=_without_subfolders(options, request),
        folder=_chosen_folder(paths, request),
        name=_batch_name(request, event.index, len(prepared["all_seeds"])),
        suffix=role.suffix if role else "",
        seal=credentials(record, facts, paths, version, role=event.role, index=event.index),
    )


def facts_asked_for(record: JobRecord, index: int) -> dict[str, Any]:
    """What the request says of a picture that the engine has said nothing about."""
    prepared, request = record.prepared, record.prepared["request"]
    facts = {
        "seed": prepared["all_seeds"][index],
        "subseed": prepared["all_subseeds"][index],
        "prompt": prepared["all_prompts"][index],
        "negative_prompt": prepared["all_negative_prompts"][index],
    }
    for name in ("steps", "sampler_name", "cfg_scale", "width", "height"):
        facts[name] = request.get(name)
    return {**facts, "schedule_label": request.get("scheduler")}


def _plan_extras(
    record: JobRecord, event: events.ImageDone, paths: Paths, version: str
) -> PicturePlan:
    """Extras keep the text of the picture they were given and say in a chunk what they did."""
    options, request = record.prepared["options"], record.prepared["request"]
    facts = {**event.facts, "version": version}
    done = compose("", "", {key: readable(v) for key, v in (facts.get("extra") or {}).items()})
    facts["postprocessing"] = done
    context = NameContext(
        width=event.width,
        height=event.height,
        batch_index=event.index,
        job_started=started(record),
    )
    earlier = _text_of_input(record, facts.get("input"))
    # A PNG says what Extras did in chunks of its own, other formats have one place only.
    png = str(options.get("samples_format") or "png").lower() == "png"
    return PicturePlan(
        facts=facts,
        text=earlier or done,
        written=earlier if png else None,
        wanted=_wanted(record, facts),
        context=context,
        options=_without_subfolders(options, request),
        folder=_chosen_folder(paths, request),
        name=_extras_name(request, options, str(facts.get("name") or "")),
        suffix=_extras_suffix(request, options, facts),
        chunks={"extras": done, "postprocessing": done} if done else {},
        caption=facts.get("caption"),
        seal=credentials(record, facts, paths, version, role=event.role, index=event.index),
    )


def started(record: JobRecord) -> datetime:
    """When the job began, for names with a time."""
    return datetime.fromtimestamp(record.started or record.created)


def _wanted(record: JobRecord, facts: Mapping[str, Any]) -> bool:
    options, request = record.prepared["options"], record.prepared["request"]
    if not record.save or request.get("do_not_save_samples"):
        return False
    if facts.get("shown_only"):
        return False  # a script of an extension shows it, and saves what it wants saved
    if facts.get("incomplete") and not options.get("save_incomplete_images", False):
        return False
    # A1111's Extras save whatever "Always save all generated images" says.
    return record.kind == "extras" or bool(options.get("samples_save", True))


def _chosen_folder(paths: Paths, request: Mapping[str, Any]) -> Path | None:
    chosen = request.get("output_folder")
    return paths.data / Path(chosen).expanduser() if chosen else None


def _without_subfolders(
    options: Mapping[str, Any], request: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {**options, "save_to_dirs": False} if request.get("output_folder") else options


def _batch_name(request: Mapping[str, Any], index: int, count: int) -> str | None:
    """A batch from files keeps their names, with a number when one file gives several pictures."""
    name = request.get("output_name")
    if not name:
        return None
    return str(name) if count <= 1 else f"{name}-{index + 1}"


def _extras_name(request: Mapping[str, Any], options: Mapping[str, Any], name: str) -> str | None:
    """The name of the file that a picture came from, where it came from one."""
    if not name or not options.get("use_original_name_batch", True):
        return None
    return PurePosixPath(name.replace("\\", "/")).stem


def _extras_suffix(
    request: Mapping[str, Any], options: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    suffix = str(facts.get("suffix") or "")
    upscaler = request.get("upscaler_1")
    if options.get("use_upscaler_name_as_suffix") and upscaler not in (None, "None"):
        return f"{suffix}-{upscaler}"
    return suffix


def _text_of_input(record: JobRecord, ref: Any) -> str:
    path = record.prepared["inputs"].get(ref)
    if path is None:
        return ""
    try:
        return read_image_info(Path(path)).text
    except ImageReadError:
        return ""


def _of_image(originals: Any, index: int) -> list[str] | None:
    """One image's texts before translation; jobs of older versions have none."""
    return originals[index] if originals and index < len(originals) else None
