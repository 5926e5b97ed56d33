"""From a picture's text back to a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from modules.gallery.api_table import DEFAULTS
from modules.gallery.draft import Draft, number, size_of, take, whole
from modules.gallery.infotext import (
    CHINESE,
    NEGATIVE_CHINESE,
    NEGATIVE_TEMPLATE,
    TEMPLATE,
    ParsedInfotext,
)
from modules.gallery.obstacles import obstacles
from modules.gallery.restore_networks import READ as NETWORK_KEYS
from modules.gallery.restore_networks import FindNetwork, with_networks
from modules.gallery.restore_pictures import read_pictures
from modules.gallery.sampler_spellings import other_spellings
from modules.prompts.styles import StyleBook
from modules.requests.errors import NotFoundInList
from modules.requests.samplers import resolve_sampler
from modules.settings.options import Option, OptionError
from modules.settings.tables import build_table

_A1111_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-(\d+))?")

OPTION_ALIASES = {
    "Beta schedule alpha": "beta_dist_alpha",
    "Beta schedule beta": "beta_dist_beta",
    "Beta scheduler alpha": "beta_dist_alpha",
    "Beta scheduler beta": "beta_dist_beta",
    "Clip skip": "CLIP_stop_at_last_layers",
    "VAE": "sd_vae",
}
"""Infotext keys of settings, beside those the option table names itself."""

READ_ELSEWHERE = frozenset(
    {"Prompt", "Negative prompt", "Model", "Model hash", "VAE hash", "Tiling", "Sampler", "App"}
    | {"Schedule type", "Scheduler", "Version", "User", "Face restoration", "Hires upscale"}
    | {TEMPLATE, NEGATIVE_TEMPLATE, CHINESE, NEGATIVE_CHINESE}
)


ABSENT_MEANS_DEFAULT = (
    *("Clip skip", "RNG", "Emphasis", "Schedule max sigma", "Schedule min sigma", "Schedule rho"),
    *("VAE Encoder", "VAE Decoder", "Refiner switch by sampling steps"),
)


@dataclass(frozen=True)
class ToRequest:
    """`fields` are those of `GenerationRequest`; `override_settings` are settings by key.

    `unknown` holds what has no place in a request, `notes` what could not be taken over and why.
    `template` and `negative_template` are the prompts before wildcards were expanded, or None.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    override_settings: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    template: str | None = None
    negative_template: str | None = None


def to_request(
    parsed: ParsedInfotext,
    options: Mapping[str, Any] | None = None,
    *,
    with_checkpoint: bool = True,
    styles: StyleBook | None = None,
    find_loras: FindNetwork | None = None,
) -> ToRequest:
    """What the text asks for, in the request's terms; never raises.

    With `options` (the current settings) only the settings that differ are overridden, and those
    the text leaves out because they have A1111's default are set back to it.
    `with_checkpoint` False leaves the checkpoint alone (the setting "Disregard checkpoint").
    With `styles`, styles found in the prompts are taken out as `infotext_styles` says. The keys in
    the setting `infotext_skip_pasting` are not read. With `find_loras`, LoRAs are called as their
    files are called here.
    """
    skipped = frozenset((options or {}).get("infotext_skip_pasting") or ())
    values = {key: value for key, value in parsed.parameters.items() if key not in skipped}
    draft = Draft()
    if parsed.prompt or values:
        _read_prompts(parsed, draft, skipped, options, styles)
        if "prompt" in draft.fields:
            prompt = with_networks(draft.fields["prompt"], values, find_loras)
            draft.fields["prompt"] = prompt
    _read_fields(values, draft)
    _read_sampler(values, draft)
    _read_sizes(values, draft)
    read_pictures(values, draft)
    _read_options(values, draft, options)
    if options is not None:
        _read_absent(parsed, draft, options)
    _read_versions(parsed, draft, options)
    if with_checkpoint:
        _read_checkpoint(values, draft, options)
    known = draft.used | READ_ELSEWHERE | NETWORK_KEYS
    return ToRequest(
        draft.fields,
        draft.overrides,
        {key: value for key, value in values.items() if key not in known},
        (*parsed.notes, *draft.notes, *obstacles(parsed)),
        values.get(TEMPLATE),
        values.get(NEGATIVE_TEMPLATE),
    )


FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Steps": ("steps", whole),
    "CFG scale": ("cfg_scale", number),
    "Image CFG scale": ("image_cfg_scale", number),
    "Distilled CFG Scale": ("distilled_cfg_scale", number),
    "unCLIP noise level": ("noise_level", whole),
    "Seed": ("seed", whole),
    "Variation seed": ("subseed", whole),
    "Variation seed strength": ("subseed_strength", number),
    "Denoising strength": ("denoising_strength", number),
    "Batch size": ("batch_size", whole),
    "Refiner": ("refiner_checkpoint", str),
    "Refiner switch at": ("refiner_switch_at", number),
}
"""Infotext key to request field and reader of its value."""


def _read_fields(values: Mapping[str, str], draft: Draft) -> None:
    for key, (name, reader) in FIELDS.items():
        take(values, key, name, reader, draft)
    if "Face restoration" in values:
        draft.fields["restore_faces"] = values["Face restoration"].lower() != "none"
        _override("face_restoration_model", values["Face restoration"], draft, None, "")
    if "Tiling" in values:
        draft.fields["tiling"] = values["Tiling"].lower() == "true"


def _read_prompts(
    parsed: ParsedInfotext,
    draft: Draft,
    skipped: frozenset[str],
    options: Mapping[str, Any] | None,
    styles: StyleBook | None,
) -> None:
    """The prompts, without the styles in them when the settings want these taken out."""
    prompt, negative = parsed.prompt, parsed.negative
    if (options or {}).get("enable_wildcards", True):
        # The same template with the same seed gives the same prompt, and other seeds other ones.
        prompt = parsed.parameters.get(TEMPLATE) or prompt
        negative = parsed.parameters.get(NEGATIVE_TEMPLATE) or negative
    mode = str((options or {}).get("infotext_styles") or "Apply if any")
    if styles is not None and mode != "Ignore":
        prompt, negative, names = styles.extract(prompt, negative)
        if mode == "Apply" or (mode == "Apply if any" and names):
            draft.fields["styles"] = names
    if "Prompt" not in skipped:
        draft.fields["prompt"] = prompt
    if "Negative prompt" not in skipped:
        draft.fields["negative_prompt"] = negative
    draft.used |= {TEMPLATE, NEGATIVE_TEMPLATE}


def _read_sampler(values: Mapping[str, str], draft: Draft) -> None:
    name = values.get("Sampler", "").strip()
    scheduler = (values.get("Schedule type") or values.get("Scheduler") or "").strip() or None
    if not name or name.lower() in ("undefined", "default"):
        return
    for wanted in (scheduler, None):
        for spelling in dict.fromkeys((name, *other_spellings(name))):
            try:
                sampler, schedule = resolve_sampler(spelling, wanted)
            except NotFoundInList:
                continue
            draft.fields["sampler_name"] = sampler.name
            draft.fields["scheduler"] = schedule.label
            if wanted is None and scheduler and "Schedule type" in values:
                draft.notes.append(f"Schedule type: {scheduler[:60]!r} is not known here.")
            return
    draft.notes.append(f"Sampler: {name[:60]!r} is not known here.")


def _read_sizes(values: Mapping[str, str], draft: Draft) -> None:
    size = size_of(values, "Size", draft)
    if size:
        draft.fields["width"], draft.fields["height"] = size
    resize = size_of(values, "Seed resize from", draft)
    if resize:
        draft.fields["seed_resize_from_w"], draft.fields["seed_resize_from_h"] = resize
    first = size_of(values, "First pass size", draft)
    if first and size:
        draft.fields.update(width=first[0] or size[0], height=first[1] or size[1])
        draft.fields.update(enable_hr=True, hr_resize_x=size[0], hr_resize_y=size[1])


@lru_cache(maxsize=1)
def _option_keys() -> tuple[dict[str, Option], dict[str, Option]]:
    """Settings by infotext key, and by their own key."""
    table = build_table()
    by_text = table.by_infotext()
    for text, key in OPTION_ALIASES.items():
        if key in table:
            by_text[text] = table[key]
    skipped = ("Model hash", "Tiling", "Face restoration")
    return {text: row for text, row in by_text.items() if text not in skipped}, dict(table)


def _read_options(
    values: Mapping[str, str], draft: Draft, options: Mapping[str, Any] | None
) -> None:
    by_text, _ = _option_keys()
    for text, option in by_text.items():
        if text in values:
            draft.used.add(text)
            _override(option.key, values[text], draft, options, text)


def _read_absent(parsed: ParsedInfotext, draft: Draft, options: Mapping[str, Any]) -> None:
    """Settings that are not written when they have A1111's default: absent means that default."""
    if not parsed.parameters:
        return
    by_text, _ = _option_keys()
    brackets = any(sign in parsed.prompt + parsed.negative for sign in "([")
    for text in ABSENT_MEANS_DEFAULT:
        option = by_text.get(text)
        if option is None or text in parsed.parameters or (text == "Emphasis" and not brackets):
            continue
        _override(option.key, DEFAULTS.get(text, "Original"), draft, options, text)


def _override(
    key: str, text: str, draft: Draft, options: Mapping[str, Any] | None, label: str
) -> None:
    """Note the setting `key`, unless it is unknown, impossible or already so."""
    option = _option_keys()[1].get(key)
    if option is None:
        return
    try:
        value = option.check(text)
    except OptionError as error:
        draft.notes.append(f"{label or key}: {error.sentence}")
        return
    if options is None or options.get(key, option.default) != value:
        draft.overrides[key] = value


def _read_checkpoint(
    values: Mapping[str, str], draft: Draft, options: Mapping[str, Any] | None
) -> None:
    wanted = values.get("Model hash") or values.get("Model")
    if not wanted:
        return
    current = str((options or {}).get("sd_model_checkpoint") or "")
    name = values.get("Model", "")
    same = f"[{wanted}]" in current or (name and current.split(" [")[0].startswith(name + "."))
    if not same:
        draft.overrides["sd_model_checkpoint"] = wanted


def _read_versions(parsed: ParsedInfotext, draft: Draft, options: Mapping[str, Any] | None) -> None:
    """What old versions of A1111 did differently and did not write down."""
    match = _A1111_VERSION.match(parsed.parameters.get("Version", ""))
    if match is None or parsed.dialect not in ("a1111", "civitai"):
        return
    if options is not None and not options.get("auto_backcompat", True):
        return
    version = tuple(int(part or 0) for part in match.groups())
    if version < (1, 6, 0, 0) and "[" in parsed.prompt + parsed.negative:
        _override("use_old_scheduling", "true", draft, options, "")
    if version < (1, 6, 0, 0) and parsed.parameters.get("Sampler") in ("DDIM", "PLMS"):
        _override("pad_cond_uncond_v0", "true", draft, options, "")
    if version < (1, 7, 0, 225):
        _override("use_downcasted_alpha_bar", "true", draft, options, "")
    if version < (1, 8, 0, 0) and "Refiner" in parsed.parameters:
        _override("refiner_switch_by_sample_steps", "true", draft, options, "")
