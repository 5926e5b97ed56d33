"""The axes of the X/Y/Z plot: what each one changes in a request.

The order, names and values are A1111's 1.10; choices come from the registries. Adding an axis is
one row, and extensions add theirs to a list of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modules.addons.scripts.values import numbers, orders, split, whole_numbers
from modules.requests.errors import RequestError, shorten
from modules.requests.generation import GenerationRequest
from modules.requests.plans import Tools
from modules.requests.samplers import SAMPLERS, SCHEDULERS, resolve_sampler

Change = Callable[[GenerationRequest, Any, Sequence[Any]], dict[str, Any]]
"""From (request, value, all values of the axis) to the fields that change."""

Choices = Callable[[Tools], Sequence[str]]
Check = Callable[[Any, Tools], Any]
"""Gives the value as it will be used. Raises ``RequestError`` for one that cannot be."""


@dataclass(frozen=True)
class Axis:
    """One row of the list."""

    label: str
    read: Callable[[str], list[Any]]
    change: Change
    check: Check = lambda value, tools: value
    choices: Choices | None = None
    """Values to choose from instead of typing."""
    bare: bool = False
    """The legend shows the value alone, without the axis's name."""
    cost: float = 0.0
    """How dear a change of the value is; dear axes change least often."""
    kinds: tuple[str, ...] = ("txt2img", "img2img")

    def values(self, text: str, chosen: Sequence[str], tools: Tools) -> list[Any]:
        """The values asked for, by choice or as text, each checked.

        Raises:
            RequestError: one of them cannot be used.
        """
        if self.label == "Nothing":
            return [0]
        read = list(chosen) if chosen and self.choices else self.read(text)
        if not read:
            raise RequestError("script_args", text, f"The axis {self.label} has no values.")
        return [self.check(value, tools) for value in read]

    def apply(
        self, request: GenerationRequest, value: Any, values: Sequence[Any]
    ) -> GenerationRequest:
        """The request with this value.

        Raises:
            RequestError: the value is outside of what the field allows.
        """
        changed = self.change(request, value, values)
        overrides = changed.pop("override_settings", None)
        if overrides is not None:
            changed["override_settings"] = {**request.override_settings, **overrides}
        try:
            fields = GenerationRequest.model_validate(changed).model_dump()
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            sentence = f"{self.label}: {shorten(str(value))} cannot be used: {reason}."
            raise RequestError("script_args", value, sentence) from None
        return request.model_copy(update={name: fields[name] for name in changed})

    def legend(self, value: Any) -> str:
        """The value for the legend."""
        if self.label == "Nothing":
            return ""
        shown = ", ".join(value) if isinstance(value, tuple) else value
        if isinstance(shown, float):
            shown = round(shown, 8)
        return str(shown) if self.bare else f"{self.label}: {shown}"


def field(name: str) -> Change:
    """Sets one field."""
    return lambda request, value, values: {name: value}


def setting(key: str) -> Change:
    """Sets one override of the settings."""
    return lambda request, value, values: {"override_settings": {key: value}}


def _search_replace(
    request: GenerationRequest, value: str, values: Sequence[str]
) -> dict[str, Any]:
    first = values[0]
    if first not in request.prompt and first not in request.negative_prompt:
        sentence = f"Prompt S/R did not find {shorten(first)!r} in the prompt or negative prompt."
        raise RequestError("script_args", first, sentence)
    return {
        "prompt": request.prompt.replace(first, value),
        "negative_prompt": request.negative_prompt.replace(first, value),
    }


def _in_order(
    request: GenerationRequest, order: tuple[str, ...], values: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    """The parts exchange their places in the prompt; what lies between them stays."""
    places = sorted((request.prompt.find(part), part) for part in order)
    missing = [part for place, part in places if place < 0]
    if missing:
        sentence = f"Prompt order did not find {shorten(missing[0])!r} in the prompt."
        raise RequestError("script_args", missing[0], sentence)
    text, done = [], 0
    for (place, part), wanted in zip(places, order, strict=True):
        text += [request.prompt[done:place], wanted]
        done = place + len(part)
    return {"prompt": "".join([*text, request.prompt[done:]])}


def _styles(request: GenerationRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    return {"styles": [*request.styles, *(name.strip() for name in value.split(","))]}


def _size(request: GenerationRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    width, height = value.lower().split("x")
    return {"width": int(width), "height": int(height)}


def _faces(request: GenerationRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    name = {"codeformer": "CodeFormer", "gfpgan": "GFPGAN"}.get(value.lower())
    if name:
        return {"restore_faces": True, "override_settings": {"face_restoration_model": name}}
    return {"restore_faces": value.lower() in ("true", "yes", "1")}


def _one_of(names: Choices, what: str) -> Check:
    """Accepts a name in any case; a file's name also without folder, extension or hash."""

    def check(value: str, tools: Tools) -> str:
        known = list(names(tools))
        for name in known:
            if value.strip().lower() == name.lower():
                return name
        sentence = f"{shorten(value)!r} is no {what} here; there are {shorten(', '.join(known))}."
        raise RequestError("script_args", value, sentence)

    return check


def _a_sampler(value: str, tools: Tools) -> str:
    resolve_sampler(value, None)
    return value.strip()  # with a schedule type behind the name, if there is one


def _a_checkpoint(value: str, tools: Tools) -> str:
    return tools.find_checkpoint(value)


def _a_size(value: str, tools: Tools) -> str:
    parts = value.lower().replace(" ", "").split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        sentence = f"{shorten(value)!r} is no size; allowed: 512x768."
        raise RequestError("script_args", value, sentence)
    return "x".join(parts)


def _samplers(tools: Tools) -> Sequence[str]:
    return [sampler.name for sampler in SAMPLERS]


def _schedulers(tools: Tools) -> Sequence[str]:
    return [scheduler.label for scheduler in SCHEDULERS]


def _fixed(*names: str) -> Choices:
    return lambda tools: names


def _checkpoints(tools: Tools) -> Sequence[str]:
    return sorted(tools.lists.checkpoints, key=str.lower)


def _yes(value: str, tools: Tools) -> bool:
    return value.strip().lower() in ("true", "yes", "1", "on")


_TXT, _IMG = ("txt2img",), ("img2img",)
_HIRES_UPSCALERS: Choices = lambda tools: tools.lists.upscalers  # noqa: E731
_VAES: Choices = lambda tools: ("Automatic", "None", *tools.lists.vaes)  # noqa: E731
_STYLES: Choices = lambda tools: tools.lists.styles  # noqa: E731
_BOOLEAN = _fixed("False", "True")
_RNG = _fixed("GPU", "CPU", "NV")
_FP8 = _fixed("Disable", "Enable for SDXL", "Enable")

AXES: tuple[Axis, ...] = (
    Axis("Nothing", split, lambda request, value, values: {}),
    Axis("Seed", whole_numbers, field("seed")),
    Axis("Var. seed", whole_numbers, field("subseed")),
    Axis("Var. strength", numbers, field("subseed_strength")),
    Axis("Steps", whole_numbers, field("steps")),
    Axis("Hires steps", whole_numbers, field("hr_second_pass_steps"), kinds=_TXT),
    Axis("CFG Scale", numbers, field("cfg_scale")),
    Axis("Image CFG Scale", numbers, field("image_cfg_scale"), kinds=_IMG),
    Axis("Prompt S/R", split, _search_replace, bare=True),
    Axis("Prompt order", orders, _in_order, bare=True),
    Axis("Sampler", split, field("sampler_name"), _a_sampler, _samplers, bare=True, kinds=_TXT),
    Axis("Hires sampler", split, field("hr_sampler_name"), _a_sampler, _samplers, kinds=_TXT),
    Axis("Sampler", split, field("sampler_name"), _a_sampler, _samplers, bare=True, kinds=_IMG),
    Axis(
        "Checkpoint name",
        split,
        setting("sd_model_checkpoint"),
        _a_checkpoint,
        _checkpoints,
        bare=True,
        cost=1.0,
    ),
    Axis("Negative Guidance minimum sigma", numbers, field("s_min_uncond")),
    Axis("Sigma Churn", numbers, field("s_churn")),
    Axis("Sigma min", numbers, field("s_tmin")),
    Axis("Sigma max", numbers, field("s_tmax")),
    Axis("Sigma noise", numbers, field("s_noise")),
    Axis(
        "Schedule type",
        split,
        field("scheduler"),
        _one_of(_schedulers, "schedule type"),
        _schedulers,
    ),
    Axis("Schedule min sigma", numbers, setting("sigma_min")),
    Axis("Schedule max sigma", numbers, setting("sigma_max")),
    Axis("Schedule rho", numbers, setting("rho")),
    Axis("Beta schedule alpha", numbers, setting("beta_dist_alpha")),
    Axis("Beta schedule beta", numbers, setting("beta_dist_beta")),
    Axis("Eta", numbers, field("eta")),
    Axis("Clip skip", whole_numbers, setting("CLIP_stop_at_last_layers")),
    Axis("Denoising", numbers, field("denoising_strength")),
    Axis("Initial noise multiplier", numbers, field("initial_noise_multiplier")),
    Axis("Extra noise", numbers, setting("img2img_extra_noise")),
    Axis(
        "Hires upscaler",
        split,
        field("hr_upscaler"),
        _one_of(_HIRES_UPSCALERS, "upscaler"),
        _HIRES_UPSCALERS,
        kinds=_TXT,
    ),
    Axis("Cond. Image Mask Weight", numbers, setting("inpainting_mask_weight"), kinds=_IMG),
    Axis("VAE", split, setting("sd_vae"), _one_of(_VAES, "VAE"), _VAES, cost=0.7),
    Axis("Styles", split, _styles, choices=_STYLES),
    Axis("UniPC Order", whole_numbers, setting("uni_pc_order"), cost=0.5),
    Axis("Face restore", split, _faces, choices=_fixed("None", "CodeFormer", "GFPGAN")),
    Axis("Token merging ratio", numbers, setting("token_merging_ratio")),
    Axis("Token merging ratio high-res", numbers, setting("token_merging_ratio_hr")),
    Axis(
        "Always discard next-to-last sigma",
        split,
        setting("always_discard_next_to_last_sigma"),
        _yes,
        _BOOLEAN,
    ),
    Axis("SGM noise multiplier", split, setting("sgm_noise_multiplier"), _yes, _BOOLEAN),
    Axis(
        "Refiner checkpoint",
        split,
        field("refiner_checkpoint"),
        _a_checkpoint,
        _checkpoints,
        bare=True,
        cost=1.0,
    ),
    Axis("Refiner switch at", numbers, field("refiner_switch_at")),
    Axis("RNG source", split, setting("randn_source"), _one_of(_RNG, "source"), _RNG),
    Axis("FP8 mode", split, setting("fp8_storage"), _one_of(_FP8, "FP8 mode"), _FP8, cost=0.9),
    Axis("Size", split, _size, _a_size),
)


def axes_for(kind: str) -> list[Axis]:
    """The axes of one tab, in the order of its list."""
    return [axis for axis in AXES if kind in axis.kinds]


def find_axis(kind: str, given: Any) -> Axis:
    """An axis by its place in the tab's list, as A1111's API has it, or by its name.

    Raises:
        RequestError: there is none.
    """
    listed = axes_for(kind)
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        given = str(given)
    if isinstance(given, int) and 0 <= given < len(listed):
        return listed[given]
    for axis in listed:
        if str(given).strip().lower() == axis.label.lower():
            return axis
    raise RequestError(
        "script_args",
        given,
        f"{shorten(str(given))!r} is no axis; allowed: 0 to {len(listed) - 1}, or one of "
        f"{', '.join(axis.label for axis in listed)}.",
    )
