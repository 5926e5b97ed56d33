"""A1111's ``sd_models``: the checkpoints there are, and the one in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.addons import host
from modules.addons.a1111 import shared
from modules.addons.a1111.paths_internal import models_path

model_dir = "Stable-diffusion"
model_path = str(Path(models_path) / model_dir)
checkpoint_alisases: dict[str, Any] = {}
checkpoint_dict_replacements: dict[str, str] = {}


class CheckpointInfo:
    """One checkpoint file or folder."""

    def __init__(self, filename: str) -> None:
        path = Path(filename)
        self.filename = str(path)
        self.path = str(path)
        self.is_safetensors = path.suffix.lower() == ".safetensors"
        self.name = path.name
        self.name_for_extra = path.stem
        self.model_name = path.stem
        self.hash: str | None = None
        self.sha256: str | None = None
        self.shorthash: str | None = None
        self.title = path.name
        self.short_title = path.stem
        self.ids: list[str] = [self.name, self.title, self.model_name]
        self.metadata: dict[str, Any] = {}

    @classmethod
    def of(cls, info: Any) -> CheckpointInfo:
        """From the program's catalog."""
        found = cls(str(info.path))
        found.name, found.title, found.model_name = info.name, info.title, info.model_name
        found.name_for_extra = found.short_title = info.stem
        found.sha256, found.shorthash, found.hash = info.sha256, info.hash, info.hash
        found.ids = [one for one in (info.title, info.name, info.model_name, info.hash) if one]
        return found

    def register(self) -> None:
        """The catalog finds checkpoints itself."""

    def calculate_shorthash(self) -> str | None:
        """The first ten digits, where they are known."""
        return self.shorthash


class SdModelData:
    """A1111's holder of the model in memory."""

    was_loaded_at_least_once = True
    loaded_sd_models: list[Any] = []  # noqa: RUF012 - A1111's

    @property
    def sd_model(self) -> Any:
        """What is in memory."""
        return shared.sd_model

    def get_sd_model(self) -> Any:
        """What is in memory."""
        return shared.sd_model

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        """The engine loads models itself."""


model_data = SdModelData()


def _catalog() -> Any:
    return host.get().ask("catalog")


def __getattr__(name: str) -> Any:
    if name in ("checkpoints_list", "checkpoint_aliases"):
        found = [CheckpointInfo.of(info) for info in _infos()]
        if name == "checkpoints_list":
            return {one.title: one for one in found}
        return {alias: one for one in found for alias in one.ids}
    raise AttributeError(f"module 'modules.sd_models' has no attribute {name!r}")


def _infos() -> list[Any]:
    catalog = _catalog()
    return [] if catalog is None else list(catalog.checkpoints())


def setup_model() -> None:
    """The catalog looks at the folders."""


def list_models() -> None:
    """Look for checkpoints again."""
    catalog = _catalog()
    if catalog is not None:
        catalog.refresh()


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    """Titles of all checkpoints."""
    return [info.stem if use_short else info.title for info in _infos()]


checkpoint_titles = checkpoint_tiles


def get_closet_checkpoint_match(search_string: str | None) -> CheckpointInfo | None:
    """The checkpoint that a text means, if any (A1111 spells it so)."""
    from modules.requests.errors import RequestError

    catalog = _catalog()
    if not search_string or catalog is None:
        return None
    try:
        return CheckpointInfo.of(catalog.find_checkpoint(str(search_string)))
    except RequestError:
        wanted = str(search_string).lower()
        near = [info for info in _infos() if wanted in info.title.lower()]
        return CheckpointInfo.of(min(near, key=lambda one: len(one.title))) if near else None


get_closest_checkpoint_match = get_closet_checkpoint_match


def select_checkpoint() -> CheckpointInfo:
    """The chosen one.

    Raises:
        FileNotFoundError: there is no checkpoint.
    """
    found = get_closet_checkpoint_match(shared.opts.data.get("sd_model_checkpoint"))
    if found is None and _infos():
        found = CheckpointInfo.of(_infos()[0])
    if found is None:
        raise FileNotFoundError("No checkpoints found.")
    return found


def model_hash(filename: str) -> str:
    """A1111's old short hash of a file."""
    import hashlib

    try:
        with open(filename, "rb") as file:
            file.seek(0x100000)
            return hashlib.sha256(file.read(0x10000)).hexdigest()[0:8]
    except FileNotFoundError:
        return "NOFILE"


def read_state_dict(
    checkpoint_file: str, print_global_state: bool = False, map_location: Any = None
) -> dict[str, Any]:
    """The tensors of a safetensors file.

    Raises:
        ValueError: it is another format; those can hold code.
    """
    if not str(checkpoint_file).lower().endswith(".safetensors"):
        raise ValueError(f"{Path(checkpoint_file).name}: only .safetensors files are read here")
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(str(checkpoint_file), device=str(map_location or "cpu"))
    return found


def read_metadata_from_safetensors(filename: str) -> dict[str, Any]:
    """What the file says of itself."""
    from safetensors import safe_open

    with safe_open(filename, framework="np") as file:
        return dict(file.metadata() or {})


def get_state_dict_from_checkpoint(pl_sd: dict[str, Any]) -> dict[str, Any]:
    """The tensors, where they lie one level deeper."""
    found: dict[str, Any] = pl_sd.get("state_dict", pl_sd)
    return found


def load_model(checkpoint_info: Any = None, already_loaded_state_dict: Any = None) -> Any:
    """The engine loads what the next job asks for."""
    return shared.sd_model


def reload_model_weights(
    sd_model: Any = None, info: Any = None, forced_reload: bool = False
) -> Any:
    """Choose a checkpoint; the engine loads it for the next job."""
    if info is not None:
        shared.opts.set("sd_model_checkpoint", info.title)
    return shared.sd_model


def unload_model_weights(sd_model: Any = None, info: Any = None) -> Any:
    """The engine keeps models as memory allows."""
    return sd_model


def send_model_to_cpu(m: Any) -> None:
    """The engine moves models itself."""


def send_model_to_device(m: Any) -> None:
    """The engine moves models itself."""


send_model_to_trash = send_model_to_cpu


def apply_token_merging(sd_model: Any, token_merging_ratio: float) -> None:
    """A setting of the job."""
