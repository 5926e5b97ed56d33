"""Kinds of files that can be downloaded, each with its folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.paths import Paths

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
"""Nothing else is ever written: no scripts, no archives."""
MAX_NAME = 200
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>:\"/\\|?*]")
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


@dataclass(frozen=True)
class DownloadKind:
    """One kind of file."""

    key: str
    folder: Callable[[Paths], Path]
    civitai: tuple[str, ...] = ()
    """CivitAI's names of its type."""


KINDS: tuple[DownloadKind, ...] = (
    DownloadKind("checkpoint", lambda paths: paths.checkpoints, ("Checkpoint",)),
    DownloadKind("lora", lambda paths: paths.lora, ("LORA", "LoCon", "DoRA")),
    DownloadKind("vae", lambda paths: paths.vae, ("VAE",)),
    DownloadKind("embedding", lambda paths: paths.embeddings, ("TextualInversion",)),
    DownloadKind("hypernetwork", lambda paths: paths.hypernetworks, ("Hypernetwork",)),
    DownloadKind("upscaler", lambda paths: paths.esrgan, ("Upscaler",)),
    DownloadKind("preview_decoder", lambda paths: paths.vae_approx),
)


def find_kind(key: str) -> DownloadKind:
    """A kind by its key.

    Raises:
        NotFoundInList: there is none.
    """
    for kind in KINDS:
        if kind.key == key:
            return kind
    raise NotFoundInList("kind", key, [kind.key for kind in KINDS])


def guess_kind(name: str, size: int | None = None) -> str:
    """What a file most likely is, by its name and size; a person can choose otherwise."""
    lowered = name.lower()
    for word, kind in (
        ("taesd", "preview_decoder"),
        ("hypernet", "hypernetwork"),
        ("lora", "lora"),
        ("locon", "lora"),
        ("lycoris", "lora"),
        ("vae", "vae"),
        ("esrgan", "upscaler"),
        ("upscal", "upscaler"),
        ("swinir", "upscaler"),
        ("embedding", "embedding"),
        ("negative", "embedding"),
    ):
        if word in lowered:
            return kind
    if size is not None and size < 1_000_000:
        return "embedding"
    return "lora" if size is not None and size < 500_000_000 else "checkpoint"


def safe_name(name: str) -> str:
    """A file name that stays in its folder and is no program.

    Raises:
        RequestError: nothing is left of it, or its ending is not one of a model's.
    """
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or not stem or f".{ending.lower()}" not in SUFFIXES:
        raise RequestError("file", name, f"allowed: a name that ends in {', '.join(SUFFIXES)}.")
    stem = stem.lstrip(".-").encode("utf-8", "replace").decode("utf-8")[: MAX_NAME - len(ending)]
    if not stem or _RESERVED.match(plain):
        raise RequestError("file", name, "it is no name for a file.")
    return f"{stem}.{ending.lower()}"


def safe_folder(base: Path, below: str) -> Path:
    """A folder below the kind's own.

    Raises:
        RequestError: it would lie elsewhere.
    """
    parts = [part for part in re.split(r"[/\\]+", below.strip()) if part]
    if len(parts) > 6 or any(part in (".", "..") or _UNSAFE.search(part) for part in parts):
        raise RequestError("folder", below, "allowed: names of folders below the kind's own.")
    if any(part.startswith(".") or _RESERVED.match(part) for part in parts):
        raise RequestError("folder", below, "allowed: names of folders below the kind's own.")
    return base.joinpath(*parts)
