"""What an infotext says of the second pass, masks, growing and repainting, as request fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from modules.gallery.draft import Draft, number, size_of, take, whole
from modules.requests.generation import Detailer, Outpaint, SoftInpainting

MASKED_CONTENT = ("fill", "original", "latent noise", "latent nothing")
SIDES = ("left", "right", "up", "down")

HIRES_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Hires upscale": ("hr_scale", number),
    "Hires upscaler": ("hr_upscaler", str),
    "Hires steps": ("hr_second_pass_steps", whole),
    "Hires CFG Scale": ("hr_cfg", number),
    "Hires Distilled CFG Scale": ("hr_distilled_cfg", number),
    "Hires checkpoint": ("hr_checkpoint_name", str),
    "Hires sampler": ("hr_sampler_name", str),
    "Hires schedule type": ("hr_scheduler", str),
    "Hires prompt": ("hr_prompt", str),
    "Hires negative prompt": ("hr_negative_prompt", str),
}


SOFT_FIELDS = tuple(SoftInpainting.model_fields)
OUTPAINT_FIELDS = {
    "Outpaint mask blur": ("mask_blur", whole),
    "Outpaint fall-off": ("fall_off", number),
    "Outpaint colour variation": ("colour_variation", number),
    "Outpaint retries": ("retries", whole),
}
DETAILER_FIELDS = {
    "Detailer prompt": ("prompt", str),
    "Detailer negative prompt": ("negative_prompt", str),
    "Detailer strength": ("strength", number),
    "Detailer padding": ("padding", whole),
    "Detailer mask blur": ("mask_blur", whole),
    "Detailer size": ("size", whole),
    "Detailer max faces": ("max_faces", whole),
    "Detailer confidence": ("confidence", number),
}
ABOUT_THE_RESULT = frozenset(
    {"Pixels changed outside the mask", "Outpaint seam score", "Detailer faces", "Init image hash"}
)
"""Keys that say something of the picture and ask for nothing."""


def read_pictures(values: Mapping[str, str], draft: Draft) -> None:
    """Read everything about pictures into the request."""
    _read_hires(values, draft)
    _read_inpaint(values, draft)
    _read_group(values, draft, "soft_inpainting", SoftInpainting, _soft(values), "Soft inpainting")
    _read_outpaint(values, draft)
    if any(key in values for key in ("Detailer strength", "Detailer faces")):
        found = _read_parts(values, draft, DETAILER_FIELDS)
        _read_group(values, draft, "detailer", Detailer, found, "Detailer")
    draft.used |= ABOUT_THE_RESULT


def _read_hires(values: Mapping[str, str], draft: Draft) -> None:
    for key, (name, reader) in HIRES_FIELDS.items():
        if not values.get(key, "").startswith("Use same "):
            take(values, key, name, reader, draft)
        draft.used.add(key)
    resize = size_of(values, "Hires resize", draft)
    if resize:
        draft.fields["hr_resize_x"], draft.fields["hr_resize_y"] = resize
    marks = ("Hires upscale", "Hires upscaler", "Hires resize")
    if "Denoising strength" in values and any(mark in values for mark in marks):
        draft.fields["enable_hr"] = True


def _read_inpaint(values: Mapping[str, str], draft: Draft) -> None:
    take(values, "Mask blur", "mask_blur", whole, draft)
    take(values, "Masked area padding", "inpaint_full_res_padding", whole, draft)
    content = values.get("Masked content", "").lower()
    if content in MASKED_CONTENT:
        draft.fields["inpainting_fill"] = MASKED_CONTENT.index(content)
    if "Mask mode" in values:
        draft.fields["inpainting_mask_invert"] = int(values["Mask mode"] == "Inpaint not masked")
    if "Inpaint area" in values:
        draft.fields["inpaint_full_res"] = values["Inpaint area"] == "Only masked"
    draft.used |= {"Masked content", "Mask mode", "Inpaint area"}


def _soft(values: Mapping[str, str]) -> dict[str, Any] | None:
    if "Soft inpainting enabled" not in values and "Soft inpainting schedule bias" not in values:
        return None
    labels = {f"Soft inpainting {name.replace('_', ' ')}": name for name in SOFT_FIELDS}
    return {name: values[label] for label, name in labels.items() if label in values}


def _read_outpaint(values: Mapping[str, str], draft: Draft) -> None:
    method = values.get("Outpaint", "").strip().lower()
    if not method:
        return
    found: dict[str, Any] = {"method": method, **_read_parts(values, draft, OUTPAINT_FIELDS)}
    for side in SIDES:
        if re.fullmatch(r"\d{1,5}", values.get(f"Outpaint {side}", "")):
            found[side] = int(values[f"Outpaint {side}"])
    draft.used |= {"Outpaint", *(f"Outpaint {side}" for side in SIDES)}
    _read_group(values, draft, "outpaint", Outpaint, found, "Outpaint")


def _read_parts(
    values: Mapping[str, str],
    draft: Draft,
    table: Mapping[str, tuple[str, Callable[[str], Any]]],
) -> dict[str, Any]:
    part = Draft()
    for key, (name, reader) in table.items():
        take(values, key, name, reader, part)
    draft.used |= part.used
    draft.notes += part.notes
    return part.fields


def _read_group(
    values: Mapping[str, str],
    draft: Draft,
    name: str,
    model: Any,
    found: dict[str, Any] | None,
    label: str,
) -> None:
    """A group of fields that belong together; impossible values leave the whole group out."""
    if found is None:
        return
    draft.used |= {key for key in values if key.startswith(f"{label} ")}
    try:
        draft.fields[name] = model.model_validate(found).model_dump(mode="json")
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        draft.notes.append(f"{label}: {where} cannot be used and the group was left out.")
