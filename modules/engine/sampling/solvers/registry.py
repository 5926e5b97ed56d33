"""The algorithms by name; the names users see are in ``modules.requests.samplers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modules.engine.sampling.solvers.ddim import sample_ddim_cfgpp
from modules.engine.sampling.solvers.dpm_2 import sample_dpm_2, sample_dpm_2_ancestral
from modules.engine.sampling.solvers.dpm_solver import (
    sample_dpm_adaptive,
    sample_dpm_fast,
)
from modules.engine.sampling.solvers.dpmpp_sde import (
    sample_dpmpp_2m_sde,
    sample_dpmpp_2s_ancestral,
    sample_dpmpp_3m_sde,
    sample_dpmpp_sde,
)
from modules.engine.sampling.solvers.euler import (
    sample_euler,
    sample_euler_ancestral,
    sample_heun,
    sample_lcm,
    sample_restart,
)
from modules.engine.sampling.solvers.multistep import sample_dpmpp_2m, sample_lms, sample_plms
from modules.engine.sampling.solvers.unipc import sample_unipc
from modules.engine.sampling.step import SamplerStep

SOLVERS: dict[str, Callable[..., Iterator[SamplerStep]]] = {
    "dpmpp_2m": sample_dpmpp_2m,
    "dpmpp_sde": sample_dpmpp_sde,
    "dpmpp_2m_sde": sample_dpmpp_2m_sde,
    "dpmpp_2s_ancestral": sample_dpmpp_2s_ancestral,
    "dpmpp_3m_sde": sample_dpmpp_3m_sde,
    "euler_ancestral": sample_euler_ancestral,
    "euler": sample_euler,
    "lms": sample_lms,
    "heun": sample_heun,
    "dpm_2": sample_dpm_2,
    "dpm_2_ancestral": sample_dpm_2_ancestral,
    "dpm_fast": sample_dpm_fast,
    "dpm_adaptive": sample_dpm_adaptive,
    "restart": sample_restart,
    "ddim": sample_euler_ancestral,
    "ddim_cfgpp": sample_ddim_cfgpp,
    "plms": sample_plms,
    "unipc": sample_unipc,
    "lcm": sample_lcm,
}
"""``SamplerInfo.function`` -> the generator."""

FIRST_ORDER_AWARE = {"heun", "dpm_2", "dpm_2_ancestral", "plms", "restart"}
TAKES_NOISE = {
    *("euler", "heun", "dpm_2", "dpm_2_ancestral", "euler_ancestral", "dpmpp_2s_ancestral"),
    *("dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpm_fast", "restart", "ddim", "ddim_cfgpp"),
    "lcm",
}
OWN_WALK = {"dpm_fast", "dpm_adaptive", "restart"}
"""They do not follow the scheduled sigmas one by one."""
