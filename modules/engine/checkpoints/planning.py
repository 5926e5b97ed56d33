"""From a path to a plan: which family it is, where its weights lie, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.families import Verdict, detect_family
from modules.catalog.folders import read_folder
from modules.catalog.kinds import other_kind
from modules.catalog.sidecar import read_sidecar
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import LOADERS, FamilyLoader, ModelPlan


def plan_model(path: Path, vae: Path | None, configs: Path) -> ModelPlan:
    """Plan a checkpoint, with a separate VAE if one is given. Reads headers and configs only.

    Raises:
        UnreadableModelError, UnsupportedModelError: it cannot be loaded; says why.
    """
    if not path.exists():
        raise UnsupportedModelError(path, "is not there any more")
    sidecar = read_sidecar(path)
    if path.is_dir():
        folder = read_folder(path)
        loader = _loader(path, detect_family(folder), f"holds an unknown {folder.pipeline!r}")
        return _fitting(
            loader.plan_folder(folder, sidecar, configs, _vae(loader, vae, configs)), vae
        )
    header = weights_header(path)
    loader = _loader(path, detect_family(header), other_kind(header))
    return _fitting(loader.plan_file(header, sidecar, configs, _vae(loader, vae, configs)), vae)


def _vae(loader: FamilyLoader, path: Path | None, configs: Path) -> ComponentPlan | None:
    if path is None:
        return None
    return loader.plan_vae(path, configs, read_sidecar(path))


def _loader(path: Path, verdict: Verdict | None, unknown: str) -> FamilyLoader:
    if verdict is None:
        raise UnsupportedModelError(path, unknown)
    if verdict.problem:
        raise UnsupportedModelError(path, verdict.problem)
    return LOADERS[verdict.family]


def _fitting(plan: ModelPlan, vae: Path | None) -> ModelPlan:
    """Refuse a VAE whose latents the network does not know."""
    config = plan.components["unet"].config
    network = config.get("latent_channels", config.get("out_channels", 4))
    channels = plan.components["vae"].config.get("latent_channels", 4)
    if network != channels:
        raise UnsupportedModelError(
            vae or plan.path,
            f"the VAE has {channels} latent channels, {plan.path.name} needs {network}",
        )
    return plan
