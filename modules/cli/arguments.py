"""The flags of CompVis's `scripts/txt2img.py`, and ours beside them; other commands add theirs."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from modules.requests.generation import GenerationRequest

FROM_SIDECAR = ("width", "height", "steps", "cfg_scale", "sampler_name", "scheduler")
"""Request fields that a checkpoint's own suggestions fill when no flag does."""
FIXED_BY_THE_MODEL = {"C": 4, "f": 8}


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py txt2img`; flags it does not know may belong to the server."""
    parser = parser_of(
        "txt2img", "Make pictures from a prompt. Flags are those of CompVis's txt2img.py; "
    )
    add_generation(parser)
    return parser


def parser_of(command: str, description: str) -> argparse.ArgumentParser:
    """An empty parser of one command, with what all of them say about themselves."""
    return argparse.ArgumentParser(
        prog=f"launch.py {command}",
        allow_abbrev=False,
        description=f"{description}--data-dir, --models-dir, --ckpt-dir, --vae-path, --no-half, "
        "--precision and the other engine flags of `launch.py serve` work too. The paths of the "
        "saved pictures go to stdout.",
    )


def add_generation(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that paints: prompt, sampling, output."""
    _add_prompt(parser.add_argument_group("what"))
    _add_picture(parser.add_argument_group("how"))
    _add_script(parser.add_argument_group("script"))
    _add_output(parser.add_argument_group("where to"))
    _add_accepted(parser)


def _add_prompt(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--prompt", default="", help="what to paint")
    group.add_argument(
        "--negative_prompt", "--negative-prompt", dest="negative_prompt", default="", metavar="TEXT"
    )
    group.add_argument("--from-file", dest="from_file", type=Path, help="one prompt per line")
    group.add_argument("--ckpt", metavar="NAME", help="checkpoint: a path, title, name or hash")
    group.add_argument("--vae", metavar="NAME", help="VAE by its file name")


def _add_picture(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--H", dest="height", type=int, metavar="PIXELS", help="height")
    group.add_argument("--W", dest="width", type=int, metavar="PIXELS", help="width")
    group.add_argument("--steps", "--ddim_steps", dest="steps", type=int)
    group.add_argument("--scale", dest="cfg_scale", type=float, help="guidance scale")
    group.add_argument("--seed", type=int, default=-1, help="-1 (default) draws one")
    group.add_argument("--sampler", dest="sampler_name", metavar="NAME", help='as "DPM++ 2M"')
    group.add_argument("--scheduler", metavar="NAME", help='schedule type, as "Karras"')
    group.add_argument("--plms", action="store_true", help="sampler PLMS")
    group.add_argument("--dpm_solver", action="store_true", help="sampler DPM++ 2M")
    group.add_argument("--ddim_eta", type=float, metavar="ETA", help="0 is deterministic DDIM")
    group.add_argument(
        "--n_samples", type=int, default=1, metavar="N", help="batch size (default 1)"
    )
    group.add_argument("--n_iter", type=int, default=1, metavar="N", help="batches (default 1)")
    group.add_argument(
        "--fixed_code", action="store_true", help="start every batch from the same noise"
    )
    group.add_argument("--clip_skip", "--clip-skip", dest="clip_skip", type=int, metavar="N")


def _add_script(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--script", metavar="NAME", help='as "X/Y/Z plot" or "prompt matrix"')
    group.add_argument(
        "--script-args",
        dest="script_args",
        metavar="JSON",
        help="the script's values in the API's order, as a JSON list; those left out are its own",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--outdir", type=Path, help="folder for pictures and grids")
    group.add_argument("--skip_grid", action="store_true", help="no grid of several pictures")
    group.add_argument("--skip_save", action="store_true", help="no single pictures")
    group.add_argument("--n_rows", type=int, default=0, metavar="N", help="pictures in a grid row")
    group.add_argument("--quiet", action="store_true", help="no progress line")


def _add_accepted(parser: argparse.ArgumentParser) -> None:
    """Flags whose value the model itself decides; taken when they agree with it."""
    parser.add_argument("--C", type=int, default=4, help=argparse.SUPPRESS)
    parser.add_argument("--f", type=int, default=8, help=argparse.SUPPRESS)
    parser.add_argument("--laion400m", action="store_true", help=argparse.SUPPRESS)


def prompts_of(asked: argparse.Namespace) -> list[str]:
    """The prompts to paint: the file's lines that are not empty, or the one given.

    Raises:
        ValueError: the file cannot be read or holds no prompt.
    """
    if asked.from_file is None:
        return [asked.prompt]
    try:
        lines = asked.from_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as reason:
        raise ValueError(f"--from-file: {asked.from_file} cannot be read ({reason})") from reason
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise ValueError(f"--from-file: {asked.from_file} holds no prompt")
    return prompts


def check(asked: argparse.Namespace) -> None:
    """Refuse what contradicts itself or the model.

    Raises:
        ValueError: names the flag, its value and what is allowed.
    """
    for name, fixed in FIXED_BY_THE_MODEL.items():
        if getattr(asked, name) != fixed:
            raise ValueError(f"--{name}: {getattr(asked, name)} is not possible; allowed: {fixed}")
    if asked.laion400m:
        raise ValueError("--laion400m: that model is not supported; name one with --ckpt")
    if sum((asked.plms, asked.dpm_solver, asked.sampler_name is not None)) > 1:
        raise ValueError("--plms, --dpm_solver and --sampler exclude each other")
    if asked.script_args and not asked.script:
        raise ValueError("--script-args: which --script is meant?")
    if asked.skip_save and asked.skip_grid:
        raise ValueError("--skip_save and --skip_grid together would save nothing")


def to_requests(asked: argparse.Namespace, suggested: dict[str, Any]) -> list[GenerationRequest]:
    """One request per prompt, or per prompt and batch with --fixed_code.

    ``suggested`` are request fields from the checkpoint's sidecar; flags win over them.

    Raises:
        pydantic.ValidationError: a value is out of range.
    """
    fields = {
        **GenerationRequest.UI_DEFAULTS,
        **suggestions(suggested),
        **given(asked),
    }
    repeats = asked.n_iter if asked.fixed_code else 1
    return [
        GenerationRequest(**fields, prompt=prompt)
        for prompt in prompts_of(asked)
        for _ in range(repeats)
    ]


def suggestions(suggested: dict[str, Any]) -> dict[str, Any]:
    """Of a checkpoint's sidecar, what a command line takes."""
    return {key: value for key, value in suggested.items() if key in FROM_SIDECAR}


def given(asked: argparse.Namespace) -> dict[str, Any]:
    """The request's fields that flags of :func:`add_generation` say."""
    fields = {
        "negative_prompt": asked.negative_prompt,
        "seed": asked.seed,
        "batch_size": asked.n_samples,
        "n_iter": 1 if asked.fixed_code else asked.n_iter,
        "do_not_save_samples": asked.skip_save,
        "do_not_save_grid": asked.skip_grid,
        "override_settings": _overrides(asked),
    }
    optional = {
        "width": asked.width,
        "height": asked.height,
        "steps": asked.steps,
        "cfg_scale": asked.cfg_scale,
        "sampler_name": _sampler(asked),
        "scheduler": asked.scheduler,
        "eta": asked.ddim_eta,
    }
    if asked.script:
        optional |= {"script_name": asked.script, "script_args": _script_args(asked.script_args)}
    return fields | {key: value for key, value in optional.items() if value is not None}


def _script_args(text: str | None) -> list[Any]:
    """
    Raises:
        ValueError: the text is no JSON list.
    """
    if text is None:
        return []
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list):
        raise ValueError(f'--script-args: {text[:80]!r} is no JSON list, as \'["Steps", "10-30"]\'')
    return values


def _sampler(asked: argparse.Namespace) -> str | None:
    if asked.plms:
        return "PLMS"
    if asked.dpm_solver:
        return "DPM++ 2M"
    if asked.sampler_name is None and asked.ddim_eta is not None:
        return "DDIM"
    return asked.sampler_name


def _overrides(asked: argparse.Namespace) -> dict[str, Any]:
    """Settings for these pictures alone."""
    settings: dict[str, Any] = {"live_previews_enable": False}
    if asked.outdir is not None:
        folder = str(asked.outdir.expanduser().resolve())
        settings |= {"outdir_samples": folder, "outdir_grids": folder}
        settings |= {"outdir_img2img_samples": folder, "outdir_img2img_grids": folder}
        settings |= {"save_to_dirs": False, "grid_save_to_dirs": False}
    if asked.clip_skip is not None:
        settings["CLIP_stop_at_last_layers"] = asked.clip_skip
    if asked.vae is not None:
        settings["sd_vae"] = asked.vae
    if asked.n_rows > 0:
        # CompVis's number is pictures per row, the setting's is rows.
        settings["n_rows"] = math.ceil(asked.n_samples * asked.n_iter / asked.n_rows)
    return settings
