"""What the queue knows about one job and its images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

QUEUED = "queued"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
INTERRUPTED = "interrupted"
PARKED = "parked"
PAUSED = "paused"
"""Put aside by the user; it waits to be resumed."""

STATES = (QUEUED, RUNNING, PAUSED, DONE, FAILED, CANCELLED, INTERRUPTED, PARKED)
PAINTING = ("txt2img", "img2img")
"""Jobs that paint with a checkpoint."""
MODEL_KINDS = ("merge", "convert")
"""Jobs that make a model file instead of pictures."""
FINISHED = (DONE, FAILED, CANCELLED, INTERRUPTED, PARKED)


class QueueFull(RuntimeError):  # noqa: N818 - reads as what happened
    """The queue takes no more jobs now.

    Attributes:
        retry_after: seconds after which asking again makes sense.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownJob(LookupError):  # noqa: N818 - reads as what happened
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id!r}.")
        self.job_id = job_id


NEEDED = ("request", "options", "all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds")
NEEDED_IN_REQUEST = {
    "txt2img": ("width", "height", "steps", "batch_size", "n_iter", "sampler_name"),
    "img2img": ("width", "height", "steps", "batch_size", "n_iter", "init_images"),
    "extras": ("images",),
    "merge": ("primary_model_name", "interp_method"),
    "convert": ("model_name", "to"),
}


@dataclass(frozen=True)
class ImageRecord:
    """One finished picture (or grid) of a job."""

    id: str
    """32 hexadecimal digits, random: the only handle the web knows."""
    job: str
    index: int
    """Position in the job's images; the grid has -1."""
    kind: str
    """``image``, ``grid``, or what lies beside an image: the roles of ``ImageDone``."""
    path: str
    """File on disk; empty when it could not be written anywhere and lives in memory only."""
    name: str
    """File name offered for a download."""
    width: int
    height: int
    seed: int
    infotext: str
    saved: bool
    """True when it lies in the user's output folder."""
    note: str | None
    """One sentence: why it was not saved where it should be."""
    created: float
    facts: dict[str, Any] = field(default_factory=dict)
    """The engine's facts about this image; see ``modules.requests.events.ImageDone``."""


@dataclass(frozen=True)
class JobRecord:
    """One job as stored. Times are seconds since 1970."""

    id: str
    kind: str
    state: str
    client: str
    position: float
    """Order among waiting jobs, smaller first."""
    created: float
    started: float | None
    finished: float | None
    attempts: int
    """How often an engine began to work on it."""
    save: bool
    """True when its images go to the output folder."""
    prepared: dict[str, Any]
    """``PreparedJob.to_json()``."""
    error: str | None
    warnings: tuple[str, ...]
    facts: dict[str, Any]
    """The engine's facts about the whole job, from its last event."""
    timings: dict[str, float]
    images: tuple[ImageRecord, ...] = ()

    @property
    def finished_state(self) -> bool:
        """True when nothing more will happen to the job by itself."""
        return self.state in FINISHED

    @property
    def image_count(self) -> int:
        """How many pictures were asked for, without the grid."""
        if self.kind in MODEL_KINDS:
            return 0
        plan = self.prepared.get("plan")
        if plan:
            return int(plan.get("images") or 0)
        return len(self.prepared.get("all_seeds") or ())

    def grid(self) -> ImageRecord | None:
        """The contact sheet, if one was made."""
        return next((image for image in self.images if image.kind == "grid"), None)

    def pictures(self) -> list[ImageRecord]:
        """The pictures in order, without the grid."""
        return sorted(
            (image for image in self.images if image.kind == "image"), key=lambda image: image.index
        )


def what_is_missing(record: JobRecord) -> str:
    """The first thing that a stored job lacks to be run, or nothing."""
    for name in NEEDED:
        value = record.prepared.get(name)
        if not isinstance(value, (dict, list)) or not value:
            return name
    for name in NEEDED_IN_REQUEST.get(record.kind, ()):
        if record.prepared["request"].get(name) is None:
            return f"request.{name}"
    return ""
