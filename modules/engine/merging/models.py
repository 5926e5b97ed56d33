"""A checkpoint as original names and pieces, whether it is a file or a diffusers folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.errors import UnreadableModelError
from modules.catalog.families import detect_family
from modules.catalog.families.base import UNET
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.ema import PREFIX as EMA
from modules.engine.checkpoints.layouts.ema import ema_names
from modules.engine.checkpoints.planning import plan_model
from modules.engine.converting.original_names import original_pieces
from modules.engine.merging.pieces import Piece


@dataclass(frozen=True)
class ModelPieces(Mapping[str, Piece]):
    """All weights of a checkpoint under the names of the original layout."""

    path: Path
    pieces: Mapping[str, Piece]
    metadata: Mapping[str, str]
    family: str | None
    prediction: str = ""
    """What a folder says that its network predicts."""

    def __getitem__(self, name: str) -> Piece:
        return self.pieces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)


def open_model(path: Path, configs: Path) -> ModelPieces:
    """Look at a checkpoint; nothing but headers is read.

    A file that holds the moving average of its UNet alone gives it as the UNet.

    Raises:
        UnreadableModelError, UnsupportedModelError: it is damaged, or of a family whose folders
            cannot be written as one file.
    """
    if path.is_dir():
        plan = plan_model(path, None, configs)
        prediction = str(plan.scheduler.get("prediction_type", ""))
        return ModelPieces(path, original_pieces(plan), {}, plan.family, prediction)
    header = weights_header(path)
    verdict = detect_family(header)
    pieces = {name: Piece.of(Source(header, name)) for name in header}
    if header.has_prefix(EMA) and not header.has_prefix(UNET):
        pieces = with_moving_average(pieces, path)
    return ModelPieces(path, pieces, header.metadata, verdict.family if verdict else None)


def with_moving_average(pieces: Mapping[str, Piece], path: Path) -> dict[str, Piece]:
    """The same weights with the UNet's moving average in the place of the UNet.

    Raises:
        UnreadableModelError: its names cannot be read.
    """
    kept = {
        name: piece for name, piece in pieces.items() if not name.startswith(("model_ema.", UNET))
    }
    parts = [piece.parts[0] for name, piece in pieces.items() if name.startswith(EMA)]
    if not parts:
        return dict(pieces)
    try:
        names = ema_names(parts[0].header)
    except ValueError as error:
        raise UnreadableModelError(path, f"has an odd moving average: {error}") from error
    return {**{UNET + name: Piece.of(source) for name, source in names.items()}, **kept}
