"""What the loaders of UNet families share when they read one file in the original layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError
from modules.catalog.folders import read_json
from modules.catalog.header import Header
from modules.catalog.original_config import read_original_config
from modules.catalog.parts import OPEN_CLIP, TEXT_ENCODERS, TextFile, text_files, text_model
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import vae_file
from modules.engine.checkpoints.layouts.clip_text import read_clip_text
from modules.engine.checkpoints.layouts.ema import PREFIX as EMA_PREFIX
from modules.engine.checkpoints.layouts.ema import ema_names
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.open_clip import read_open_clip
from modules.engine.checkpoints.layouts.scaled import with_scales

UNET = "model.diffusion_model."
VAE = "first_stage_model."

Told = Mapping[str, Mapping[str, Any]]
"""Configuration values by component, from what lies beside the model."""
Read = Callable[[], tuple[dict[str, Any], Names]]


def told_by(path: Path, sidecar: Sidecar) -> Told:
    """What lies beside a file says about it: our sidecar, else the original code's `.yaml`.

    Raises:
        UnreadableModelError: the `.yaml` is not valid.
    """
    original = read_original_config(path)
    return {
        name: {**original.get(name, {}), **sidecar.components.get(name, {})}
        for name in {*original, *sidecar.components}
    }


def defaults_of(folder: Path, component: str) -> dict[str, Any]:
    """The shipped configuration of one component, without its private entries."""
    name = "scheduler_config.json" if component == "scheduler" else "config.json"
    config = read_json(folder / component / name, folder)
    return {key: value for key, value in config.items() if not key.startswith("_")}


def unet_names(header: Header) -> Names:
    """The UNet's tensors under their original names, from its moving average if that is all.

    Raises:
        UnreadableModelError: a moving average whose names cannot be read.
        UnsupportedModelError: there is no UNet.
    """
    names = Names.below(header, UNET)
    if not names and header.has_prefix(EMA_PREFIX):
        try:
            names = ema_names(header)
        except ValueError as error:
            reason = f"has an odd moving average: {error}"
            raise UnreadableModelError(header.path, reason) from error
    if not names:
        raise UnsupportedModelError(header.path, "has no UNet")
    return names


def planned(
    path: Path, kind: str, part: str, read: Read, told: Told, name: str | None = None
) -> ComponentPlan:
    """Plan a network from what `read` makes of its tensors.

    Args:
        kind: key of `networks.BUILDERS`.
        part: what messages call it.
        name: the component's name in `told`; None: `kind`.

    Raises:
        UnsupportedModelError: the tensors do not form such a network.
    """
    try:
        config, names = read()
    except ValueError as error:
        raise UnsupportedModelError(path, f"has an odd {part}: {error}") from error
    return ComponentPlan(kind, {**config, **told.get(name or kind, {})}, names, path, part)


def planned_text(
    path: Path,
    file: TextFile,
    defaults: Mapping[str, Any],
    told: Told,
    name: str,
    *,
    projection: bool = False,
    unused_layers: int = 0,
) -> ComponentPlan:
    """Plan a CLIP text model from a file of either naming; see `planned`.

    Args:
        projection: with the projection of the text's summary.
        unused_layers: last layers of an OpenCLIP model that the family never uses.
    """
    names = with_scales(Names.below(file.header, file.prefix))

    def read() -> tuple[dict[str, Any], Names]:
        if file.layout == OPEN_CLIP:
            return read_open_clip(
                names, defaults, unused_layers=unused_layers, projection=projection
            )
        return read_clip_text(names, defaults, projection=projection)

    kind = "clip_text_projection" if projection else "clip_text"
    where = path if file.header.path == path else file.header.path
    return planned(where, kind, "text encoder", read, told, name)


def planned_vae(
    header: Header, vae: ComponentPlan | None, defaults: Path, told: Told, usual: str
) -> ComponentPlan:
    """The separate VAE, or the one inside the file.

    Args:
        usual: name of a file that people use with this family, for the message.

    Raises:
        UnsupportedModelError: there is none.
    """
    if vae is not None:
        return vae
    names = Names.below(header, VAE)
    if not names:
        raise UnsupportedModelError(
            header.path,
            f"has no VAE; put one (such as {usual}) into models/VAE and choose it as SD VAE",
        )
    config = {**defaults_of(defaults, "vae"), **told.get("vae", {})}
    return vae_file.plan_names(header.path, names, config)


def only_text_file(
    header: Header, prefix: str, unet: ComponentPlan, configs: Path, what: str, usual: str
) -> TextFile:
    """The text encoder of a model that has one: inside the file below `prefix`, else one of the
    width that the UNet attends to, from the folders for text encoders.

    Raises:
        UnsupportedModelError: there is none; the sentence names `what` and the `usual` file.
    """
    inside = text_model(header, prefix)
    if inside is not None:
        return inside
    width = unet.config.get("cross_attention_dim")
    for file in text_files(header.path, configs):
        if file.width == width:
            return file
    raise no_text_encoder(header, what, usual)


def no_text_encoder(header: Header, what: str, usual: str) -> UnsupportedModelError:
    """The error for a file without a text encoder; `usual` is the file that people use."""
    return UnsupportedModelError(
        header.path, f"has no text encoder ({what}); put {usual} into models/{TEXT_ENCODERS}"
    )
