"""The catalog: every model file that the user has, under the names that people use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modules.catalog.cards.index import CardIndex
from modules.catalog.cards.pages import CHECKPOINTS
from modules.catalog.checkpoints import (
    CheckpointInfo,
    combined_hash,
    content_hash,
    inspect,
    match_alias,
)
from modules.catalog.dictionaries import Dictionaries
from modules.catalog.families import family_defaults
from modules.catalog.hashes import HashCache, HashingStopped
from modules.catalog.hashing import BackgroundHasher
from modules.catalog.network_hashes import network_hashes
from modules.catalog.networks import EmbeddingInfo, HypernetworkInfo, LoraInfo, Networks
from modules.catalog.scan import PICKLE_SUFFIXES, SAFE_SUFFIX, Found, scan
from modules.catalog.sidecar import Sidecar, read_sidecar_leniently, sidecar_path
from modules.catalog.upscalers import FIELD as UPSCALER_FIELD
from modules.catalog.upscalers import UpscalerInfo, find_upscaler, list_upscalers
from modules.catalog.vaes import (
    AUTOMATIC,
    NONE,
    VaeInfo,
    is_beside_checkpoint,
    preferred_vae,
    scan_vaes,
)
from modules.prompts.translation import Dictionary
from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.damage import Told, only_logged
from modules.settings.paths import Paths

logger = logging.getLogger("easel.catalog")

CHECKPOINT_FIELD = "sd_model_checkpoint"
VAE_FIELD = "sd_vae"
STARTER = "easel-starter"

Identity = tuple[str, str, tuple[tuple[str, int, int], ...]]


class Catalog:
    """Lists of model files. Reading is free and thread-safe; `refresh` looks at the disk again.

    The first list that is asked for makes the first `refresh`. Hashes are taken from the cache on
    disk; unknown ones are computed by `with_hash` or by `hash_in_background`.
    """

    def __init__(
        self,
        paths: Paths,
        options: Mapping[str, Any] | None = None,
        *,
        default_checkpoint: str | None = None,
        default_vae: VaeInfo | None = None,
        hashing: bool = True,
        damaged: Told = only_logged,
    ) -> None:
        """`default_checkpoint` is `--ckpt`, `default_vae` what "Automatic" means before any rule
        (`--vae-path`); `hashing=False` is `--no-hashing`; `damaged` hears of caches that cannot be
        read.
        """
        self.paths = paths
        self.options = options
        self.hashing = hashing
        self.hashes = HashCache(paths.cache / "hashes.json", damaged=damaged)
        self._damaged = damaged
        # A1111's extension for LyCORIS had a folder of its own.
        loras = (paths.lora, paths.models / "LyCORIS")
        self.networks = Networks(loras, paths.embeddings, paths.hypernetworks)
        self._default = default_checkpoint
        self._default_vae = default_vae
        self._lock = threading.RLock()
        self._dictionaries = Dictionaries()
        self._scanned = False
        self._included: list[Path] = []
        self._inspected: dict[Identity, CheckpointInfo] = {}
        self._all: tuple[CheckpointInfo, ...] = ()
        self._vaes: tuple[VaeInfo, ...] = ()
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self.cards = CardIndex(paths, self.hashes, self._known, damaged)
        self.hasher = BackgroundHasher(self.hashes)

    def checkpoints(self) -> list[CheckpointInfo]:
        """The checkpoints that can be loaded, sorted by name."""
        return [info for info in self._known() if not info.problem]

    def unusable(self) -> list[CheckpointInfo]:
        """Files in the checkpoint folders that cannot be loaded; `problem` says why."""
        return [info for info in self._known() if info.problem]

    def find_checkpoint(self, alias: str) -> CheckpointInfo:
        """The checkpoint of this title, file name, name, path, hash, or part of a title.

        Raises:
            RequestError: there is such a file but it cannot be used; says why.
            NotFoundInList: there is none.
        """
        infos = self._known()
        good = [info for info in infos if not info.problem]
        found = match_alias(infos, alias)
        if found is not None and found.problem and not _is_exact(found, alias):
            found = match_alias(good, alias)
        if found is None:
            raise NotFoundInList(CHECKPOINT_FIELD, alias, [info.title for info in good])
        if found.problem:
            raise RequestError(CHECKPOINT_FIELD, alias, found.problem)
        return found

    def default_checkpoint(self) -> CheckpointInfo | None:
        """The one to start with: `--ckpt`, the setting, the starter model, else the first."""
        wishes = [self._default, self.options.get(CHECKPOINT_FIELD) if self.options else None]
        for wish in wishes:
            if not wish:
                continue
            try:
                return self.find_checkpoint(str(wish))
            except RequestError as error:
                logger.warning("%s", error.sentence)
        good = self.checkpoints()
        starter = [info for info in good if info.name == STARTER]
        return next(iter(starter + good), None)

    def vaes(self) -> list[VaeInfo]:
        """The separate VAE files that can be loaded."""
        self._known()
        return [vae for vae in self._vaes if not vae.problem]

    def find_vae(
        self,
        name: str | None,
        checkpoint: CheckpointInfo | None = None,
        *,
        overrides: bool = True,
    ) -> VaeInfo | None:
        """The VAE file that a setting of `sd_vae` means for a checkpoint; None for its own VAE.

        A name wins over what is noted for the checkpoint and over a file named after it; with
        `overrides=False` (A1111's `sd_vae_overrides_per_model_preferences`) these come first.

        Raises:
            RequestError: the file exists but cannot be used; says why.
            NotFoundInList: there is none of this name.
        """
        self._known()
        automatic = not name or name.lower() in ("auto", AUTOMATIC.lower())
        if automatic and self._default_vae is not None:
            return self._default_vae
        if checkpoint is not None and (automatic or not overrides):
            preference = preferred_vae(checkpoint, self._vaes)
            if preference is not None:
                return preference.vae
        return None if automatic else self._named_vae(str(name))

    def _named_vae(self, name: str) -> VaeInfo | None:
        if name == NONE:
            return None
        for vae in self._vaes:
            if name in (vae.name, vae.path.stem, str(vae.path)):
                if vae.problem:
                    raise RequestError(VAE_FIELD, name, vae.problem)
                return vae
        raise NotFoundInList(VAE_FIELD, name, [AUTOMATIC, NONE, *(v.name for v in self.vaes())])

    def embeddings(self) -> list[EmbeddingInfo]:
        """Textual inversions in the embeddings folder, good and bad (see `problem`)."""
        return self.networks.embeddings()

    def loras(self) -> list[LoraInfo]:
        """LoRA files, good and bad (see `problem`)."""
        return self.networks.loras()

    def loras_of_hashes(self, hashes: Iterable[str]) -> dict[str, str]:
        """The name in prompts of the LoRA of each hash, for those that are here and were hashed."""
        named = (self.options or {}).get("lora_preferred_name", "Alias from file")
        cache = network_hashes(self.paths.cache, self._damaged)
        infos = self.networks.loras_of_hashes(hashes, cache)
        by_alias = named != "Filename"
        return {digest: info.alias if by_alias else info.name for digest, info in infos.items()}

    def hypernetworks(self) -> list[HypernetworkInfo]:
        """Hypernetworks, good and bad (see `problem`)."""
        return self.networks.hypernetworks()

    def upscalers(self) -> tuple[UpscalerInfo, ...]:
        """None, Lanczos, Nearest, then models by name; hidden ones are in it, marked."""
        return list_upscalers(self.paths, self.options)

    def find_upscaler(self, name: str, field: str = UPSCALER_FIELD) -> UpscalerInfo:
        """The upscaler of this name or file; `field` is the request's field, for the error.

        Raises:
            NotFoundInList: there is none.
        """
        return find_upscaler(name, self.upscalers(), field)

    def sidecar(self, info: CheckpointInfo) -> Sidecar:
        """The notes beside a checkpoint; empty without any."""
        return read_sidecar_leniently(info.path)

    def dictionary(self, info: CheckpointInfo) -> Dictionary | None:
        """The checkpoint's own dictionary for Chinese prompts, if its sidecar names one."""
        return self._dictionaries.at(self.sidecar(info).dictionary)

    def default_parameters(self, info: CheckpointInfo) -> dict[str, Any]:
        """Request fields that suit the checkpoint: its sidecar's, else its family's."""
        usual = family_defaults(info.family, info.variant)
        return {**usual, **self.sidecar(info).default_parameters}

    def refresh(self) -> None:
        """Look at the disk again. Files that did not change are not opened again."""
        found = [
            item for item in scan(self._roots()) if not is_beside_checkpoint(item.path)
        ] + self._chosen_by_path()
        with self._lock:
            inspected = {_identity(item): item for item in found}
            fresh = {
                key: self._inspected.get(key) or inspect(item) for key, item in inspected.items()
            }
            self._inspected = fresh
            self._all = tuple(self._hash_if_known(info) for info in fresh.values())
            self._vaes = tuple(scan_vaes(self.paths.vae, self.paths.checkpoint_dirs))
            self._scanned = True
        self.cards.refresh()

    def with_hash(self, info: CheckpointInfo) -> CheckpointInfo:
        """The checkpoint with its hash, computed now if it is not known yet.

        With hashing switched off, or a file that cannot be read, the hash stays None.
        """
        known = self._hash_if_known(info)
        if known.sha256 or not self.hashing:
            return known
        try:
            digest = self._hash(info)
        except (OSError, HashingStopped):
            return known
        self._remember(info.with_hash(digest))
        return info.with_hash(digest)

    def hash_in_background(self, done: Callable[[CheckpointInfo], None] | None = None) -> None:
        """Compute the missing hashes in a thread, one file after another; `done` hears of each."""
        if not self.hashing or (self._worker and self._worker.is_alive()):
            return
        self._stop.clear()
        self._worker = threading.Thread(
            target=self._hash_all, args=(done,), name="easel-hashes", daemon=True
        )
        self._worker.start()

    def stop(self) -> None:
        """End background work within moments."""
        self._stop.set()
        if self._worker:
            self._worker.join(timeout=5)
        self.cards.stop()
        self.hasher.stop()

    def _known(self) -> tuple[CheckpointInfo, ...]:
        with self._lock:
            if not self._scanned:
                self.refresh()
            return self._all

    def _roots(self) -> list[Path]:
        return [root for root in self.paths.checkpoint_dirs if root.is_dir()]

    def include(self, path: Path) -> None:
        """Know a file or folder outside all folders, which a command line names."""
        with self._lock:
            self._included.append(path)
            self._scanned = False

    def _chosen_by_path(self) -> list[Found]:
        """Files outside all folders: that of `--ckpt`, and those that were included."""
        found = []
        for path in [*([Path(self._default)] if self._default else []), *self._included]:
            path = path.expanduser()
            inside = any(path.resolve().is_relative_to(root.resolve()) for root in self._roots())
            suffix = path.suffix.lower()
            known = path.is_dir() or suffix in (SAFE_SUFFIX, *PICKLE_SUFFIXES)
            if inside or not path.exists() or not known:
                continue
            kind = "folder" if path.is_dir() else "file" if suffix == SAFE_SUFFIX else "pickle"
            found.append(Found(path.absolute(), path.absolute().parent, kind))
        return found

    def _hash_if_known(self, info: CheckpointInfo) -> CheckpointInfo:
        if info.sha256 or not info.hash_files:
            return info
        parts = [self.hashes.known(file) for file in info.hash_files]
        if any(part is None for part in parts):
            return info
        return info.with_hash(combined_hash(info, [part or "" for part in parts]))

    def _hash(self, info: CheckpointInfo) -> str:
        return content_hash(info, self.hashes, self._stop.is_set)

    def _hash_all(self, done: Callable[[CheckpointInfo], None] | None) -> None:
        for info in self.checkpoints():
            if self._stop.is_set():
                return
            if info.sha256:
                continue
            hashed = self.with_hash(info)
            if hashed.sha256 and done:
                done(hashed)

    def _remember(self, info: CheckpointInfo) -> None:
        with self._lock:
            self._all = tuple(
                replace(old, sha256=info.sha256) if old.path == info.path else old
                for old in self._all
            )
        self.cards.refresh(CHECKPOINTS)


def _identity(item: Found) -> Identity:
    """What must stay the same for a model to need no second look."""
    files = [item.path, sidecar_path(item.path)]
    if item.kind == "folder":
        files += sorted([*item.path.glob("*/*"), *item.path.glob("*.json")])
    stamps = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        stamps.append((str(file), status.st_size, status.st_mtime_ns))
    return (item.kind, str(item.path), tuple(stamps))


def _is_exact(info: CheckpointInfo, alias: str) -> bool:
    return any(name.lower() == alias.strip().lower() for name in info.aliases())
