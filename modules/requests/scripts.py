"""A1111's scripts that are doors to parts of ours: their names, controls, and what they ask for.

``script_name`` with positional ``script_args`` chooses one; ``alwayson_scripts`` adds others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from modules.requests.errors import RequestError, shorten
from modules.requests.generation import GenerationRequest, Outpaint, SoftInpainting

SIDES = ("left", "right", "up", "down")
FILLS = ("fill", "original", "latent noise", "latent nothing")


@dataclass(frozen=True)
class ScriptArgument:
    """One control of a script, as ``/sdapi/v1/script-info`` lists it."""

    label: str
    value: Any
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The row of the list."""
        return {
            "label": self.label,
            "value": self.value,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "choices": list(self.choices) if self.choices else None,
        }


@dataclass(frozen=True)
class Script:
    """One script; ``apply`` gives the request's fields that its arguments stand for."""

    title: str
    arguments: tuple[ScriptArgument, ...]
    apply: Callable[[GenerationRequest, list[Any]], dict[str, Any]]
    alwayson: bool = False
    kinds: tuple[str, ...] = ("img2img",)

    @property
    def name(self) -> str:
        """The title in lower case, as the API lists it."""
        return self.title.lower()

    def filled(self, given: list[Any]) -> list[Any]:
        """The arguments with the controls' own values for those left out."""
        defaults = [argument.value for argument in self.arguments]
        return [*given, *defaults[len(given) :]][: len(defaults)]


def _outpainting_mk2(request: GenerationRequest, values: list[Any]) -> dict[str, Any]:
    _, pixels, mask_blur, directions, fall_off, variation = values
    return {
        "outpaint": {
            "method": "noise",
            **_sides(pixels, directions),
            "mask_blur": mask_blur,
            "fall_off": fall_off,
            "colour_variation": variation,
        }
    }


def _poor_mans_outpainting(request: GenerationRequest, values: list[Any]) -> dict[str, Any]:
    pixels, mask_blur, fill, directions = values
    if isinstance(fill, str):
        if fill not in FILLS:
            raise _bad(f"the masked content is one of {', '.join(FILLS)}.", fill)
        fill = FILLS.index(fill)
    return {
        "outpaint": {"method": "tiled", **_sides(pixels, directions), "mask_blur": mask_blur},
        "inpainting_fill": fill,
    }


def _soft_inpainting(request: GenerationRequest, values: list[Any]) -> dict[str, Any]:
    enabled, bias, preservation, boost, influence, threshold, contrast = values
    if not enabled:
        return {}
    return {
        "soft_inpainting": {
            "schedule_bias": bias,
            "preservation_strength": preservation,
            "transition_contrast_boost": boost,
            "mask_influence": influence,
            "difference_threshold": threshold,
            "difference_contrast": contrast,
        }
    }


def _sides(pixels: Any, directions: Any) -> dict[str, Any]:
    chosen = [directions] if isinstance(directions, str) else directions
    if not isinstance(chosen, list) or not set(map(str, chosen)) <= set(SIDES):
        raise _bad(f"the directions are a list of {', '.join(SIDES)}.", directions)
    return {side: pixels if side in chosen else 0 for side in SIDES}


_PIXELS = ScriptArgument("Pixels to expand", 128, 8, 256, 8)
_DIRECTIONS = ScriptArgument("Outpainting direction", list(SIDES), choices=SIDES)
_soft = SoftInpainting()

SCRIPTS: tuple[Script, ...] = (
    Script(
        "Outpainting mk2",
        (
            ScriptArgument("", "<p>Recommended: 80 to 100 steps, Euler a, denoising 0.8</p>"),
            _PIXELS,
            ScriptArgument("Mask blur", 8, 0, 64, 1),
            _DIRECTIONS,
            ScriptArgument("Fall-off exponent (lower=higher detail)", 1.0, 0.0, 4.0, 0.01),
            ScriptArgument("Color variation", 0.05, 0.0, 1.0, 0.01),
        ),
        _outpainting_mk2,
    ),
    Script(
        "Poor man's outpainting",
        (
            _PIXELS,
            ScriptArgument("Mask blur", 4, 0, 64, 1),
            ScriptArgument("Masked content", "fill", choices=FILLS),
            _DIRECTIONS,
        ),
        _poor_mans_outpainting,
    ),
    Script(
        "Soft Inpainting",
        (
            ScriptArgument("Soft inpainting", False),
            ScriptArgument("Schedule bias", _soft.schedule_bias, 0, 8, 0.1),
            ScriptArgument("Preservation strength", _soft.preservation_strength, 0, 8, 0.05),
            ScriptArgument(
                "Transition contrast boost", _soft.transition_contrast_boost, 1, 32, 0.5
            ),
            ScriptArgument("Mask influence", _soft.mask_influence, 0, 1, 0.05),
            ScriptArgument("Difference threshold", _soft.difference_threshold, 0, 8, 0.25),
            ScriptArgument("Difference contrast", _soft.difference_contrast, 0, 8, 0.25),
        ),
        _soft_inpainting,
        alwayson=True,
    ),
)


def apply_scripts(request: GenerationRequest) -> GenerationRequest:
    """The request with what its scripts ask for in its own fields, and no script any more.

    Raises:
        RequestError: a script is unknown here, or its arguments do not fit.
    """
    found: dict[str, Any] = {}
    if request.script_name and request.script_name != "None":
        script = _find(request.script_name, request.kind, alwayson=False)
        if script is None:
            raise RequestError(
                "script_name",
                request.script_name,
                f"Script '{shorten(request.script_name)}' not found",
            )
        found |= _applied(script, request, request.script_args, "script_args")
    for name, value in request.alwayson_scripts.items():
        found |= _always(name, value, request)
    if not found and not request.script_name and not request.alwayson_scripts:
        return request
    settled = {**found, "script_name": None, "script_args": [], "alwayson_scripts": {}}
    return request.model_copy(update=settled)


def _always(name: str, value: Any, request: GenerationRequest) -> dict[str, Any]:
    script = _find(name, request.kind, alwayson=True)
    if script is None:
        if _find(name, request.kind, alwayson=False) is not None:
            message = f"'{shorten(name)}' is a script to be chosen by script_name"
        else:
            message = f"always on script '{shorten(name)}' not found"
        raise RequestError("alwayson_scripts", name, message)
    given = value.get("args") if isinstance(value, Mapping) else None
    return _applied(script, request, [] if given is None else given, "alwayson_scripts")


def _applied(script: Script, request: GenerationRequest, given: Any, field: str) -> dict[str, Any]:
    if not isinstance(given, list):
        raise RequestError(field, given, f"{script.title}: args is a list.")
    return {
        key: _checked(key, value, script, field)
        for key, value in script.apply(request, script.filled(given)).items()
    }


_MODELS: dict[str, type[BaseModel]] = {"outpaint": Outpaint, "soft_inpainting": SoftInpainting}


def _checked(key: str, value: Any, script: Script, field: str) -> Any:
    model = _MODELS.get(key)
    try:
        if model is not None:
            return model.model_validate(value)
        return GenerationRequest.model_validate({key: value}).model_dump()[key]
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise RequestError(field, value, f"{script.title}: {where}: {fault['msg']}.") from None


def _find(name: str, kind: str, *, alwayson: bool) -> Script | None:
    wanted = name.strip().lower()
    return next(
        (
            script
            for script in SCRIPTS
            if script.name == wanted and kind in script.kinds and script.alwayson == alwayson
        ),
        None,
    )


def _bad(message: str, value: Any) -> RequestError:
    return RequestError("script_args", value, message)
