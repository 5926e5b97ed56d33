"""Files that face restoration and interrogation need: where each is, or where it is to be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modules.requests.errors import NotFoundInList
from modules.settings.paths import ROOT, Paths

FACE_DETECTOR = ROOT / "models" / "FaceDetection" / "mtcnn.safetensors"
"""Ships with the program."""
FACE_PARSER = "Face parsing"
SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class RestorerInfo:
    """One weights file that is looked for under a few names and can be downloaded under one."""

    name: str
    """"GFPGAN", "CodeFormer", as the API lists them; or what else the file is for."""
    path: Path
    """Where it is, or where it would be put when it is downloaded."""
    url: str
    licence: str
    size: int | None = None
    """In bytes; None: not known."""
    sha256: str | None = None

    @property
    def present(self) -> bool:
        """Whether it can be used without a download."""
        return self.path.is_file()

    def missing(self) -> str:
        """One sentence that says which file to put where."""
        return (
            f"{self.name} needs the file {self.path.name}. "
            f"Download {self.url} and put it into {self.path.parent}."
        )

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RestorerInfo:
        """Read it back; keys of other versions are ignored."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        return cls(**{**known, "path": Path(data["path"])})


def list_restorers(paths: Paths) -> tuple[RestorerInfo, ...]:
    """The face restorers, in A1111's order: CodeFormer, GFPGAN."""
    return (_codeformer(paths), _gfpgan(paths))


def find_restorer(name: str, paths: Paths) -> RestorerInfo:
    """The restorer of that name, without regard to case.

    Raises:
        NotFoundInList: there is no such restorer.
    """
    restorers = list_restorers(paths)
    for info in restorers:
        if info.name.lower() == name.strip().lower():
            return info
    names = [info.name for info in restorers]
    raise NotFoundInList("face_restoration_model", name, names)


def face_parser(paths: Paths) -> RestorerInfo:
    """ParseNet, which tells skin from background; optional, restored faces are blended better."""
    name = "parsing_parsenet.pth"
    found = _first((paths.gfpgan, paths.codeformer), "parsing_parsenet")
    return RestorerInfo(
        name=FACE_PARSER,
        path=found or paths.gfpgan / name,
        url=f"https://github.com/xinntao/facexlib/releases/download/v0.2.2/{name}",
        size=85_331_193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        licence="MIT",
    )


def deepbooru(paths: Paths) -> RestorerInfo:
    """DeepDanbooru's tagger as PyTorch weights."""
    name = "model-resnet_custom_v3.pt"
    folders = (paths.models / "torch_deepdanbooru", paths.models / "DeepDanbooru")
    return RestorerInfo(
        name="DeepBooru",
        path=_first(folders, "model-resnet", "deepdanbooru") or folders[0] / name,
        url=f"https://github.com/AUTOMATIC1111/TorchDeepDanbooru/releases/download/v1/{name}",
        licence="MIT",
    )


def _gfpgan(paths: Paths) -> RestorerInfo:
    found = _first((paths.gfpgan,), "GFPGANv1.4", "GFPGANv1.3", "GFPGAN")
    return RestorerInfo(
        name="GFPGAN",
        path=found or paths.gfpgan / "GFPGANv1.4.pth",
        url="https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth",
        size=348_632_874,
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        licence="Apache-2.0",
    )


def _codeformer(paths: Paths) -> RestorerInfo:
    found = _first((paths.codeformer,), "codeformer-v0.1.0", "codeformer")
    return RestorerInfo(
        name="CodeFormer",
        path=found or paths.codeformer / "codeformer-v0.1.0.pth",
        url="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
        size=376_637_898,
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        licence="S-Lab License 1.0, not for commercial use",
    )


def _first(folders: tuple[Path, ...], *beginnings: str) -> Path | None:
    """The first weights file that begins in one of these ways, safetensors before the others."""
    files = [path for folder in folders for path in _weights_in(folder)]
    for beginning in beginnings:
        for path in files:
            if path.name.lower().startswith(beginning.lower()):
                return path
    return None


def _weights_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name.lower())
    except OSError:
        return []
    found = [path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(found, key=lambda path: SUFFIXES.index(path.suffix.lower()))
