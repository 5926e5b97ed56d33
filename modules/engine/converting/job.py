"""The job "convert": one model in, the same in another form out.

Its `prepared.resources` are settled by the queue (`modules.jobs.preparing.models`):

    models   list with the model's {"name", "path", "sha256"}
    target   path of the result, a `.safetensors` file or a folder
    part     path of the result while it is written
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.catalog.hashes import HashCache
from modules.engine.checkpoints.planning import plan_model
from modules.engine.converting.settings import copy_notes, flow_notes
from modules.engine.converting.to_file import file_terms
from modules.engine.converting.to_folder import (
    check_possible,
    decided,
    folder_files,
    write_descriptions,
)
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.merging.merge import Term
from modules.engine.merging.models import ModelPieces, open_model
from modules.engine.merging.output import check_room, claim
from modules.engine.merging.progress import ByteProgress
from modules.engine.merging.writing import Written, write_terms
from modules.requests.errors import RequestError
from modules.requests.events import Event, Started, Warning_
from modules.requests.models import ConvertRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

Emit = Callable[[Event], None]


class ConvertJob:
    """Carries out one conversion."""

    def __init__(
        self, prepared: PreparedJob, control: JobControl, emit: Emit, paths: Paths
    ) -> None:
        """
        Raises:
            RequestError: the stored request is not a valid one.
        """
        self._job = prepared.id
        self._request = ConvertRequest.model_validate(prepared.request)
        self._source = Path(prepared.resources["models"][0]["path"])
        self._target = Path(prepared.resources["target"])
        self._part = Path(prepared.resources["part"])
        self._emit = emit
        self._paths = paths
        self._hashes = HashCache(paths.cache / "hashes.json")
        self._progress = ByteProgress(prepared.id, control, emit)

    def run(self) -> Written:
        """Write the file or the folder, or leave nothing.

        Raises:
            RequestError: what is asked for does not fit the model, or the disk is full.
            ModelFileError: the model is damaged, or cannot be written so.
        """
        self._emit(Started(self._job))
        try:
            if self._request.to == "diffusers":
                return self._to_folder()
            return self._to_file()
        except StopSampling:
            return Written(True, {})
        except OSError as error:
            reason = f"the result could not be written ({error.strerror or error})."
            raise RequestError("custom_name", self._target.name, reason) from error

    def _to_file(self) -> Written:
        request = self._request
        model = open_model(self._source, self._paths.configs)
        terms = file_terms(model, dtype=request.dtype, prune=request.prune, ema=request.ema)
        if not terms:
            raise RequestError("model_name", request.model_name, "it holds no weights.")
        self._progress.expect(sum(term.work for term in terms))
        metadata = {**_passed_on(model), "format": "pt"}
        digest = self._write(terms, self._part, metadata, self._target)
        self._hashes.remember(self._target, digest)
        copy_notes(self._source, self._target, self._flow_notes())
        dropped = len(model) - len({term.name for term in terms} & set(model))
        return self._written([self._target], sha256=digest, weights=len(terms), dropped=dropped)

    def _flow_notes(self) -> dict[str, dict[str, Any]]:
        if not self._source.is_dir():
            return {}
        return flow_notes(plan_model(self._source, None, self._paths.configs), self._paths.configs)

    def _to_folder(self) -> Written:
        if self._target.exists():
            raise RequestError(
                "custom_name", self._target.name, "there is a folder of this name already."
            )
        plan = plan_model(self._source, None, self._paths.configs)
        check_possible(plan)
        plan = decided(plan)
        files = folder_files(plan, self._request.dtype)
        self._progress.expect(sum(term.work for file in files for term in file.terms))
        shutil.rmtree(self._part, ignore_errors=True)
        try:
            self._part.mkdir(parents=True)
            check_room(self._part, sum(term.slot.size for file in files for term in file.terms))
            for file in files:
                path = self._part / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f"{path.name}.part")
                self._write(file.terms, temporary, {"format": "pt"}, path)
            write_descriptions(plan, self._part, self._paths.configs)
            claim(self._part, self._target, overwrite=False)
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
        copy_notes(self._source, self._target)
        weights = sum(len(file.terms) for file in files)
        written = [self._target / file.path for file in files]
        return self._written(written, weights=weights)

    def _write(
        self, terms: Sequence[Term], part: Path, metadata: Mapping[str, str], target: Path
    ) -> str:
        digest, overflowed = write_terms(
            terms, part, metadata, target, self._progress, overwrite=self._request.overwrite
        )
        if overflowed:
            message = "Some weights are too large for float16 and became infinite."
            self._emit(Warning_(self._job, message))
        return digest

    def _written(self, files: Sequence[Path], **facts: object) -> Written:
        size = sum(file.stat().st_size for file in files)
        return Written(False, {"file": str(self._target), "size": size, **facts})


def _passed_on(model: ModelPieces) -> dict[str, str]:
    metadata = dict(model.metadata)
    if model.family == "sd2" and model.path.is_dir():
        metadata["modelspec.prediction_type"] = model.prediction
    return metadata
