"""The hash by which infotext names a LoRA: sha256 of its tensors, without the header.

kohya's trainer writes it into the metadata (`sshs_model_hash`), so that a file keeps its hash when
somebody changes its metadata. Files of other formats are hashed as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from modules.catalog.hashes import BLOCK, HashCache, HashingStopped, hash_file
from modules.catalog.header import open_regular
from modules.catalog.weights import is_safetensors
from modules.settings.damage import Told, only_logged


def network_hashes(cache: Path, damaged: Told = only_logged) -> HashCache:
    """The hashes of networks, kept in a file of their own below the cache folder."""
    return HashCache(cache / "network_hashes.json", hash_network, damaged)


def hash_network(path: Path, stop: Callable[[], bool] = lambda: False) -> str:
    """sha256 of everything behind a safetensors header, in hexadecimal digits.

    Raises:
        HashingStopped: `stop()` turned true.
        OSError: the file cannot be read.
        UnreadableModelError: it is no regular file.
    """
    if not is_safetensors(path):
        return hash_file(path, stop)
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        length = int.from_bytes(stream.read(8) or b"", "little")
        stream.seek(8 + length)
        while block := stream.read(BLOCK):
            if stop():
                raise HashingStopped
            digest.update(block)
    return digest.hexdigest()
