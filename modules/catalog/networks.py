"""LoRA files, embeddings and hypernetworks: names, aliases, shapes, hashes, from headers alone."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from modules.catalog.cards.family_guess import family_of_adapter
from modules.catalog.embedding_images import IMAGE_SUFFIXES
from modules.catalog.embedding_info import EmbeddingInfo, read_embedding_info
from modules.catalog.errors import ModelFileError
from modules.catalog.hashes import HashCache
from modules.catalog.header import Header
from modules.catalog.kinds import is_lora
from modules.catalog.scan import Found, scan
from modules.catalog.weights import torch_index, weights_header

PREVIEW = ".preview"
"""`name.preview.png` is the picture of a card and never an embedding."""
SHORT = 12
"""Hexadecimal digits of a network's hash in infotext."""
_WITH_HASH = re.compile(r"(.*)\s*\([0-9a-fA-F]+\)")

Info = TypeVar("Info")
FileKey = tuple[str, int, int]
"""Path, size and modification time."""


@dataclass(frozen=True)
class LoraInfo:
    """One LoRA file. `alias` is what its metadata calls it."""

    name: str
    path: Path
    alias: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    """Key of the model family that it seems to be for; "" when nothing tells."""
    hash: str = ""
    """The hash that its metadata names, twelve digits; "" when it names none."""
    problem: str = ""


@dataclass(frozen=True)
class HypernetworkInfo:
    """One hypernetwork."""

    name: str
    path: Path
    problem: str = ""


class Remembered(Generic[Info]):
    """What was read of files, kept as long as they do not change."""

    def __init__(self, read: Callable[[Found], Info]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: dict[FileKey, Info] = {}

    def list(self, items: Iterable[Found]) -> list[Info]:
        """One for each file; files that did not change are not opened again."""
        with self._lock:
            before, self._known = self._known, {}
            return [info for item in items if (info := self._one(item, before)) is not None]

    def some(self, items: Iterable[Found]) -> list[Info]:
        """The same for some of the files; what is known of others is kept."""
        with self._lock:
            found = [self._one(item, self._known) for item in items]
        return [info for info in found if info is not None]

    def _one(self, item: Found, known: Mapping[FileKey, Info]) -> Info | None:
        try:
            status = item.path.stat()
        except OSError:
            return None
        key = (str(item.path), status.st_size, status.st_mtime_ns)
        self._known[key] = known.get(key) or self._read(item)
        return self._known[key]


class Networks:
    """The extra networks of an installation. Thread-safe."""

    def __init__(self, loras: Sequence[Path], embeddings: Path, hypernetworks: Path) -> None:
        self._lora_folders = tuple(loras)
        self._folders = {"embedding": embeddings, "hypernetwork": hypernetworks}
        self._loras = Remembered(read_lora)
        self._embeddings = Remembered(read_embedding_info)
        self._hypernetworks = Remembered(read_hypernetwork_info)

    def loras(self) -> list[LoraInfo]:
        """LoRA files, good and bad (see `problem`)."""
        return self._loras.list(scan(self._lora_folders, folders=False))

    def lora_names(self) -> list[str]:
        """Names of the LoRA files, without opening them."""
        return sorted({item.path.stem for item in scan(self._lora_folders, folders=False)})

    def embeddings(self) -> list[EmbeddingInfo]:
        """Textual inversions, good and bad, of weights files and of pictures."""
        return self._embeddings.list(self._embedding_files())

    def embeddings_in(self, texts: Iterable[str]) -> list[EmbeddingInfo]:
        """The good embeddings whose names may be among the tokens of these texts.

        Only files of such names are opened, and pictures, which may carry another name.
        """
        items = self._embedding_files()
        if not items:
            return []
        named = _squashed_texts(texts)
        wanted = [
            item
            for item in items
            if item.path.suffix.lower() in IMAGE_SUFFIXES or _may_be_in(item.path.stem, named)
        ]
        infos = self._embeddings.some(wanted)
        return [info for info in infos if not info.problem and _may_be_in(info.name, named)]

    def _embedding_files(self) -> list[Found]:
        folder = self._folders["embedding"]
        return [*scan([folder], folders=False), *_pictures(folder)]

    def hypernetworks(self) -> list[HypernetworkInfo]:
        """Hypernetworks, good and bad."""
        return self._hypernetworks.list(scan([self._folders["hypernetwork"]], folders=False))

    def find_loras(self, names: Iterable[str]) -> dict[str, LoraInfo]:
        """The LoRA that each name means, for those that are there.

        A name is a file's without its ending, with or without its folders, or the alias in its
        metadata unless several files have that.
        """
        wanted = list(dict.fromkeys(names))
        items = scan(self._lora_folders, folders=False) if wanted else []
        by_file: dict[str, Found] = {}
        for item in items:
            by_file[self._below(item.path)] = item
        for item in items:
            by_file[item.path.stem] = item
        direct = [by_file[name] for name in wanted if name in by_file]
        if len(direct) == len(wanted):
            found = {info.path: info for info in self._loras.some(direct) if not info.problem}
            files = {name: by_file[name].path for name in wanted}
            return {name: found[path] for name, path in files.items() if path in found}
        infos = [info for info in self.loras() if not info.problem]
        table: dict[str, LoraInfo] = {}
        ambiguous: set[str] = set()
        for info in infos:
            if info.alias in table:
                ambiguous.add(info.alias)
            table[info.alias] = info
        for alias in ambiguous:
            table.pop(alias, None)
        for info in infos:
            table[self._below(info.path)] = info
        for info in infos:
            table[info.name] = info
        return {name: info for name in wanted if (info := _looked_up(table, name)) is not None}

    def _below(self, path: Path) -> str:
        """A LoRA's path below its folder, without its ending."""
        root = next((one for one in self._lora_folders if path.is_relative_to(one)), path.parent)
        return path.relative_to(root).with_suffix("").as_posix()

    def loras_of_hashes(self, hashes: Iterable[str], cache: HashCache) -> dict[str, LoraInfo]:
        """The LoRA of each hash, for those that are here. `cache` has those that were computed."""
        wanted = set(hashes)
        found: dict[str, LoraInfo] = {}
        if not wanted:
            return found
        for info in self.loras():
            digest = "" if info.problem else info.hash or (cache.known(info.path) or "")[:SHORT]
            for one in wanted:
                if digest and (digest.startswith(one) or one.startswith(digest)):
                    found[one] = info
        return found

    def find_hypernetworks(self, names: Iterable[str]) -> dict[str, HypernetworkInfo]:
        """The hypernetwork that each name means, for those that are there."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        table = {info.name: info for info in self.hypernetworks() if not info.problem}
        return {name: info for name in wanted if (info := _looked_up(table, name)) is not None}


def read_lora(item: Found) -> LoraInfo:
    """What a LoRA file says of itself."""
    name = item.path.stem
    header, problem = _header(item.path)
    if header is None:
        return LoraInfo(name, item.path, name, problem=problem)
    if not is_lora(header):
        problem = f"{item.path.name}: is not a LoRA of a known kind"
    metadata = {key: _decoded(value) for key, value in header.metadata.items()}
    alias = header.metadata.get("ss_output_name") or name
    digest = stated_hash(header.metadata)
    return LoraInfo(name, item.path, alias, metadata, family_of_adapter(header), digest, problem)


def stated_hash(metadata: Mapping[str, str]) -> str:
    """The hash of its tensors that kohya's trainer writes into a file, shortened; "" without."""
    digest = metadata.get("sshs_model_hash", "")
    return digest[:SHORT] if re.fullmatch(r"[0-9a-f]{12,64}", digest) else ""


def read_hypernetwork_info(item: Found) -> HypernetworkInfo:
    """Whether a file is a hypernetwork."""
    name = item.path.stem
    try:
        content = torch_index(item.path).content
    except ModelFileError as error:
        return HypernetworkInfo(name, item.path, error.sentence)
    if not any(str(key).isdigit() and isinstance(v, (list, tuple)) for key, v in content.items()):
        return HypernetworkInfo(name, item.path, f"{item.path.name}: is not a hypernetwork")
    return HypernetworkInfo(name, item.path)


def _squashed_texts(texts: Iterable[str]) -> list[str]:
    """Texts as tokens know them, without case and blanks."""
    return [_squashed(text) for text in dict.fromkeys(texts)]


def _may_be_in(name: str, squashed: Iterable[str]) -> bool:
    """Whether a name may be among the tokens of texts; more may be told than are."""
    wanted = _squashed(name)
    return bool(wanted) and any(wanted in text for text in squashed)


def _squashed(text: str) -> str:
    return "".join(text.replace("\\", "").lower().split())


def _pictures(folder: Path) -> list[Found]:
    if not folder.is_dir():
        return []
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.stem.lower().endswith(PREVIEW)
        and not any(path.with_suffix(end).exists() for end in (".safetensors", ".pt", ".bin"))
    ]
    return [Found(path, folder, "file") for path in found]


def _header(path: Path) -> tuple[Header | None, str]:
    try:
        return weights_header(path), ""
    except ModelFileError as error:
        return None, error.sentence


def _looked_up(table: Mapping[str, Info], name: str) -> Info | None:
    found = table.get(name)
    if found is None:
        with_hash = _WITH_HASH.fullmatch(name)
        found = table.get(with_hash[1].strip()) if with_hash else None
    if found is None:
        alike = [info for key, info in table.items() if key.lower() == name.lower()]
        found = alike[0] if alike else None
    return found


def _decoded(value: str) -> Any:
    """Trainers write JSON into metadata texts; A1111 shows it decoded."""
    if value[:1] not in "{[":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
