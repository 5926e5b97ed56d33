"""A real engine with a tiny random model, and a short way to give it jobs."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from modules.engine.generation.control import JobControl
from modules.engine.runner import Engine
from modules.requests.events import Done, Event, Failed, ImageDone, Preview, Step, Warning_
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.tables import build_table
from tests.support.tiny_models import tiny_sd

SMALL = {
    "prompt": "a red apple",
    "negative_prompt": "blurry",
    "width": 64,
    "height": 64,
    "steps": 4,
    "cfg_scale": 5.0,
    "seed": 7,
    "sampler_name": "Euler",
}


@dataclass
class Result:
    """Everything a job said."""

    events: list[Event] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def pictures(self) -> list[np.ndarray]:
        """[height, width, 3] each, in the order of their index."""
        return self.role("image")

    def role(self, role: str) -> list[np.ndarray]:
        """The pictures of one role, [height, width, channels] each, by index."""
        done = [event for event in self.of(ImageDone) if event.role == role]
        return [
            np.frombuffer(event.data, np.uint8).reshape(event.height, event.width, -1)
            for event in sorted(done, key=lambda event: event.index)
        ]

    @property
    def facts(self) -> dict[str, Any]:
        return next(event.facts for event in self.of(ImageDone) if event.role == "image")

    @property
    def extra(self) -> dict[str, Any]:
        return self.facts["extra"]

    @property
    def steps(self) -> list[Step]:
        return self.of(Step)

    @property
    def previews(self) -> list[Preview]:
        return self.of(Preview)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.of(Warning_)]

    @property
    def done(self) -> Done:
        assert not self.of(Failed), self.of(Failed)
        return self.of(Done)[0]

    @property
    def failed(self) -> Failed:
        return self.of(Failed)[0]


class Studio:
    """Runs jobs on an engine in this process."""

    def __init__(self, data: Path, checkpoint: Path) -> None:
        self.paths = Paths.from_flags(parse_flags(["--data-dir", str(data)]))
        self.checkpoint = checkpoint
        self._listen: Callable[[Event], None] = lambda event: None
        self.engine = Engine(self.paths, {}, lambda event: self._listen(event))
        self._numbers = itertools.count()
        self._inputs: dict[str, str] = {}

    def prepare(self, *, options: dict[str, Any] | None = None, **fields: Any) -> PreparedJob:
        """A job of one or more pictures; ``prompts`` gives each picture its own prompt.

        Input pictures may be given as Pillow images.
        """
        prompts = fields.pop("prompts", None)
        checkpoint = fields.pop("checkpoint", self.checkpoint)
        resources = fields.pop("resources", {})
        for name, value in fields.items():
            if isinstance(value, Image.Image):
                fields[name] = self.stored(value)
            elif name == "init_images":
                fields[name] = [self.stored(one) for one in value]
        request = GenerationRequest(**{**SMALL, **fields})
        count = request.batch_size * request.n_iter
        varied = request.subseed_strength > 0
        settings = {**build_table().defaults(), "live_previews_enable": False, **(options or {})}
        return PreparedJob(
            id=f"job-{next(self._numbers)}",
            kind=request.kind,
            request=request.model_dump(),
            options=settings,
            all_prompts=prompts or [request.prompt] * count,
            all_negative_prompts=[request.negative_prompt] * count,
            all_seeds=[request.seed + (0 if varied else i) for i in range(count)],
            all_subseeds=[max(request.subseed, 0) + i for i in range(count)],
            checkpoint=str(checkpoint),
            inputs=dict(self._inputs),
            resources=resources,
        )

    def stored(self, picture: Image.Image | str) -> str:
        """The reference of an input picture, kept as the server keeps them."""
        if isinstance(picture, str):
            return picture
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        path = self.paths.cache / f"{digest}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
        self._inputs[f"input:{digest}"] = str(path)
        return f"input:{digest}"

    def make(
        self, *, listen: Callable[[Event, JobControl], None] | None = None, **fields: Any
    ) -> Result:
        """Run a job; ``listen`` hears every event with the job's control."""
        result, prepared = Result(), self.prepare(**fields)
        control = JobControl(prepared.id)

        def hear(event: Event) -> None:
            result.events.append(event)
            if listen is not None:
                listen(event, control)

        self._listen = hear
        self.engine.run(prepared, control)
        return result

    def picture(self, **fields: Any) -> np.ndarray:
        """The only picture of a job."""
        result = self.make(**fields)
        assert result.done
        (picture,) = result.pictures
        return picture


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random SD 1.x model as a diffusers folder, in 32 bits."""
    return tiny_sd(tmp_path_factory.mktemp("models"), dtype="float32", seed=5)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Studio:
    """One engine for all tests of the session."""
    return Studio(tmp_path_factory.mktemp("data"), tiny_checkpoint)


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A colourful picture of 64x64 pixels with edges and gradients."""
    across, down = np.meshgrid(np.arange(64), np.arange(64))
    pixels = np.stack([across * 4, down * 4, (across + down) * 2], axis=-1).astype(np.uint8)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((12, 18, 44, 50), fill=(220, 30, 40))
    draw.rectangle((40, 4, 60, 16), fill=(250, 240, 20))
    return picture


@pytest.fixture(scope="session")
def hole() -> Image.Image:
    """A mask for ``photo``: white in the middle, on the latent grid."""
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).rectangle((16, 24, 47, 47), fill=255)
    return mask


def difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two pictures, in 255ths."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())
