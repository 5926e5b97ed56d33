"""Parts that SD3 and FLUX.1 files carry or leave out: text encoders and the VAE.

A part is looked for inside the file, then in its folder near the checkpoint; what is missing is
told in one sentence that names a file and the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.families import FolderFacts
from modules.catalog.header import Header
from modules.catalog.kinds import decoder_prefix
from modules.catalog.parts import TEXT_ENCODERS
from modules.catalog.sidecar import Sidecar
from modules.catalog.text_encoders import t5_file, t5_width, vae_files
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import folder_parts, vae_file
from modules.engine.checkpoints.families.single_file import UNET, Told, defaults_of, planned
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.scaled import with_scales
from modules.engine.checkpoints.layouts.t5 import encoder_names, read_t5

VAE_PREFIXES = ("first_stage_model.", "vae.")
CLIP_L = "text_encoders.clip_l.transformer."
CLIP_G = "text_encoders.clip_g.transformer."
T5 = "text_encoders.t5xxl.transformer."
_BITSANDBYTES = (".absmax", ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")


@dataclass(frozen=True)
class Missing:
    """A text encoder that is neither in the file nor in the folder."""

    label: str
    example: str
    """File name under which people find it."""


def transformer_names(header: Header) -> Names:
    """The transformer of a file: below the original prefix, or all that is no other part.

    Raises:
        UnsupportedModelError: it is quantised in a way that is not known here.
    """
    if any(name.endswith(_BITSANDBYTES) for name in header):
        raise UnsupportedModelError(
            header.path,
            "is quantised by bitsandbytes (NF4 or FP4), which is not supported; "
            "use a GGUF, fp8 or bf16 file of the model",
        )
    below = Names.below(header, UNET)
    if below:
        return with_scales(below)
    others = (*VAE_PREFIXES, "text_encoders.")
    everything = Names.below(header, "")
    own = {name: everything[name] for name in everything if not name.startswith(others)}
    return with_scales(Names(own))


def t5(
    header: Header, configs: Path, defaults: Path, name: str, width: int
) -> ComponentPlan | None:
    """The T5 encoder inside of a checkpoint, else that in the text encoders' folder.

    Args:
        name: the component's, whose shipped configuration lies in `defaults`.
        width: of the states that the transformer takes.

    Raises:
        UnsupportedModelError: the tensors do not form one.
    """
    found: Header | None = header if t5_width(header, T5) else t5_file(header.path, configs, width)
    if found is None:
        return None
    names = with_scales(Names.below(found, T5 if found is header else ""))
    return planned(
        found.path,
        "t5_encoder",
        "T5 text encoder",
        lambda: read_t5(names, defaults_of(defaults, name)),
        {},
    )


def refuse_missing(path: Path, missing: Iterable[Missing]) -> None:
    """Say which text encoders are missing and where they belong.

    Raises:
        UnsupportedModelError: there are any.
    """
    gone = list(missing)
    if not gone:
        return
    what = " and no ".join(one.label for one in gone)
    files = " and ".join(one.example for one in gone)
    raise UnsupportedModelError(
        path, f"has no {what} text encoder; put {files} into models/{TEXT_ENCODERS}"
    )


def vae(
    header: Header,
    configs: Path,
    defaults: Path,
    sidecar: Sidecar,
    starts: tuple[str, ...],
    example: str,
) -> ComponentPlan:
    """The VAE inside of a checkpoint, else one from the VAE folder.

    Args:
        starts: how names of the family's VAE files begin.
        example: name of a file that people use with this family, for the message.

    Raises:
        UnsupportedModelError: there is none.
    """
    known = {**defaults_of(defaults, "vae"), **sidecar.components.get("vae", {})}
    for prefix in VAE_PREFIXES:
        names = Names.below(header, prefix)
        if names:
            return vae_file.plan_names(header.path, names, known)
    for found in vae_files(header.path, configs, starts):
        prefix = decoder_prefix(found) or ""
        return vae_file.plan_names(found.path, Names.below(found, prefix), known)
    raise UnsupportedModelError(
        header.path,
        f"has no VAE; put one (such as {example}) into models/VAE and choose it as SD VAE",
    )


def transformer_folder(
    folder: FolderFacts, told: Told, kind: str, class_name: str
) -> ComponentPlan:
    """The denoising transformer of a diffusers folder.

    Raises:
        UnreadableModelError, UnsupportedModelError: it is missing or not of the known class.
    """
    config = _folder_config(folder, "transformer", class_name)
    names = folder_parts.names_of(folder, "transformer", "transformer")
    return ComponentPlan(
        kind, {**config, **told.get("unet", {})}, names, folder.path, "transformer"
    )


def t5_folder(folder: FolderFacts, name: str) -> ComponentPlan:
    """The T5 encoder of a diffusers folder; see `transformer_folder` for what it raises."""
    config = _folder_config(folder, name, "T5EncoderModel")
    names = encoder_names(folder_parts.names_of(folder, name, "T5 text encoder"))
    return ComponentPlan("t5_encoder", config, names, folder.path, "T5 text encoder")


def folder_tokenizers(folder: FolderFacts, shipped: Mapping[str, Path]) -> dict[str, Path]:
    """The tokenizers of a diffusers folder by the text encoders' names, or the shipped ones."""
    return {
        name: folder_parts.tokenizer(folder, name.replace("text_encoder", "tokenizer"), path)
        for name, path in shipped.items()
    }


def _folder_config(folder: FolderFacts, name: str, class_name: str) -> dict[str, Any]:
    said = folder.classes.get(name)
    if said != class_name:
        raise UnsupportedModelError(folder.path, f"has a {name} of the unknown class {said!r}")
    config = folder.configs.get(name)
    if config is None:
        raise UnsupportedModelError(folder.path, f"has no configuration for its {name}")
    return {key: value for key, value in config.items() if not key.startswith("_")}
