"""What the catalog knows about a checkpoint, and the names by which people call one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.families import FolderFacts, Verdict, detect_family
from modules.catalog.folders import read_folder
from modules.catalog.hashes import SHORT, HashCache, combine
from modules.catalog.kinds import other_kind
from modules.catalog.scan import Found
from modules.catalog.sidecar import sidecar_path
from modules.catalog.weights import weights_header

UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_encoder")
_HASH_IN_TITLE = re.compile(r"\s*\[[0-9a-fA-F]*\]\s*$")


@dataclass(frozen=True)
class CheckpointInfo:
    """One checkpoint. `title` is what A1111 shows and clients send back."""

    name: str
    """Path below the folder it was found in: `sub/file.safetensors`, or a folder's name."""
    path: Path
    kind: str
    """"file" (.safetensors, .ckpt, .pt, .pth, .bin) or "folder" (diffusers)."""
    family: str | None
    variant: str = ""
    sha256: str | None = None
    """None until it has been computed; folders have a hash over their files' hashes."""
    config: Path | None = None
    """The sidecar with defaults, if there is one."""
    size: int = 0
    """Bytes of weights."""
    mtime: float = 0.0
    problem: str = ""
    """Why it cannot be loaded, as a sentence; empty for a good one."""
    hash_files: tuple[Path, ...] = field(default=(), repr=False)
    """The files that the hash covers."""

    @property
    def hash(self) -> str | None:
        """The first ten digits of the sha256."""
        return self.sha256[:SHORT] if self.sha256 else None

    @property
    def model_name(self) -> str:
        """The name without its extension, folders joined by underscores."""
        flat = self.name.replace("/", "_").replace("\\", "_")
        return flat.removesuffix(self.path.suffix) if self.kind == "file" else flat

    @property
    def title(self) -> str:
        """`file.safetensors [hash10]`; without the bracket while the hash is unknown."""
        return f"{self.name} [{self.hash}]" if self.hash else self.name

    @property
    def stem(self) -> str:
        """The file's own name without folders and extension."""
        return self.path.stem if self.kind == "file" else self.path.name

    @property
    def filename(self) -> str:
        """The full path as text, as the API gives it."""
        return str(self.path)

    def aliases(self) -> Iterator[str]:
        """Every name that means exactly this checkpoint, the most telling first."""
        yield self.title
        yield self.name
        yield self.model_name
        yield self.name.removesuffix(self.path.suffix) if self.kind == "file" else self.name
        yield self.path.name
        yield self.stem
        yield str(self.path)
        if self.sha256:
            yield self.sha256[:SHORT]
            yield self.sha256
            yield f"{self.stem} [{self.hash}]"
            yield f"{self.model_name} [{self.hash}]"

    def with_hash(self, sha256: str | None) -> CheckpointInfo:
        """The same checkpoint with its hash known."""
        return replace(self, sha256=sha256)


def inspect(found: Found) -> CheckpointInfo:
    """Look at what the scan found; faults become the `problem` of the answer, never an error."""
    sidecar = sidecar_path(found.path)
    base = CheckpointInfo(
        name=found.name,
        path=found.path,
        kind="folder" if found.kind == "folder" else "file",
        family=None,
        config=sidecar if sidecar.is_file() else None,
        mtime=_mtime(found.path),
    )
    try:
        if found.kind == "folder":
            return _inspect_folder(base)
        return _inspect_file(base)
    except ModelFileError as error:
        return replace(base, problem=error.sentence)
    except OSError as error:
        return replace(base, problem=f"{found.path.name}: cannot be read ({error.strerror})")


def _inspect_file(base: CheckpointInfo) -> CheckpointInfo:
    header = weights_header(base.path)
    verdict = detect_family(header)
    if verdict is None:
        raise UnsupportedModelError(base.path, other_kind(header))
    judged = replace(base, size=header.file_size, hash_files=(base.path,))
    return _judged(judged, verdict)


def _inspect_folder(base: CheckpointInfo) -> CheckpointInfo:
    folder = read_folder(base.path)
    verdict = detect_family(folder)
    if verdict is None:
        raise UnsupportedModelError(
            base.path, f"holds a {folder.pipeline or 'pipeline'} of no known model family"
        )
    files = _weights(folder)
    judged = replace(base, size=sum(f.stat().st_size for f in files), hash_files=files)
    if not verdict.problem:
        _require_weights(folder)
    return _judged(judged, verdict)


def _judged(base: CheckpointInfo, verdict: Verdict) -> CheckpointInfo:
    problem = f"{base.path.name}: {verdict.problem}" if verdict.problem else ""
    return replace(base, family=verdict.family, variant=verdict.variant, problem=problem)


def _weights(folder: FolderFacts) -> tuple[Path, ...]:
    """The files that make pictures; a safety checker's gigabyte is never loaded here."""
    unused = set(UNUSED_COMPONENTS)
    if "image_normalizer" in folder.classes:
        unused.discard("image_encoder")  # unCLIP looks at pictures with it
    return tuple(
        file for name, files in folder.weights.items() if name not in unused for file in files
    )


def _require_weights(folder: FolderFacts) -> None:
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if name not in folder.classes or folder.weights.get(name):
            continue
        raise UnsupportedModelError(folder.path, f"has no {name} weights (.safetensors or .bin)")


def content_hash(
    info: CheckpointInfo, hashes: HashCache, stop: Callable[[], bool] = lambda: False
) -> str:
    """The sha256 of a checkpoint: of its file, or over the hashes of a folder's weight files.

    Raises:
        HashingStopped: `stop()` turned true.
        OSError: a file cannot be read.
    """
    return combined_hash(info, [hashes.sha256(file, stop) for file in info.hash_files])


def combined_hash(info: CheckpointInfo, parts: Sequence[str]) -> str:
    """One hash for a checkpoint from those of its files, in the order of `hash_files`."""
    if info.kind == "file":
        return parts[0]
    names = [file.relative_to(info.path).as_posix() for file in info.hash_files]
    return combine(zip(names, parts, strict=True))


def match_alias(infos: Sequence[CheckpointInfo], alias: str) -> CheckpointInfo | None:
    """Find a checkpoint by any of its names, as A1111 does.

    Exact names win, in the order of `CheckpointInfo.aliases` over all checkpoints; then the
    shortest title that contains the text; then the same without a hash in brackets at its end.
    Case matters only if two names differ in nothing else.
    """
    wanted = alias.strip()
    if not wanted:
        return None
    for fold in (str, str.lower):
        best: tuple[int, CheckpointInfo] | None = None
        for info in infos:
            for rank, name in enumerate(info.aliases()):
                if fold(name) == fold(wanted) and (best is None or rank < best[0]):
                    best = (rank, info)
        if best is not None:
            return best[1]
    for text in (wanted, _HASH_IN_TITLE.sub("", wanted)):
        containing = [info for info in infos if text and text.lower() in info.title.lower()]
        if containing:
            return min(containing, key=lambda info: (len(info.title), info.title))
    return None


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
