"""Upscalers by their names: three that need no model, the shipped ones, ones that can be
downloaded, and the user's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from modules.catalog.scan import Found, scan
from modules.requests.errors import NotFoundInList
from modules.settings.paths import Paths

FIELD = "upscaler"
ENABLED_OPTION = "realesrgan_enabled_models"
"""A1111's list of the Real-ESRGAN models that are shown."""

_XINTAO = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_CSZN = "https://github.com/cszn/KAIR/releases/download/v1.0"
_DAT = "https://huggingface.co/w-e-w/DAT/resolve/main/experiments/pretrained_models/DAT"
_SWINIR = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0"
_SWINIR_L = "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth"
_TIMES = re.compile(r"(?:^|[^0-9A-Za-z])(?:x([1-8])|([1-8])x)(?![0-9])")
"""A scale in a file's name: "4x-UltraSharp", "DAT_x2"."""


@dataclass(frozen=True)
class UpscalerInfo:
    """One way to enlarge a picture."""

    name: str
    kind: str
    """"none", "lanczos", "nearest" or "model"."""
    scale: int = 4
    """Of one pass. Guessed from the name for the user's own files; the engine reads the truth."""
    path: Path | None = None
    """The weights file: where it is, or where it would be put when it is downloaded."""
    url: str | None = None
    size: int | None = None
    """In bytes."""
    sha256: str | None = None
    """None: not known for certain; the file is then checked by its size and its content alone."""
    architecture: str = ""
    licence: str = ""
    hidden: bool = False
    """Known, but not shown in lists unless the user asks for it or has the file."""

    @property
    def present(self) -> bool:
        """Whether it can be used without a download."""
        return self.kind != "model" or (self.path is not None and self.path.is_file())

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {**asdict(self), "path": str(self.path) if self.path else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UpscalerInfo:
        """Read it back; keys of other versions are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        path = known.get("path")
        return cls(**{**known, "path": Path(path) if path else None})


NONE = UpscalerInfo("None", "none", 1)
LANCZOS = UpscalerInfo("Lanczos", "lanczos")
NEAREST = UpscalerInfo("Nearest", "nearest")
PLAIN = (NONE, LANCZOS, NEAREST)


@dataclass(frozen=True)
class _Known:
    """A published model: its entry, the folder it belongs to, the names its file may have."""

    info: UpscalerInfo
    folder: str
    files: tuple[str, ...]
    """The first is the one a download gets."""


def _known(
    name: str,
    folder: str,
    files: tuple[str, ...],
    url: str,
    *,
    size: int,
    sha256: str,
    architecture: str,
    licence: str,
    scale: int = 4,
    hidden: bool = False,
) -> _Known:
    info = UpscalerInfo(
        name=name,
        kind="model",
        scale=scale,
        url=url,
        size=size,
        sha256=sha256,
        architecture=architecture,
        licence=licence,
        hidden=hidden,
    )
    return _Known(info, folder, files)


def _shipped(name: str, file: str, *aliases: str) -> _Known:
    info = UpscalerInfo(name, "model", architecture="Real-ESRGAN", licence="BSD-3-Clause")
    return _Known(info, "RealESRGAN", (f"{file}.safetensors", *aliases))


# Sizes and hashes as the files' copies on huggingface.co record them.
KNOWN: tuple[_Known, ...] = (
    _shipped("R-ESRGAN 4x+", "RealESRGAN_x4plus", "RealESRGAN_x4plus.pth"),
    _shipped(
        "R-ESRGAN 4x+ Anime6B", "RealESRGAN_x4plus_anime_6B", "RealESRGAN_x4plus_anime_6B.pth"
    ),
    _shipped("R-ESRGAN AnimeVideo", "realesr-animevideov3", "realesr-animevideov3.pth"),
    _known(
        "R-ESRGAN General 4xV3",
        "RealESRGAN",
        ("realesr-general-x4v3.pth", "realesr-general-x4v3.safetensors"),
        f"{_XINTAO}/v0.2.5.0/realesr-general-x4v3.pth",
        size=4885111,
        sha256="8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        architecture="Real-ESRGAN",
        licence="BSD-3-Clause",
        hidden=True,
    ),
    _known(
        "R-ESRGAN General WDN 4xV3",
        "RealESRGAN",
        ("realesr-general-wdn-x4v3.pth", "realesr-general-wdn-x4v3.safetensors"),
        f"{_XINTAO}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
        size=4885111,
        sha256="1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
        architecture="Real-ESRGAN",
        licence="BSD-3-Clause",
        hidden=True,
    ),
    _known(
        "R-ESRGAN 2x+",
        "RealESRGAN",
        ("RealESRGAN_x2plus.pth", "RealESRGAN_x2plus.safetensors"),
        f"{_XINTAO}/v0.2.1/RealESRGAN_x2plus.pth",
        size=67061725,
        sha256="49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        architecture="Real-ESRGAN",
        licence="BSD-3-Clause",
        scale=2,
        hidden=True,
    ),
    _known(
        "ESRGAN_4x",
        "ESRGAN",
        ("ESRGAN_4x.pth", "ESRGAN_4x.safetensors", "ESRGAN.pth"),
        f"{_CSZN}/ESRGAN.pth",
        size=66929193,
        sha256="65fece06e1ccb48853242aa972bdf00ad07a7dd8938d2dcbdf4221b59f6372ce",
        architecture="ESRGAN",
        licence="Apache-2.0",
    ),
    _known(
        "SwinIR 4x",
        "SwinIR",
        ("SwinIR_4x.pth", "SwinIR_4x.safetensors", _SWINIR_L),
        f"{_SWINIR}/{_SWINIR_L}",
        size=142473939,
        sha256="99adfa91350a84c99e946c1eb3d8fce34bc28f57d807b09dc8fe40a316328c0a",
        architecture="SwinIR",
        licence="Apache-2.0",
    ),
    _known(
        "ScuNET GAN",
        "ScuNET",
        ("ScuNET.pth", "ScuNET.safetensors", "scunet_color_real_gan.pth"),
        f"{_CSZN}/scunet_color_real_gan.pth",
        size=71982835,
        sha256="892c83f812c59173273b74f4f34a14ecaf57a2fdb68df056664589beb55c966e",
        architecture="SCUNet",
        licence="Apache-2.0",
        scale=1,
    ),
    _known(
        "ScuNET PSNR",
        "ScuNET",
        ("scunet_color_real_psnr.pth", "scunet_color_real_psnr.safetensors"),
        f"{_CSZN}/scunet_color_real_psnr.pth",
        size=71982841,
        sha256="fa78899ba2caec9d235a900e91d96c689da71c42029230c2028b00f09f809c2e",
        architecture="SCUNet",
        licence="Apache-2.0",
        scale=1,
    ),
    *(
        _known(
            f"DAT x{scale}",
            "DAT",
            (f"DAT_x{scale}.pth", f"DAT_x{scale}.safetensors"),
            f"{_DAT}/DAT_x{scale}.pth",
            size=size,
            sha256=sha256,
            architecture="DAT",
            licence="Apache-2.0",
            scale=scale,
        )
        for scale, size, sha256 in (
            (2, 154100481, "7760aa96e4ee77e29d4f89c3a4486200042e019461fdb8aa286f49aa00b89b51"),
            (3, 154839041, "581973e02c06f90d4eb90acf743ec9604f56f3c2c6f9e1e2c2b38ded1f80d197"),
            (4, 154692051, "391a6ce69899dff5ea3214557e9d585608254579217169faf3d4c353caff049e"),
        )
    ),
)

OWN_FOLDERS = ("ESRGAN", "RealESRGAN", "SwinIR", "ScuNET", "DAT", "HAT", "upscale_models")
"""Below the models folder; every weights file in them is an upscaler."""


def list_upscalers(
    paths: Paths, options: Mapping[str, Any] | None = None
) -> tuple[UpscalerInfo, ...]:
    """Every upscaler: None, Lanczos, Nearest, then models by name. Hidden ones are in it, marked.

    Files are found by name; none is opened.
    """
    found = scan(_all_folders(paths), folders=False)
    enabled = _enabled(options)
    models: dict[str, UpscalerInfo] = {}
    taken: set[str] = set()
    for known in KNOWN:
        taken.update(known.files)
        models[known.info.name] = _resolved(known, paths, found, enabled)
    for item in found:
        if item.path.name not in taken:
            models.setdefault(item.path.stem, _own(item))
    return (*PLAIN, *sorted(models.values(), key=lambda info: info.name.lower()))


def find_upscaler(name: str, upscalers: Iterable[UpscalerInfo], field: str = FIELD) -> UpscalerInfo:
    """The upscaler of this name, or of this file.

    Raises:
        NotFoundInList: there is none.
    """
    everyone = tuple(upscalers)
    wanted = (name or "None").strip()
    for info in everyone:
        if info.name == wanted:
            return info
    for info in everyone:
        aliases = {info.name.lower()}
        if info.path is not None:
            aliases |= {info.path.name.lower(), info.path.stem.lower()}
        if wanted.lower() in aliases:
            return info
    raise NotFoundInList(field, name, [info.name for info in everyone if not info.hidden])


def _enabled(options: Mapping[str, Any] | None) -> tuple[str, ...]:
    try:
        return tuple(options[ENABLED_OPTION] or ()) if options else ()
    except KeyError:
        return ()


def _all_folders(paths: Paths) -> list[Path]:
    """Where weights are looked for: the user's folders first, the program's own last."""
    folders = [paths.esrgan, paths.realesrgan]
    folders += [paths.models / name for name in OWN_FOLDERS]
    folders.append(_shipped_folder(paths))
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def _shipped_folder(paths: Paths) -> Path:
    return paths.root / "models" / "RealESRGAN"


def _home(known: _Known, paths: Paths) -> Path:
    """The folder that a known model's file belongs to."""
    chosen = {"ESRGAN": paths.esrgan, "RealESRGAN": paths.realesrgan}
    return chosen.get(known.folder, paths.models / known.folder)


def _resolved(
    known: _Known, paths: Paths, found: list[Found], enabled: Iterable[str]
) -> UpscalerInfo:
    here = {item.path.name: item.path for item in found}
    for file in known.files:
        if file in here:
            return replace(known.info, path=here[file], hidden=False)
    home = _home(known, paths) if known.info.url else _shipped_folder(paths)
    hidden = known.info.hidden and known.info.name not in enabled
    return replace(known.info, path=home / known.files[0], hidden=hidden)


def _own(item: Found) -> UpscalerInfo:
    times = _TIMES.search(item.path.stem)
    scale = next((int(digit) for digit in times.groups() if digit), 4) if times else 4
    return UpscalerInfo(item.path.stem, "model", scale, item.path)
