"""A1111's ``devices``: where and in which number format the engine computes."""

from __future__ import annotations

import contextlib
from typing import Any

from modules.addons import host


class NansException(Exception):  # noqa: N818 - A1111's name
    """A picture is not a number."""


unet_needs_upcast = False
fp8 = False
force_fp16 = False
patch_module_list: list[Any] = []


def __getattr__(name: str) -> Any:
    if name in ("cpu", "device", "device_interrogate", "device_gfpgan", "device_esrgan"):
        import torch

        return torch.device("cpu") if name == "cpu" else get_optimal_device()
    if name in ("device_codeformer", "device_swinir"):
        return get_optimal_device()
    if name in ("dtype", "dtype_unet", "dtype_inference", "dtype_vae"):
        return _number_format(name)
    raise AttributeError(f"module 'modules.devices' has no attribute {name!r}")


def _number_format(name: str) -> Any:
    import torch

    policy = host.get().ask("policy")
    if policy is None:
        return torch.float32
    own = "vae_dtype" if name == "dtype_vae" else "unet_dtype"
    return getattr(policy, own, torch.float32)


def get_optimal_device_name() -> str:
    """``cuda``, ``mps`` or ``cpu``."""
    return str(get_optimal_device())


def get_optimal_device() -> Any:
    """The engine's device; in the server the processor."""
    import torch

    return host.get().ask("device") or torch.device("cpu")


def get_device_for(task: str) -> Any:
    """All tasks share the device."""
    return get_optimal_device()


def get_cuda_device_id() -> int:
    """Number of the graphics card."""
    return getattr(get_optimal_device(), "index", None) or 0


get_cuda_device_string = get_optimal_device_name


def has_mps() -> bool:
    """Whether it is an Apple device."""
    return get_optimal_device_name().startswith("mps")


def cuda_no_autocast(device_id: int | None = None) -> bool:
    """No card needs it here."""
    return False


def torch_gc() -> None:
    """Give memory that is not in use back."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def enable_tf32() -> None:
    """The engine decides."""


def cond_cast_unet(given: Any) -> Any:
    """In the network's number format."""
    return given.to(_number_format("dtype_unet"))


def cond_cast_float(given: Any) -> Any:
    """In 32 bits."""
    return given.float()


def autocast(disable: bool = False) -> Any:
    """Number formats are the networks' own."""
    return contextlib.nullcontext()


def without_autocast(disable: bool = False) -> Any:
    """The same."""
    return contextlib.nullcontext()


def manual_cast(target_dtype: Any) -> Any:
    """The same."""
    return contextlib.nullcontext()


def randn(seed: int, shape: Any) -> Any:
    """Noise of a seed, on the device."""
    import torch

    generator = torch.Generator("cpu").manual_seed(int(seed))
    return torch.randn(tuple(shape), generator=generator).to(get_optimal_device())


def randn_without_seed(shape: Any) -> Any:
    """Noise, on the device."""
    import torch

    return torch.randn(tuple(shape)).to(get_optimal_device())


randn_local = randn


def test_for_nans(x: Any, where: str) -> None:
    """Refuse a tensor that is not a number at all.

    Raises:
        NansException: it is.
    """
    import torch

    if torch.all(torch.isnan(x)):
        raise NansException(f"A tensor with all NaNs was produced in {where}.")


def first_time_calculation() -> None:
    """The engine warms up itself."""
