"""Command-line flags under A1111's names; obsolete ones are accepted with a note."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

SECRET_FLAGS = frozenset(
    {"api_auth", "gradio_auth", "gradio_auth_path", "tls_keyfile", "tls_certfile"}
)
"""Never shown by ``/sdapi/v1/cmd-flags``, logs or reports."""


@dataclass(frozen=True)
class Flags:
    """The parsed command line. Names are A1111's ``cmd_opts`` names."""

    # where things are
    data_dir: str | None = None
    models_dir: str | None = None
    ckpt: str | None = None
    ckpt_dir: str | None = None
    vae_dir: str | None = None
    vae_path: str | None = None
    lora_dir: str | None = None
    embeddings_dir: str | None = None
    hypernetwork_dir: str | None = None
    localizations_dir: str | None = None
    esrgan_models_path: str | None = None
    realesrgan_models_path: str | None = None
    gfpgan_models_path: str | None = None
    codeformer_models_path: str | None = None
    styles_file: str | None = None
    ui_settings_file: str = "config.json"
    ui_config_file: str = "ui-config.json"

    # the server
    port: int = 7860
    listen: bool = False
    server_name: str | None = None
    share: bool = False
    subpath: str | None = None
    api_auth: str | None = field(default=None, repr=False)
    gradio_auth: str | None = field(default=None, repr=False)
    gradio_auth_path: str | None = None
    cors_allow_origins: str | None = None
    cors_allow_origins_regex: str | None = None
    tls_keyfile: str | None = None
    tls_certfile: str | None = None
    api: bool = True
    api_log: bool = False
    api_server_stop: bool = False
    nowebui: bool = False
    autolaunch: bool = False
    no_browser: bool = False
    timeout_keep_alive: int = 30
    theme: str | None = None
    loglevel: str = "INFO"

    # the engine
    device_id: str | None = None
    use_cpu: tuple[str, ...] = ()
    lowvram: bool = False
    medvram: bool = False
    medvram_sdxl: bool = False
    no_half: bool = False
    no_half_vae: bool = False
    precision: str = "autocast"
    upcast_sampling: bool = False
    disable_nan_check: bool = False
    opt_channelslast: bool = False
    skip_load_model_at_start: bool = False
    no_hashing: bool = False
    ray: str | None = None

    # behaviour
    safe_mode: bool = False
    test_mode: bool = False
    freeze_settings: bool = False
    hide_ui_dir_config: bool = False
    allow_code: bool = False
    disable_all_extensions: bool = False
    disable_extra_extensions: bool = False
    enable_insecure_extension_access: bool = False
    no_prompt_history: bool = False
    filenames_max_length: int = 128
    skip_install: bool = False

    notes: tuple[str, ...] = field(default=())
    """One sentence per flag that was accepted but has no effect here."""

    def as_cmd_flags(self) -> dict[str, Any]:
        """All flags as ``/sdapi/v1/cmd-flags`` answers them, secrets left out."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in SECRET_FLAGS}
        del shown["notes"]
        shown["use_cpu"] = list(self.use_cpu)
        return shown


OBSOLETE = {
    "xformers": 0,
    "force-enable-xformers": 0,
    "xformers-flash-attention": 0,
    "opt-split-attention": 0,
    "opt-sub-quad-attention": 0,
    "opt-split-attention-invokeai": 0,
    "opt-split-attention-v1": 0,
    "opt-sdp-attention": 0,
    "opt-sdp-no-mem-attention": 0,
    "disable-opt-split-attention": 0,
    "sub-quad-q-chunk-size": 1,
    "sub-quad-kv-chunk-size": 1,
    "sub-quad-chunk-threshold": 1,
    "update-all-extensions": 0,
    "skip-python-version-check": 0,
    "skip-torch-cuda-test": 0,
    "reinstall-xformers": 0,
    "update-check": 0,
    "log-startup": 0,
    "skip-prepare-environment": 0,
    "dump-sysinfo": 0,
    "do-not-download-clip": 0,
    "config": 1,
    "gfpgan-dir": 1,
    "gfpgan-model": 1,
    "no-progressbar-hiding": 0,
    "max-batch-count": 1,
    "textual-inversion-templates-dir": 1,
    "lowram": 0,
    "always-batch-cond-uncond": 0,
    "unload-gfpgan": 0,
    "ngrok": 1,
    "ngrok-region": 1,
    "ngrok-options": 1,
    "bsrgan-models-path": 1,
    "dat-models-path": 1,
    "clip-models-path": 1,
    "deepdanbooru": 0,
    "use-ipex": 0,
    "disable-model-loading-ram-optimization": 0,
    "show-negative-prompt": 0,
    "freeze-settings-in-sections": 1,
    "freeze-specific-settings": 1,
    "gradio-debug": 0,
    "gradio-img2img-tool": 1,
    "gradio-inpaint-tool": 1,
    "gradio-allowed-path": 1,
    "use-textbox-seed": 0,
    "disable-console-progressbars": 0,
    "enable-console-prompts": 0,
    "disable-safe-unpickle": 0,
    "ui-debug-mode": 0,
    "administrator": 0,
    "disable-tls-verify": 0,
    "gradio-queue": 0,
    "no-gradio-queue": 0,
    "skip-version-check": 0,
    "no-download-sd-model": 0,
    "add-stop-route": 0,
    "unix-filenames-sanitization": 0,
    "reinstall-torch": 0,
    # Forge's
    "cuda-malloc": 0,
    "cuda-stream": 0,
    "pin-shared-memory": 0,
    "always-gpu": 0,
    "always-high-vram": 0,
    "always-normal-vram": 0,
    "always-low-vram": 0,
    "always-no-vram": 0,
    "always-cpu": 0,
    "attention-split": 0,
    "attention-quad": 0,
    "attention-pytorch": 0,
    "disable-xformers": 0,
    "directml": 1,
    "pytorch-deterministic": 0,
}
"""A1111's and Forge's flags without effect here, with the number of values each takes."""

NOT_YET = (
    "disable_nan_check",
    "opt_channelslast",
    "hide_ui_dir_config",
    "allow_code",
    "filenames_max_length",
)
"""Flags that are parsed, but whose part is not built."""

REASONS = {
    "disable-safe-unpickle": "pickle files are never run here",
    "ngrok": "tunnels are not part of this program",
    "config": "the model's family is told from its tensors",
    "no-download-sd-model": "nothing is downloaded unless asked for",
}


def parse_flags(arguments: list[str]) -> Flags:
    """Parse a command line.

    Raises:
        SystemExit: an unknown flag or a bad value; argparse has printed the reason.
    """
    parsed = vars(_parser().parse_args(arguments))
    notes = [_note(name) for name in OBSOLETE if parsed.pop("obsolete_" + name, None)]
    notes += [_note_not_yet(name) for name in NOT_YET if parsed[name] != getattr(Flags, name)]
    parsed["use_cpu"] = tuple(parsed["use_cpu"] or ())
    parsed["api"] = True
    return Flags(**parsed, notes=tuple(notes))


def _note(name: str) -> str:
    reason = REASONS.get(name, "it is not needed here")
    return f"--{name} is accepted but has no effect: {reason}."


def _note_not_yet(name: str) -> str:
    return f"--{name.replace('_', '-')} is accepted; it has no effect yet."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py", description="Easel, a local Stable Diffusion web UI."
    )
    _add_path_flags(parser.add_argument_group("where things are"))
    _add_server_flags(parser.add_argument_group("server"))
    _add_engine_flags(parser.add_argument_group("engine"))
    _add_behaviour_flags(parser.add_argument_group("behaviour"))
    for name, values in OBSOLETE.items():
        action: dict[str, Any] = (
            {"nargs": "?", "const": "on"} if values else {"action": "store_true"}
        )
        parser.add_argument(f"--{name}", dest="obsolete_" + name, help=argparse.SUPPRESS, **action)
    return parser


def _add_path_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data-dir", metavar="DIR", help="config, outputs, models, extensions below DIR"
    )
    group.add_argument("--models-dir", metavar="DIR", help="models below DIR")
    group.add_argument("--ckpt", metavar="FILE", help="checkpoint to load first")
    group.add_argument("--ckpt-dir", metavar="DIR", help="one more folder with checkpoints")
    group.add_argument("--vae-dir", metavar="DIR", help="folder with VAE files")
    group.add_argument("--vae-path", metavar="FILE", help="VAE to use where sd_vae is Automatic")
    group.add_argument("--lora-dir", metavar="DIR")
    group.add_argument("--embeddings-dir", metavar="DIR")
    group.add_argument("--hypernetwork-dir", metavar="DIR")
    group.add_argument("--localizations-dir", metavar="DIR")
    group.add_argument("--esrgan-models-path", metavar="DIR")
    group.add_argument("--realesrgan-models-path", metavar="DIR")
    group.add_argument("--gfpgan-models-path", metavar="DIR")
    group.add_argument("--codeformer-models-path", metavar="DIR")
    group.add_argument("--styles-file", metavar="FILE")
    group.add_argument("--ui-settings-file", metavar="FILE", default="config.json")
    group.add_argument("--ui-config-file", metavar="FILE", default="ui-config.json")


def _add_server_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--port", type=_port, default=7860, help="default 7860")
    group.add_argument(
        "--listen", action="store_true", help="serve other machines too (needs a login)"
    )
    group.add_argument("--server-name", metavar="ADDRESS", help="address to bind")
    group.add_argument("--share", action="store_true", help="refused: there is no public tunnel")
    group.add_argument("--subpath", metavar="PATH")
    group.add_argument("--api-auth", metavar="USER:PASSWORD[,…]")
    group.add_argument("--gradio-auth", metavar="USER:PASSWORD[,…]")
    group.add_argument("--gradio-auth-path", metavar="FILE")
    group.add_argument("--cors-allow-origins", metavar="ORIGIN[,…]")
    group.add_argument("--cors-allow-origins-regex", metavar="REGEX")
    group.add_argument("--tls-keyfile", metavar="FILE")
    group.add_argument("--tls-certfile", metavar="FILE")
    group.add_argument("--api", action="store_true", help="the API is always on")
    group.add_argument("--api-log", action="store_true", help="log every API call")
    group.add_argument("--api-server-stop", action="store_true", help="let API clients stop it")
    group.add_argument("--nowebui", action="store_true", help="API only")
    group.add_argument("--autolaunch", action="store_true", help="open the browser")
    group.add_argument("--no-browser", action="store_true", help="never open the browser")
    group.add_argument("--timeout-keep-alive", type=int, default=30)
    group.add_argument("--theme", choices=["dark", "light"])
    group.add_argument("--loglevel", default="INFO")


def _add_engine_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device-id", metavar="N")
    group.add_argument(
        "--use-cpu", nargs="+", metavar="PART", help="all, or parts to keep on the CPU"
    )
    group.add_argument(
        "--lowvram", action="store_true", help="weights come to the device layer by layer"
    )
    group.add_argument(
        "--medvram", action="store_true", help="only the network that works is on the device"
    )
    group.add_argument("--medvram-sdxl", action="store_true", help="--medvram for SDXL alone")
    group.add_argument("--no-half", action="store_true", help="compute in 32 bits")
    group.add_argument("--no-half-vae", action="store_true")
    group.add_argument("--precision", choices=["autocast", "full", "half"], default="autocast")
    group.add_argument(
        "--upcast-sampling", action="store_true", help="always so: samplers compute in 32 bits"
    )
    group.add_argument("--disable-nan-check", action="store_true")
    group.add_argument("--opt-channelslast", action="store_true")
    group.add_argument("--skip-load-model-at-start", action="store_true")
    group.add_argument("--no-hashing", action="store_true", help="never hash checkpoints")
    group.add_argument("--ray", metavar="ADDRESS", help="refused: there is no cluster engine yet")


def _add_behaviour_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--safe-mode", action="store_true", help="default settings; changes are not kept"
    )
    group.add_argument("--test-mode", action="store_true", help="small limits, for automatic tests")
    group.add_argument("--freeze-settings", action="store_true")
    group.add_argument("--hide-ui-dir-config", action="store_true")
    group.add_argument("--allow-code", action="store_true")
    group.add_argument("--disable-all-extensions", action="store_true")
    group.add_argument("--disable-extra-extensions", action="store_true")
    group.add_argument("--enable-insecure-extension-access", action="store_true")
    group.add_argument("--no-prompt-history", action="store_true")
    group.add_argument("--filenames-max-length", type=int, default=128)
    group.add_argument("--skip-install", action="store_true")


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"--port: {text!r} is not a port number from 0 to 65535")
    return port
