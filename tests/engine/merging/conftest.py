"""Models to merge, and merging them as the engine does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from modules.engine.converting.job import ConvertJob
from modules.engine.generation.control import JobControl
from modules.engine.merging.job import MergeJob
from modules.engine.merging.writing import Written
from modules.requests.events import Event
from modules.requests.models import ConvertRequest, MergeRequest
from modules.requests.prepared import PreparedJob

REPOSITORY = Path(__file__).resolve().parents[3]
UNET = "model.diffusion_model."
State = dict[str, torch.Tensor]


def state(seed: int = 0, *, channels: int = 4, dtype: torch.dtype = torch.float32) -> State:
    """Weights under the names of a UNet with 25 blocks, a text model, a VAE and buffers."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    made: State = {f"{UNET}input_blocks.0.0.weight": random(8, channels, 3, 3)}
    for number in range(1, 12):
        made[f"{UNET}input_blocks.{number}.0.in_layers.2.weight"] = random(4, 6, 3, 3)
    made[f"{UNET}middle_block.1.proj_in.weight"] = random(6, 6)
    for number in range(12):
        made[f"{UNET}output_blocks.{number}.0.out_layers.3.bias"] = random(7)
    made[f"{UNET}time_embed.0.weight"] = random(5, 3)
    made[f"{UNET}out.2.weight"] = random(4, 8, 3, 3)
    made["cond_stage_model.transformer.text_model.final_layer_norm.weight"] = random(9)
    made["first_stage_model.decoder.conv_in.weight"] = random(4, 4, 3, 3)
    made["first_stage_model.decoder.mid.attn_1.q.weight"] = random(4, 4, 1, 1)
    made["betas"] = torch.full((10,), float(seed))
    made["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(
        77
    ).reshape(1, 77)
    return made


@dataclass
class Workshop:
    """A folder with models, and what is done with them."""

    folder: Path
    events: list[Event] = field(default_factory=list)
    control: JobControl = field(default_factory=lambda: JobControl("job"))

    @property
    def paths(self) -> Any:
        """What the jobs need of the program's folders."""
        return SimpleNamespace(cache=self.folder / "cache", configs=REPOSITORY / "configs")

    @property
    def result(self) -> Path:
        """Where results go."""
        return self.folder / "result.safetensors"

    def save(self, name: str, weights: Mapping[str, torch.Tensor], **metadata: str) -> Path:
        """Write a model."""
        path = self.folder / f"{name}.safetensors"
        save_file(dict(weights), str(path), {"format": "pt", **metadata})
        return path

    def merge(self, *models: Path, vae: Path | None = None, **fields: Any) -> Written:
        """Merge A, B and C."""
        names = ("primary_model_name", "secondary_model_name", "tertiary_model_name")
        given = dict(zip(names, (path.stem for path in models), strict=False))
        request = MergeRequest.model_validate({**given, **fields})
        prepared = self._prepared("merge", request, models, self.result)
        prepared.resources["vae"] = str(vae) if vae else None
        return MergeJob(prepared, self.control, self.events.append, self.paths, True).run()

    def convert(self, model: Path, **fields: Any) -> Written:
        """Convert a model."""
        request = ConvertRequest.model_validate({"model_name": model.stem, **fields})
        target = self.folder / "result" if request.to == "diffusers" else self.result
        prepared = self._prepared("convert", request, (model,), target)
        return ConvertJob(prepared, self.control, self.events.append, self.paths).run()

    def _prepared(
        self, kind: str, request: Any, models: tuple[Path, ...], target: Path
    ) -> PreparedJob:
        return PreparedJob(
            id="job",
            kind=kind,
            request=request.model_dump(mode="json"),
            options={},
            all_prompts=[""],
            all_negative_prompts=[""],
            all_seeds=[-1],
            all_subseeds=[-1],
            resources={
                "models": [{"name": path.name, "path": str(path), "sha256": ""} for path in models],
                "target": str(target),
                "part": str(target.with_name(f".{target.name}.job.part")),
            },
        )

    def weights(self) -> State:
        """Of the result."""
        return load_file(str(self.result))

    def metadata(self) -> dict[str, str]:
        """Of the result."""
        with safe_open(str(self.result), "pt") as file:
            return file.metadata()

    def leftovers(self) -> list[str]:
        """Files that are neither models nor the cache."""
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if path.name.startswith(".") or path.suffix == ".part"
        )


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def make_state() -> Callable[..., State]:
    return state
