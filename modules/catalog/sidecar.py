"""Notes that lie beside a model: `easel.json` in a folder, `<name>.easel.json` beside a file.

Known keys: `description` (text), `example_prompts` (list of texts), `default_parameters` (request
fields), and, for what tensors cannot tell, `unet`, `vae`, `text_encoder`, `text_encoder_2`,
`scheduler` (configuration values of that component), `vae_file` (a preferred VAE's name),
`dictionary` (name of a JSON file beside the sidecar that translates Chinese prompts, see
`modules.prompts.translation`).

What a person noted in `<name>.json` (`modules.catalog.user_metadata`) wins over it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError
from modules.catalog.folders import read_json
from modules.catalog.user_metadata import UserMetadata, read_user_metadata

_FILE_NAME = re.compile(r"[A-Za-z0-9][\w .-]{0,100}\.json")

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "scheduler")


@dataclass(frozen=True)
class Sidecar:
    """What a model's sidecar says; everything is empty without one."""

    path: Path | None = None
    description: str = ""
    example_prompts: tuple[str, ...] = ()
    default_parameters: dict[str, Any] = field(default_factory=dict)
    """Fields of a generation request that suit the model."""
    components: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Configuration values by component, which win over what the tensors suggest."""
    vae_file: str = ""
    """A preferred VAE's file name, or "None" for the one inside the checkpoint."""
    dictionary: Path | None = None
    """The dictionary for Chinese prompts; it need not exist."""


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of a model lies, whether it exists or not."""
    return model / "easel.json" if model.is_dir() else model.with_suffix(".easel.json")


def read_sidecar(model: Path) -> Sidecar:
    """Read a model's sidecar; an empty one when there is none.

    Raises:
        UnreadableModelError: the sidecar is not a JSON object.
    """
    path = sidecar_path(model)
    noted = read_user_metadata(model)
    if not path.is_file():
        return _with_notes(Sidecar(), noted)
    content = read_json(path, path)
    prompts = content.get("example_prompts")
    sidecar = Sidecar(
        path=path,
        description=_text(content.get("description")),
        example_prompts=tuple(p for p in prompts if isinstance(p, str))
        if isinstance(prompts, list)
        else (),
        default_parameters=_mapping(content.get("default_parameters")),
        components={name: _mapping(content.get(name)) for name in COMPONENTS if name in content},
        vae_file=_text(content.get("vae_file")),
        dictionary=_beside(path, content.get("dictionary")),
    )
    return _with_notes(sidecar, noted)


def read_sidecar_leniently(model: Path) -> Sidecar:
    """As `read_sidecar`, but a broken sidecar counts as none: it must not hide its model."""
    try:
        return read_sidecar(model)
    except UnreadableModelError:
        return _with_notes(Sidecar(), read_user_metadata(model))


def _with_notes(sidecar: Sidecar, noted: UserMetadata) -> Sidecar:
    return replace(
        sidecar,
        description=noted.description or sidecar.description,
        default_parameters={**sidecar.default_parameters, **noted.default_parameters},
        vae_file=sidecar.vae_file if noted.vae in ("", "Automatic") else noted.vae,
    )


def _beside(sidecar: Path, name: Any) -> Path | None:
    """The file of that plain name in the sidecar's folder."""
    if not isinstance(name, str) or _FILE_NAME.fullmatch(name) is None:
        return None
    return sidecar.with_name(name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
