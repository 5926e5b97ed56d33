"""The job "merge": models in, one `.safetensors` file out.

Its `prepared.resources` are settled by the queue (`modules.jobs.preparing.models`):

    models   list of {"name", "path", "sha256"} for A, B and C, as far as they take part
    vae      path of the VAE to bake in, or None
    target   path of the result
    part     path of the result while it is written
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.hashes import BLOCK as HASH_BLOCK
from modules.catalog.hashes import HashCache
from modules.catalog.patterns import matching
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.families.vae_file import plan_vae
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.converting.original_names import VAE, vae_pieces
from modules.engine.converting.settings import copy_settings
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.merging.merge import Rules, Term, plan_merge
from modules.engine.merging.models import ModelPieces, open_model
from modules.engine.merging.pieces import Piece
from modules.engine.merging.progress import ByteProgress
from modules.engine.merging.recipe import Ingredient, merge_metadata
from modules.engine.merging.writing import Written, write_terms
from modules.requests.errors import RequestError
from modules.requests.events import Event, Started, Warning_
from modules.requests.models import MergeRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

Emit = Callable[[Event], None]


class MergeJob:
    """Carries out one merge."""

    def __init__(
        self, prepared: PreparedJob, control: JobControl, emit: Emit, paths: Paths, hashing: bool
    ) -> None:
        """
        Raises:
            RequestError: the stored request is not a valid one.
        """
        self._job = prepared.id
        self._request = MergeRequest.model_validate(prepared.request)
        self._resources = prepared.resources
        self._emit = emit
        self._paths = paths
        self._hashing = hashing
        self._hashes = HashCache(paths.cache / "hashes.json")
        self._progress = ByteProgress(prepared.id, control, emit)

    def run(self) -> Written:
        """Write the file, or leave nothing.

        Raises:
            RequestError: the models do not fit each other, or the disk is full.
            ModelFileError: one of them is damaged.
        """
        self._emit(Started(self._job))
        try:
            return self._merged()
        except StopSampling:
            return Written(True, {})
        except OSError as error:
            reason = f"the result could not be written ({error.strerror or error})."
            raise RequestError("custom_name", self._target.name, reason) from error

    @property
    def _target(self) -> Path:
        return Path(self._resources["target"])

    def _merged(self) -> Written:
        request = self._request
        models = [open_model(Path(m["path"]), self._paths.configs) for m in self._given]
        rules = Rules(
            request.interp_method,
            request.multiplier,
            tuple(request.block_weights),
            request.save_as_half,
            matching(request.discard_weights, models[0], "discard_weights"),
        )
        a, b, c = [*models, None, None][:3]
        merge = plan_merge(a, b, c, rules, self._vae())
        self._progress.expect(sum(term.work for term in merge.terms))
        metadata = merge_metadata(request, self._ingredients(models), merge.kind)
        target = _of_kind(self._target, merge.kind, request)
        digest = self._write(merge.terms, metadata, target)
        self._hashes.remember(target, digest)
        settings = copy_settings([Path(m["path"]) for m in self._given], target, request)
        return Written(
            False,
            {
                "file": str(target),
                "sha256": digest,
                "size": target.stat().st_size,
                "weights": len(merge.terms),
                "mixed": sum(term.b is not None for term in merge.terms),
                "kind": merge.kind,
                "settings": settings,
            },
        )

    @property
    def _given(self) -> Sequence[Mapping[str, Any]]:
        return self._resources["models"]

    def _write(self, terms: Sequence[Term], metadata: Mapping[str, str], target: Path) -> str:
        part = Path(self._resources["part"])
        digest, overflowed = write_terms(
            terms, part, metadata, target, self._progress, overwrite=self._request.overwrite
        )
        if overflowed:
            self._warn("Some weights are too large for float16 and became infinite.")
        return digest

    def _vae(self) -> dict[str, Piece] | None:
        path = self._resources.get("vae")
        return vae_of(Path(path), self._paths.configs) if path else None

    def _ingredients(self, models: Sequence[ModelPieces]) -> list[Ingredient]:
        return [
            Ingredient(
                given["name"],
                model.path,
                given.get("sha256") or self._hash(model.path),
                model.metadata,
            )
            for given, model in zip(self._given, models, strict=True)
        ]

    def _hash(self, path: Path) -> str:
        """The recipe names models by their hashes; one that is not known is computed now."""
        wanted = self._request.save_metadata and self._request.add_merge_recipe
        if not self._hashing or not wanted or path.is_dir():
            return ""
        if self._hashes.known(path) is None:
            self._progress.expect(path.stat().st_size)
        left = path.stat().st_size

        def one_block_more() -> bool:
            nonlocal left
            size = min(left, HASH_BLOCK)
            left -= size
            self._progress.advance(size)
            return False

        return self._hashes.sha256(path, one_block_more)

    def _warn(self, message: str) -> None:
        self._emit(Warning_(self._job, message))


def vae_of(path: Path, configs: Path) -> dict[str, Piece]:
    """The weights of a separate VAE as a checkpoint holds them.

    Raises:
        UnreadableModelError, UnsupportedModelError: it is damaged or no VAE.
    """
    plan = plan_vae(path, {}, Sidecar())
    try:
        pieces = vae_pieces(Names(plan.sources))
    except KeyError as error:
        raise UnsupportedModelError(path, f"has an unknown weight ({error})") from error
    return {VAE + name: piece for name, piece in pieces.items()}


def _of_kind(target: Path, kind: str, request: MergeRequest) -> Path:
    """A1111 writes the kind of a wider model into the name."""
    return target.with_name(f"{target.stem}.{kind}{target.suffix}") if kind else target
