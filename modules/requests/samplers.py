"""The samplers and schedule types by name: what lists, doors and infotext need, without torch.

Names, order, aliases and options are those of AUTOMATIC1111 1.10; the algorithms live in
``modules.engine.sampling``. Adding a sampler is one row here and one function there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from modules.requests.errors import NotFoundInList


@dataclass(frozen=True)
class SamplerInfo:
    """One sampling method as users and clients see it."""

    name: str
    """Name in the list, the API and the infotext."""
    function: str
    """Algorithm in ``modules.engine.sampling``: ``sample_<function>``."""
    aliases: tuple[str, ...]
    """Other names the API takes."""
    options: dict[str, str | bool] = field(default_factory=dict)
    """Facts of the method under A1111's keys, as ``/sdapi/v1/samplers`` lists them."""
    kind: str = "k"
    """``k``: over the model's sigmas with a schedule type; ``timestep``: over DDIM timesteps, no
    schedule type; ``lcm``: over the 50 timesteps of latent consistency models."""
    churn: bool = False
    """Takes s_churn, s_tmin, s_tmax."""
    s_noise: bool = False
    """Takes s_noise from the settings."""
    eta: bool = False
    """Takes eta: ``eta_ancestral`` (default 1); a timestep sampler ``eta_ddim`` (default 0)."""

    @property
    def default_scheduler(self) -> str | None:
        """Name of the schedule type that Automatic means, None: the model's own sigmas."""
        value = self.options.get("scheduler")
        return value if isinstance(value, str) else None

    @property
    def uses_ensd(self) -> bool:
        """Whether "Eta noise seed delta" belongs into the infotext."""
        return bool(self.options.get("uses_ensd", False))

    @property
    def second_order(self) -> bool:
        """Whether a step calls the model twice, so that prompt editing counts twice the steps."""
        return bool(self.options.get("second_order", False))

    @property
    def brownian_noise(self) -> bool:
        """Whether the noise between steps is a Brownian path per image."""
        return bool(self.options.get("brownian_noise", False))

    @property
    def discard_next_to_last(self) -> bool:
        """Whether one step more is scheduled and the last sigma before 0 dropped."""
        return bool(self.options.get("discard_next_to_last_sigma", False))

    def total_steps(self, steps: int) -> int:
        """Model calls of ``steps`` steps, as prompt editing and "skip early" count them."""
        return steps * 2 if self.second_order else steps


@dataclass(frozen=True)
class SchedulerInfo:
    """One schedule type: how the sigmas are spread over the steps."""

    name: str
    """Name in the API."""
    label: str
    """Name in the list and the infotext."""
    aliases: tuple[str, ...] = ()
    default_rho: float = -1.0
    """Exponent used when the setting "rho" is 0; -1: the rule has none."""
    need_inner_model: bool = False
    """Whether the rule reads the model's own sigmas."""


def _row(name: str, function: str, aliases: str, options: str = "", **facts: object) -> SamplerInfo:
    table: dict[str, str | bool] = {}
    for word in options.split():
        key, _, value = word.partition("=")
        table[key] = value or True
    return SamplerInfo(name, function, tuple(aliases.split()), table, **facts)  # type: ignore[arg-type]


SAMPLERS: tuple[SamplerInfo, ...] = (
    _row("DPM++ 2M", "dpmpp_2m", "k_dpmpp_2m", "scheduler=karras"),
    _row(
        "DPM++ SDE", "dpmpp_sde", "k_dpmpp_sde", "scheduler=karras second_order brownian_noise",
        s_noise=True, eta=True,
    ),
    _row(
        "DPM++ 2M SDE", "dpmpp_2m_sde", "k_dpmpp_2m_sde", "scheduler=exponential brownian_noise",
        s_noise=True, eta=True,
    ),
    _row(
        "DPM++ 2M SDE Heun", "dpmpp_2m_sde", "k_dpmpp_2m_sde_heun",
        "scheduler=exponential brownian_noise solver_type=heun", s_noise=True, eta=True,
    ),
    _row(
        "DPM++ 2S a", "dpmpp_2s_ancestral", "k_dpmpp_2s_a",
        "scheduler=karras uses_ensd second_order",
        s_noise=True, eta=True,
    ),
    _row(
        "DPM++ 3M SDE", "dpmpp_3m_sde", "k_dpmpp_3m_sde",
        "scheduler=exponential discard_next_to_last_sigma brownian_noise", s_noise=True, eta=True,
    ),
    _row("Euler a", "euler_ancestral", "k_euler_a k_euler_ancestral", "uses_ensd", eta=True),
    _row("Euler", "euler", "k_euler", churn=True, s_noise=True),
    _row("LMS", "lms", "k_lms"),
    _row("Heun", "heun", "k_heun", "second_order", churn=True, s_noise=True),
    _row(
        "DPM2", "dpm_2", "k_dpm_2", "scheduler=karras discard_next_to_last_sigma second_order",
        churn=True, s_noise=True,
    ),
    _row(
        "DPM2 a", "dpm_2_ancestral", "k_dpm_2_a",
        "scheduler=karras discard_next_to_last_sigma uses_ensd second_order",
        s_noise=True, eta=True,
    ),
    _row("DPM fast", "dpm_fast", "k_dpm_fast", "uses_ensd", s_noise=True, eta=True),
    _row("DPM adaptive", "dpm_adaptive", "k_dpm_ad", "uses_ensd", eta=True),
    _row("Restart", "restart", "restart", "scheduler=karras second_order"),
    _row("DDIM", "ddim", "ddim", kind="timestep", eta=True),
    _row("DDIM CFG++", "ddim_cfgpp", "ddim_cfgpp", kind="timestep", eta=True),
    _row("PLMS", "plms", "plms", kind="timestep"),
    _row("UniPC", "unipc", "unipc", kind="timestep"),
    _row("LCM", "lcm", "k_lcm", kind="lcm"),
)  # fmt: skip

SCHEDULERS: tuple[SchedulerInfo, ...] = (
    SchedulerInfo("automatic", "Automatic"),
    SchedulerInfo("uniform", "Uniform", need_inner_model=True),
    SchedulerInfo("karras", "Karras", default_rho=7.0),
    SchedulerInfo("exponential", "Exponential"),
    SchedulerInfo("polyexponential", "Polyexponential", default_rho=1.0),
    # "Turbo" was another front end's name of the same even spread without the last timestep.
    SchedulerInfo(
        "sgm_uniform", "SGM Uniform", aliases=("SGMUniform", "Turbo"), need_inner_model=True
    ),
    SchedulerInfo("kl_optimal", "KL Optimal"),
    SchedulerInfo("align_your_steps", "Align Your Steps"),
    SchedulerInfo("simple", "Simple", need_inner_model=True),
    SchedulerInfo("normal", "Normal", need_inner_model=True),
    SchedulerInfo("ddim", "DDIM", need_inner_model=True),
    SchedulerInfo("beta", "Beta", need_inner_model=True),
)

AUTOMATIC = SCHEDULERS[0]

# Endings of A1111's older API names: k_dpmpp_2m_ka, k_dpmpp_2m_sde_exp.
_SHORT_ENDINGS = {"_ka": "karras", "_exp": "exponential"}


@lru_cache(maxsize=256)
def find_scheduler(name: str | None, field: str = "scheduler") -> SchedulerInfo:
    """The schedule type with this API name, label or alias, in any letter case; empty is Automatic.

    Raises:
        NotFoundInList: there is no such schedule type.
    """
    wanted = (name or "").strip().lower()
    if not wanted:
        return AUTOMATIC
    for scheduler in SCHEDULERS:
        if wanted in _names_of_scheduler(scheduler):
            return scheduler
    raise NotFoundInList(field, name, [scheduler.label for scheduler in SCHEDULERS])


@lru_cache(maxsize=256)
def find_sampler(name: str | None, field: str = "sampler_name") -> SamplerInfo:
    """The sampler with this name or alias, in any letter case; empty is the first of the list.

    Raises:
        NotFoundInList: there is no such sampler.
    """
    wanted = (name or "").strip().lower()
    if not wanted:
        return SAMPLERS[0]
    sampler = _sampler_or_none(wanted)
    if sampler is None:
        raise NotFoundInList(field, name, [sampler.name for sampler in SAMPLERS])
    return sampler


def resolve_sampler(
    name: str | None,
    scheduler: str | None = None,
    *,
    sampler_field: str = "sampler_name",
    scheduler_field: str = "scheduler",
) -> tuple[SamplerInfo, SchedulerInfo]:
    """Sampler and schedule type from what a request or infotext says, old combined names included.

    A schedule type at the end of the sampler's name ("DPM++ 2M Karras") wins over ``scheduler``, as
    it does in A1111. A schedule type equal to the sampler's own default becomes Automatic.

    Raises:
        NotFoundInList: one of the names is unknown.
    """
    found = find_scheduler(scheduler, scheduler_field)
    wanted = (name or "").strip()
    sampler = SAMPLERS[0] if not wanted else _sampler_or_none(wanted.lower())
    if sampler is None:
        sampler, found = _split(wanted, found)
    if sampler is None:
        raise NotFoundInList(sampler_field, name, [sampler.name for sampler in SAMPLERS])
    if sampler.default_scheduler == found.name:
        found = AUTOMATIC
    return sampler, found


def effective_scheduler(sampler: SamplerInfo, scheduler: SchedulerInfo) -> SchedulerInfo:
    """The schedule type really used: Automatic means the sampler's own default where it has one."""
    if scheduler.name == AUTOMATIC.name and sampler.default_scheduler:
        return find_scheduler(sampler.default_scheduler)
    return scheduler


def _split(name: str, otherwise: SchedulerInfo) -> tuple[SamplerInfo | None, SchedulerInfo]:
    lowered = name.lower()
    for scheduler in SCHEDULERS:
        for ending in _names_of_scheduler(scheduler):
            if lowered.endswith(" " + ending):
                return _sampler_or_none(lowered[: -len(ending) - 1].rstrip()), scheduler
    for ending, scheduler_name in _SHORT_ENDINGS.items():
        if lowered.endswith(ending):
            return _sampler_or_none(lowered[: -len(ending)]), find_scheduler(scheduler_name)
    return None, otherwise


def _sampler_or_none(lowered: str) -> SamplerInfo | None:
    for sampler in SAMPLERS:
        if lowered == sampler.name.lower() or lowered in sampler.aliases:
            return sampler
    return None


def _names_of_scheduler(scheduler: SchedulerInfo) -> tuple[str, ...]:
    names = (scheduler.label, scheduler.name, *scheduler.aliases)
    return tuple(name.lower() for name in names)
