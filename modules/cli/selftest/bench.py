"""The self-test's own installation: an empty data folder, an engine, and models made in it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from modules.cli.session import Session
from modules.gallery import open_image
from modules.jobs.batch import JobRequest
from modules.jobs.records import DONE, JobRecord
from modules.requests.generation import GenerationRequest

JOB_SECONDS = 600.0
SIZE = 64
"""Pixels of the pictures' sides."""


class Failure(Exception):  # noqa: N818 - reads as what happened
    """A capability does not work; the message is one sentence."""


class Absent(Exception):  # noqa: N818 - reads as what happened
    """A capability cannot be tried here; the message says what it needs."""


@dataclass
class Bench:
    """What the cases work with."""

    session: Session
    models: dict[str, Any] = field(default_factory=dict)
    """Names of the models that were made; see ``write_models``."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What one case leaves for another."""

    def make_models(self) -> None:
        """Start the engine and let it write models.

        Raises:
            Failure: it does not start, or cannot write them.
        """
        paths, jobs = self.session.catalog.paths, self.session.jobs
        jobs.start(load_first=False)
        folders = {
            "checkpoints": str(paths.checkpoints),
            "lora": str(paths.lora),
            "embeddings": str(paths.embeddings),
            "hypernetworks": str(paths.hypernetworks),
            "esrgan": str(paths.esrgan),
        }
        reply = jobs.backend.request("sample_models", timeout=JOB_SECONDS, folders=folders)
        if not reply.ok:
            raise Failure(str(reply.payload.get("error")))
        self.models = reply.payload
        self.session.catalog.refresh()
        self.session.options.set_many({"sd_model_checkpoint": self.checkpoint}, save=False)

    @property
    def checkpoint(self) -> str:
        """The checkpoint that most cases paint with.

        Raises:
            Absent: there are no models.
        """
        if not self.models:
            raise Absent("The engine did not start.")
        return str(self.models["checkpoints"][0])

    def paint(self, **fields: Any) -> JobRecord:
        """A job of small pictures.

        Raises:
            Failure: it fails, or a picture of it is empty.
        """
        options = {"sd_model_checkpoint": self.checkpoint, **fields.pop("override_settings", {})}
        request = GenerationRequest(
            **{
                "prompt": "a red apple",
                "width": SIZE,
                "height": SIZE,
                "steps": 4,
                "seed": 1,
                "sampler_name": "Euler",
                "save_images": True,
                "override_settings": options,
                **fields,
            }
        )
        record = self.run(request)
        for picture in self.pictures(record):
            if not _has_contrast(picture):
                raise Failure("The picture is of one colour.")
        return record

    def run(self, request: JobRequest) -> JobRecord:
        """A job, to its end.

        Raises:
            Failure: it is not done, with its reason.
        """
        job = self.session.jobs.submit(request, client="selftest")
        record = self.session.jobs.wait(job, timeout=JOB_SECONDS)
        if record.state != DONE:
            raise Failure(record.error or f"The job ended as {record.state}.")
        return record

    def pictures(self, record: JobRecord) -> list[Image.Image]:
        """A job's pictures, from their files.

        Raises:
            Failure: there are none, or one was not saved.
        """
        found = record.pictures()
        if not found:
            raise Failure("The job gave no picture.")
        lost = [image for image in found if not image.saved]
        if lost:
            raise Failure(lost[0].note or "A picture was not saved.")
        return [open_image(Path(image.path)) for image in found]

    def pixels(self, record: JobRecord) -> bytes:
        """Of the first picture."""
        return self.pictures(record)[0].convert("RGB").tobytes()

    def photo(self) -> str:
        """A picture to begin with, as base64."""
        picture = Image.radial_gradient("L").resize((SIZE, SIZE))
        return encoded(Image.merge("RGB", (picture, picture.rotate(90), picture.transpose(0))))

    def mask(self) -> str:
        """Its left half, as base64."""
        mask = Image.new("L", (SIZE, SIZE))
        mask.paste(255, (0, 0, SIZE // 2, SIZE))
        return encoded(mask)


def expect(holds: bool, sentence: str) -> None:
    """
    Raises:
        Failure: it does not hold.
    """
    if not holds:
        raise Failure(sentence)


def encoded(picture: Image.Image) -> str:
    """A picture as base64 of a PNG."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode("ascii")


def decoded(text: str) -> Image.Image:
    """The other way round."""
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


def _has_contrast(picture: Image.Image) -> bool:
    return any(low != high for low, high in picture.convert("RGB").getextrema())
