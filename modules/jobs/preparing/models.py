"""Settles jobs that make models: which files take part, and how the result is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog import Catalog, CheckpointInfo
from modules.catalog.patterns import check_pattern
from modules.catalog.vaes import VaeInfo
from modules.requests.errors import NotFoundInList, RequestError, shorten
from modules.requests.models import ConvertRequest, MergeRequest

MAX_NAME = 150
PART = ".{name}.{job}.part"
"""Name of a result while it is written: hidden, and found again by the job's id."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_NAMES = ("primary_model_name", "secondary_model_name", "tertiary_model_name")
_LETTERS = ("A", "B", "C")


@dataclass(frozen=True)
class ModelSettler:
    """Finds the models of such a job, and a name that is free."""

    catalog: Catalog

    def merge(self, request: MergeRequest, job_id: str) -> tuple[MergeRequest, dict[str, Any]]:
        """The request with known titles, and the files that the engine works with.

        Raises:
            RequestError: a model is missing or does not fit the others, or the name is taken.
        """
        if request.checkpoint_format != "safetensors":
            reason = f"{shorten(request.checkpoint_format)!r} is not written; allowed: safetensors."
            raise RequestError("checkpoint_format", request.checkpoint_format, reason)
        check_pattern(request.discard_weights, "discard_weights")
        count = {"No interpolation": 1, "Weighted sum": 2, "Add difference": 3}
        fields = _NAMES[: count[request.interp_method]]
        models = [
            self._named(getattr(request, field), field, letter, request.interp_method)
            for field, letter in zip(fields, _LETTERS, strict=False)
        ]
        _check_family(models)
        vae = self._vae(request.bake_in_vae)
        name = request.custom_name.strip() or _merged_name(request, models)
        target = self._target(name, ".safetensors", request.custom_name, request.overwrite)
        settled = {field: model.title for field, model in zip(_NAMES, models, strict=False)}
        settled |= dict.fromkeys(_NAMES[len(models) :], "")
        resources = _resources(models, target, job_id)
        resources["vae"] = str(vae.path) if vae else None
        return request.model_copy(update=settled), resources

    def convert(
        self, request: ConvertRequest, job_id: str
    ) -> tuple[ConvertRequest, dict[str, Any]]:
        """The request with a known title, and the files that the engine works with.

        Raises:
            RequestError: the model is missing, or the name is taken.
        """
        model = self._checkpoint_or_vae(request.model_name)
        folder = request.to == "diffusers"
        is_vae = isinstance(model, VaeInfo)
        if is_vae and folder:
            reason = f"{model.name} is a VAE; a diffusers folder is made of a whole checkpoint."
            raise RequestError("to", request.to, reason)
        if folder and request.overwrite:
            raise RequestError("overwrite", True, "a folder is never replaced; choose a new name.")
        stem = model.path.name if model.path.is_dir() else model.path.stem
        name = request.custom_name.strip() or stem
        parent = self.catalog.paths.vae if is_vae else self.catalog.paths.checkpoints
        suffix = "" if folder else ".safetensors"
        target = self._target(name, suffix, request.custom_name, request.overwrite, parent)
        title = model.name if is_vae else model.title
        resources = _resources([model], target, job_id)
        return request.model_copy(update={"model_name": title}), resources

    def _named(self, name: str, field: str, letter: str, method: str) -> CheckpointInfo:
        if not name.strip():
            raise RequestError(field, name, f"{method} needs a model {letter}; choose one.")
        try:
            return self.catalog.find_checkpoint(name)
        except NotFoundInList as error:
            raise NotFoundInList(field, name, error.allowed) from None
        except RequestError as error:
            raise RequestError(field, name, error.sentence.partition(": ")[2]) from None

    def _checkpoint_or_vae(self, name: str) -> CheckpointInfo | VaeInfo:
        field = "model_name"
        if not name.strip():
            raise RequestError(field, name, "choose a model to convert.")
        vae = next((vae for vae in self.catalog.vaes() if name in (vae.name, str(vae.path))), None)
        if vae is not None:
            return vae
        return self._named(name, field, "", "")

    def _vae(self, name: str) -> VaeInfo | None:
        if name in ("", "None"):
            return None
        for vae in self.catalog.vaes():
            if name in (vae.name, vae.path.stem, str(vae.path)):
                return vae
        allowed = ["None", *(vae.name for vae in self.catalog.vaes())]
        raise NotFoundInList("bake_in_vae", name, allowed)

    def _target(
        self, name: str, suffix: str, custom: str, overwrite: bool, parent: Path | None = None
    ) -> Path:
        """Where the result goes; a name that nobody chose is numbered until it is free."""
        folder = parent or self.catalog.paths.checkpoints
        checked = check_name(name.removesuffix(suffix) if suffix else name)
        target = folder / f"{checked}{suffix}"
        if overwrite or not target.exists():
            return target
        if custom.strip():
            reason = f"there is a {target.name!r} already; choose another name or overwrite it."
            raise RequestError("custom_name", custom, reason)
        number = 2
        while (folder / f"{checked}-{number}{suffix}").exists():
            number += 1
        return folder / f"{checked}-{number}{suffix}"


def check_name(name: str) -> str:
    """A file name that every system takes, without its extension.

    Raises:
        RequestError: it is none.
    """
    clean = name.strip()
    if len(clean) > MAX_NAME:
        reason = f"the name is too long; allowed: {MAX_NAME} characters."
        raise RequestError("custom_name", name, reason)
    bad = _FORBIDDEN.search(clean)
    if bad or not clean or clean.startswith(".") or clean.endswith((".", " ")):
        reason = 'a file cannot be called so; not allowed: < > : " / \\ | ? * and a dot at an end.'
        raise RequestError("custom_name", name, reason)
    if _RESERVED.fullmatch(clean):
        raise RequestError("custom_name", name, "Windows keeps this name for itself.")
    return clean


def _merged_name(request: MergeRequest, models: Sequence[CheckpointInfo]) -> str:
    """A1111's names: what was added to what, and how much of it."""
    names = [model.model_name for model in models]
    if len(names) == 1:
        return names[0][:MAX_NAME]
    longest = (MAX_NAME - 30) // len(names)
    names = [name[:longest] for name in names]
    amount = "MBW" if request.block_weights else f"{round(request.multiplier, 2):g}"
    if len(names) == 2 and request.block_weights:
        return f"{amount}({names[0]}, {names[1]})"
    if len(names) == 2:
        rest = f"{round(1 - request.multiplier, 2):g}"
        return f"{rest}({names[0]}) + {amount}({names[1]})"
    return f"{names[0]} + {amount}({names[1]} - {names[2]})"


def _check_family(models: Sequence[CheckpointInfo]) -> None:
    first = models[0]
    for field, model in zip(_NAMES[1:], models[1:], strict=False):
        if model.family != first.family:
            reason = (
                f"{model.name} is a model of the family {model.family}, {first.name} of "
                f"{first.family}; only models of one family can be merged."
            )
            raise RequestError(field, model.name, reason)


def _resources(
    models: Sequence[CheckpointInfo | VaeInfo], target: Path, job_id: str
) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": model.name,
                "path": str(model.path),
                "sha256": getattr(model, "sha256", None) or "",
            }
            for model in models
        ],
        "target": str(target),
        "part": str(target.with_name(PART.format(name=target.name, job=safe_id(job_id)))),
    }


def safe_id(job_id: str) -> str:
    """A job's id as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", job_id)[:64]
