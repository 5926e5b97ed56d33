"""The adapter files in memory: those in use, and the last ones beside them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

from modules.catalog.errors import ModelFileError
from modules.catalog.hashes import HashCache
from modules.catalog.network_hashes import network_hashes
from modules.catalog.networks import SHORT
from modules.engine.adapters.adapter_file import AdapterFile, Stamp, read_adapter, stamp_of
from modules.engine.adapters.fitting import FittedAdapter, fit
from modules.engine.adapters.layer_names import LayerNames


class AdapterFiles:
    """Reads adapter files once and matches them with networks once."""

    def __init__(self, cache: Path) -> None:
        """`cache`: where hashes are kept."""
        self._hashes = network_hashes(cache)
        self._whole_hashes = HashCache(cache / "hashes.json")
        self._files: OrderedDict[str, AdapterFile] = OrderedDict()
        self._names: WeakKeyDictionary[torch.nn.Module, LayerNames] = WeakKeyDictionary()
        self._fitted: WeakKeyDictionary[torch.nn.Module, dict[Stamp, FittedAdapter]]
        self._fitted = WeakKeyDictionary()

    def read(self, path: Path) -> AdapterFile:
        """A file's content, read again only when it has changed.

        Raises:
            ModelFileError: it cannot be used; says why.
        """
        key = str(path)
        known = self._files.get(key)
        if known is not None and _is_current(known, path):
            self._files.move_to_end(key)
            return known
        self._files.pop(key, None)
        file = read_adapter(path)
        self._files[key] = file
        return file

    def fitted(
        self,
        file: AdapterFile,
        networks: Mapping[str, torch.nn.Module],
        model: str,
        family: str = "",
    ) -> FittedAdapter:
        """The file matched with a model's networks; see `fit`."""
        unet = networks["unet"]
        if unet not in self._names:
            self._names[unet] = LayerNames(networks)
            self._fitted[unet] = {}
        known = self._fitted[unet]
        if file.stamp not in known:
            known[file.stamp] = fit(file, self._names[unet], networks, model, family)
        return known[file.stamp]

    def hash_of(self, file: AdapterFile) -> str:
        """The hash by which infotext names a file, twelve digits; "" when it cannot be read."""
        if file.hash:
            return file.hash
        return _digest(self._hashes, file.path)

    def whole_hash(self, path: Path) -> str:
        """First twelve digits of a file's sha256; "" when it cannot be read."""
        return _digest(self._whole_hashes, path)

    def keep(self, used: int, limit: int) -> None:
        """Forget all but the ``used`` last and ``limit`` more (setting `lora_in_memory_limit`)."""
        while len(self._files) > max(used, limit):
            _, gone = self._files.popitem(last=False)
            for known in self._fitted.values():
                known.pop(gone.stamp, None)


def _digest(hashes: HashCache, path: Path) -> str:
    try:
        return hashes.sha256(path)[:SHORT]
    except (OSError, ModelFileError):
        return ""


def _is_current(file: AdapterFile, path: Path) -> bool:
    try:
        return file.stamp == stamp_of(path)
    except OSError:
        return False
