"""A1111's ``sd_samplers_kdiffusion``: names only; the engine has solvers of its own."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111.sd_samplers import all_samplers
from modules.addons.a1111.sd_samplers_common import Sampler

samplers_k_diffusion: list[Any] = []
samplers_data_k_diffusion = list(all_samplers)
k_diffusion_samplers_map = {one.name: one for one in all_samplers}
k_diffusion_scheduler: dict[str, Any] = {}
sampler_extra_params: dict[str, list[str]] = {}


class CFGDenoiserKDiffusion:
    """Only a name."""


class KDiffusionSampler(Sampler):
    """Only a name: what an extension puts into it is not called."""

    def callback_state(self, d: dict[str, Any]) -> None:
        """Called after each step in A1111."""
