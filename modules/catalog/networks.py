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
from modules.catalog.embedding_images import IMAGE_SUFFIXES, embedding_of_image
from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.hashes import HashCache
from modules.catalog.header import Header
from modules.catalog.kinds import is_embedding, is_lora
from modules.catalog.scan import Found, scan
from modules.catalog.weights import is_safetensors, torch_index, weights_header
from modules.pickles.values import Tensor

PREVIEW = ".preview"
"""`name.preview.png` is the picture of a card and never an embedding."""
SHORT = 12
"""Hexadecimal digits of a network's hash in infotext."""
_WITH_HASH = re.compile(r"(.*)\s*\([0-9a-fA-F]+\)")

Info = TypeVar("Info")


@dataclass(frozen=True)
class EmbeddingInfo:
    """One textual inversion. `problem` says why it is skipped; empty for a good one."""

    name: str
    path: Path
    vectors: int = 0
    width: int = 0
    """Length of its vectors, of all text encoders together: 768, 1024, 2048."""
    widths: tuple[int, ...] = ()
    """The same for each text encoder."""
    step: int | None = None
    checkpoint: str | None = None
    """Hash of the checkpoint it was trained with."""
    checkpoint_name: str | None = None
    problem: str = ""

    def misfit(self, model: Sequence[int]) -> str:
        """Why it cannot be used with text encoders of these widths; "" when it can or that is not
        known."""
        if self.problem or not model or not self.widths or sorted(self.widths) == sorted(model):
            return self.problem
        ours, theirs = (" + ".join(map(str, sorted(one))) for one in (self.widths, model))
        name = self.path.name
        return f"{name}: has vectors of {ours} numbers, the checkpoint's text encoder of {theirs}"


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
        self._known: dict[tuple[str, int, int], Info] = {}

    def list(self, items: Iterable[Found]) -> list[Info]:
        """One for each file; files that did not change are not opened again."""
        found: dict[tuple[str, int, int], Info] = {}
        with self._lock:
            for item in items:
                try:
                    status = item.path.stat()
                except OSError:
                    continue
                key = (str(item.path), status.st_size, status.st_mtime_ns)
                found[key] = self._known.get(key) or self._read(item)
            self._known = found
        return list(found.values())


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

    def embeddings(self) -> list[EmbeddingInfo]:
        """Textual inversions, good and bad, of weights files and of pictures."""
        folder = self._folders["embedding"]
        items = [*scan([folder], folders=False), *_pictures(folder)]
        return self._embeddings.list(items)

    def hypernetworks(self) -> list[HypernetworkInfo]:
        """Hypernetworks, good and bad."""
        return self._hypernetworks.list(scan([self._folders["hypernetwork"]], folders=False))

    def find_loras(self, names: Iterable[str]) -> dict[str, LoraInfo]:
        """The LoRA that each name means, for those that are there.

        A name is a file's without its ending, with or without its folders, or the alias in its
        metadata unless several files have that.
        """
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
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


def read_embedding_info(item: Found) -> EmbeddingInfo:
    """What an embedding's file tells without reading its numbers (pictures are read)."""
    name = item.path.stem
    try:
        if item.path.suffix.lower() in IMAGE_SUFFIXES:
            found = embedding_of_image(item.path)
            shapes = {key: value.shape for key, value in found.parts.items()}
            return _described(found.name or name, item.path, shapes, {"step": found.step})
        if is_safetensors(item.path):
            header = weights_header(item.path)
            if not is_embedding(header):
                raise UnsupportedModelError(item.path, "is not a textual inversion embedding")
            shapes = {key: entry.shape for key, entry in header.tensors.items()}
            return _described(name, item.path, shapes, {})
        content = torch_index(item.path).content
        return _described(name, item.path, _shapes(content), content)
    except ModelFileError as error:
        return EmbeddingInfo(name, item.path, problem=error.sentence)


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


def candidates(infos: Iterable[EmbeddingInfo], texts: Iterable[str]) -> list[EmbeddingInfo]:
    """The embeddings whose names may be among the tokens of these texts, as they are encoded.

    Tokens know neither case nor blanks, so neither does this; more may be told than are used.
    """
    squashed = [_squashed(text) for text in dict.fromkeys(texts)]
    named = ((info, _squashed(info.name)) for info in infos if not info.problem)
    return [info for info, name in named if name and any(name in text for text in squashed)]


def _squashed(text: str) -> str:
    return "".join(text.replace("\\", "").lower().split())


def _described(
    name: str, path: Path, shapes: Mapping[str, tuple[int, ...]], told: Mapping[Any, Any]
) -> EmbeddingInfo:
    named = {key: shape for key, shape in shapes.items() if key in ("clip_l", "clip_g", "t5xxl")}
    used = list((named or shapes).values())
    if not used or (not named and len(used) > 1) or any(len(s) not in (1, 2) for s in used):
        reason = "holds several words" if len(used) > 1 else "is not a textual inversion embedding"
        raise UnsupportedModelError(path, reason)
    widths = tuple(shape[-1] for shape in used)
    vectors = used[0][0] if len(used[0]) == 2 else 1
    step, checkpoint = told.get("step"), told.get("sd_checkpoint")
    title = told.get("sd_checkpoint_name")
    return EmbeddingInfo(
        name,
        path,
        vectors,
        sum(widths),
        widths,
        step if type(step) is int else None,
        checkpoint if isinstance(checkpoint, str) else None,
        title if isinstance(title, str) else None,
    )


def _shapes(content: Mapping[Any, Any]) -> dict[str, tuple[int, ...]]:
    inner = content.get("string_to_param", content)
    if isinstance(inner, Mapping):
        inner = inner.get("_parameters", inner)
    if not isinstance(inner, Mapping):
        return {}
    return {str(key): value.shape for key, value in inner.items() if isinstance(value, Tensor)}


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
