"""Writes ``k_diffusion.json``: what k-diffusion's samplers give on a closed-form denoiser.

Independent numbers to compare our samplers with. Run it with k-diffusion 0.1.1.post1 unpacked
(``pip download k-diffusion==0.1.1.post1 --no-deps``) and its folder as the only argument:

    python -m tests.engine.sampling.reference.make_k_diffusion FOLDER

Only ``k_diffusion/sampling.py`` and ``utils.py`` are loaded; what they import and do not need for
sampling is replaced by empty modules, so nothing else has to be installed.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.engine.sampling.closed_form import TwoPeaks, Waves, karras_levels, start

TERMINAL_LEVELS = [4518.76, 40.4, 18.1, 9.3, 4.2, 1.7, 0.6, 0.14, 0.0]

PLAIN: list[tuple[str, dict[str, Any]]] = [
    ("euler", {}),
    ("euler", {"s_churn": 6.0}),
    ("euler", {"s_churn": 20.0, "s_tmin": 0.3, "s_tmax": 8.0, "s_noise": 1.02}),
    ("heun", {}),
    ("heun", {"s_churn": 6.0, "s_tmin": 0.3, "s_tmax": 8.0, "s_noise": 1.02}),
    ("dpm_2", {}),
    ("dpm_2", {"s_churn": 6.0, "s_tmin": 0.3, "s_tmax": 8.0, "s_noise": 1.02}),
    ("lms", {}),
    ("dpmpp_2m", {}),
    ("euler_ancestral", {}),
    ("euler_ancestral", {"eta": 0.4, "s_noise": 1.01}),
    ("euler_ancestral", {"eta": 0.0}),
    ("dpm_2_ancestral", {}),
    ("dpm_2_ancestral", {"eta": 0.6, "s_noise": 0.98}),
    ("dpmpp_2s_ancestral", {}),
    ("dpmpp_2s_ancestral", {"eta": 0.3, "s_noise": 1.01}),
    ("dpmpp_sde", {}),
    ("dpmpp_sde", {"eta": 0.5, "s_noise": 1.01}),
    ("dpmpp_2m_sde", {}),
    ("dpmpp_2m_sde", {"eta": 0.5, "s_noise": 1.01}),
    ("dpmpp_2m_sde", {"solver_type": "heun"}),
    ("dpmpp_3m_sde", {}),
    ("dpmpp_3m_sde", {"eta": 0.5, "s_noise": 1.01}),
]


def main(folder: str) -> None:
    """Write the JSON file beside this script."""
    sampling = load_sampling(Path(folder))
    torch.set_default_dtype(torch.float64)
    cases = [
        plain_case(sampling, name, options, levels)
        for levels in (karras_levels(8), TERMINAL_LEVELS)
        for name, options in PLAIN
    ]
    cases += [
        span_case(sampling, "dpm_fast", {"n": n, "eta": eta, "s_noise": 1.01}, image=None)
        for n in (3, 7, 8, 9)
        for eta in (0.0, 1.0)
    ]
    cases += [
        span_case(sampling, "dpm_adaptive", {"eta": eta}, image=image)
        for eta in (0.0, 1.0)
        for image in (0, 1)
    ]
    cases += [schedule_case(sampling, *row) for row in SCHEDULES]
    target = Path(__file__).with_name("k_diffusion.json")
    rows = ",\n".join(json.dumps(case) for case in cases)
    target.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    sys.stdout.write(f"{len(cases)} cases in {target}\n")


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("karras", {"n": 10, "sigma_min": 0.0292, "sigma_max": 14.6146}),
    ("karras", {"n": 1, "sigma_min": 0.0292, "sigma_max": 14.6146}),
    ("karras", {"n": 10, "sigma_min": 0.1, "sigma_max": 10.0, "rho": 5.0}),
    ("exponential", {"n": 10, "sigma_min": 0.0292, "sigma_max": 14.6146}),
    ("polyexponential", {"n": 10, "sigma_min": 0.0292, "sigma_max": 14.6146}),
    ("polyexponential", {"n": 10, "sigma_min": 0.0292, "sigma_max": 14.6146, "rho": 1.7}),
]


def plain_case(
    sampling: ModuleType, name: str, options: dict[str, Any], levels: list[float]
) -> dict[str, Any]:
    """A sampler that walks the given noise levels."""
    model, noise = TwoPeaks(), Waves()
    extra = (
        {} if name in ("euler", "heun", "dpm_2", "lms", "dpmpp_2m") else {"noise_sampler": noise}
    )
    sampling.torch = Hijack(noise)
    function = getattr(sampling, f"sample_{name}")
    x = function(model, start(levels[0]), torch.tensor(levels), disable=True, **extra, **options)
    return {
        "sampler": name, "options": options, "levels": levels, "calls": model.calls,
        "x": x.flatten().tolist(),
    }  # fmt: skip


def span_case(
    sampling: ModuleType, name: str, options: dict[str, Any], image: int | None
) -> dict[str, Any]:
    """A sampler that takes the ends of the noise levels; adaptive steps for one image at a time."""
    model, noise = TwoPeaks(), Waves()
    x = start(14.6) if image is None else start(14.6)[image : image + 1]
    pick = noise if image is None else lambda *_: noise()[image : image + 1]
    function = getattr(sampling, f"sample_{name}")
    x = function(model, x, 0.03, 14.6, disable=True, noise_sampler=pick, **options)
    return {
        "sampler": name, "options": options, "levels": [14.6, 0.03], "calls": model.calls,
        "image": image, "x": x.flatten().tolist(),
    }  # fmt: skip


def schedule_case(sampling: ModuleType, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Noise levels of a schedule."""
    sigmas = getattr(sampling, f"get_sigmas_{name}")(**options)
    return {"schedule": name, "options": options, "sigmas": sigmas.tolist()}


class Hijack:
    """Stands in for ``torch`` inside k-diffusion, to give its ``randn_like`` our numbers."""

    def __init__(self, noise: Waves) -> None:
        self.randn_like = noise

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class Empty(ModuleType):
    """A module in which every name exists and means nothing; progress bars pass through."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return {"trange": lambda n, **_: range(n), "tqdm": NoBar}.get(name)


class NoBar:
    """A progress bar that shows nothing."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, *_: object) -> None: ...


def load_sampling(folder: Path) -> ModuleType:
    """``k_diffusion.sampling`` without the packages that sampling does not use."""
    package = ModuleType("k_diffusion")
    package.__path__ = [str(folder / "k_diffusion")]
    sys.modules["k_diffusion"] = package
    for name in ("torchdiffeq", "torchvision", "torchvision.transforms", "accelerate", "tqdm.auto"):
        sys.modules[name] = Empty(name)
    return importlib.import_module("k_diffusion.sampling")


if __name__ == "__main__":
    main(sys.argv[1])
