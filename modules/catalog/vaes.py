"""Separate VAE files, and A1111's rules for which one goes with a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.checkpoints import CheckpointInfo
from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.kinds import is_vae
from modules.catalog.scan import PICKLE_SUFFIXES, SAFE_SUFFIX, scan
from modules.catalog.sidecar import read_sidecar_leniently
from modules.catalog.weights import weights_header
from modules.requests.errors import RequestError, shorten

AUTOMATIC = "Automatic"
NONE = "None"


@dataclass(frozen=True)
class VaeInfo:
    """One separate VAE: a file of weights or a diffusers VAE folder."""

    name: str
    """File name with extension, as the infotext writes it."""
    path: Path
    problem: str = ""
    """Why it cannot be loaded; empty for a good one."""

    @property
    def filename(self) -> str:
        """The full path as text, as the API gives it."""
        return str(self.path)


def scan_vaes(vae_folder: Path, checkpoint_folders: Sequence[Path]) -> list[VaeInfo]:
    """All VAE files: everything in the VAE folder, and `*.vae.*` beside checkpoints."""
    found: dict[str, VaeInfo] = {}
    for item in scan([vae_folder], folders=False):
        found.setdefault(item.path.name, _inspect(item.path))
    for item in scan(checkpoint_folders, folders=False):
        if is_beside_checkpoint(item.path):
            found.setdefault(item.path.name, _inspect(item.path))
    return sorted(found.values(), key=lambda info: info.name.lower())


def is_beside_checkpoint(path: Path) -> bool:
    """Whether a file's name says that it is the VAE of the checkpoint next to it."""
    return path.stem.lower().endswith(".vae")


@dataclass(frozen=True)
class Preference:
    """What is noted for a checkpoint."""

    vae: VaeInfo | None
    """None: the one inside of it."""


def preferred_vae(info: CheckpointInfo, vaes: Sequence[VaeInfo]) -> Preference | None:
    """The VAE of a checkpoint as A1111 finds it: what its notes say, else a file named after it.

    None when nothing is noted and no file bears its name.
    """
    usable = [vae for vae in vaes if not vae.problem]
    wish = read_sidecar_leniently(info.path).vae_file
    if wish == NONE:
        return Preference(None)
    for vae in usable:
        if wish and vae.name == wish:
            return Preference(vae)
    stem = info.stem.lower()
    named = [vae for vae in usable if _is_named_after(vae.path, stem)]
    # "apple.vae" is apple's whatever else begins with its name.
    named.sort(key=lambda vae: vae.path.stem.lower().removesuffix(".vae") != stem)
    return Preference(named[0]) if named else None


def _is_named_after(vae: Path, stem: str) -> bool:
    """Whether a VAE bears a checkpoint's name or one that goes on from it, and no other's."""
    name = vae.stem.lower().removesuffix(".vae")
    if name == stem:
        return True
    goes_on = name.startswith(stem) and not name[len(stem)].isalnum()
    own = vae.stem[: len(name)]
    others = (vae.with_name(own + suffix) for suffix in (SAFE_SUFFIX, *PICKLE_SUFFIXES))
    return goes_on and not any(other != vae and other.exists() for other in others)


def vae_at(path: str) -> VaeInfo:
    """The VAE of `--vae-path`.

    Raises:
        RequestError: there is no such file, or it is no VAE that can be loaded.
    """
    found = Path(path).expanduser().resolve()
    if not found.is_file():
        raise RequestError("--vae-path", path, f"there is no file {shorten(path)!r}.")
    info = _inspect(found)
    if info.problem:
        raise RequestError("--vae-path", path, info.problem)
    return info


def _inspect(path: Path) -> VaeInfo:
    try:
        if not is_vae(weights_header(path)):
            raise UnsupportedModelError(path, "is not a VAE")
    except ModelFileError as error:
        return VaeInfo(path.name, path, error.sentence)
    return VaeInfo(path.name, path)
