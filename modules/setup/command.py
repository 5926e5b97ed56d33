"""Which command was asked for, and handing over to it inside the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from modules.setup import browser, checks
from modules.setup.environment import Environment, prepare
from modules.setup.errors import SetupError, explain_os_error

ROOT = Path(__file__).resolve().parents[2]

HELP = """\
usage: python3 launch.py [command] [options]

commands
  serve     start the web page and the API (what happens without a command)
  txt2img   make pictures from a prompt without the page
  img2img   change pictures by a prompt, wholly or under a mask
  outpaint  grow pictures beyond their borders
  extras    upscale pictures and restore faces
  merge     make one checkpoint of two or three
  convert   write a model in another form: .ckpt to .safetensors, a diffusers folder
  download  fetch a model file into its folder
  verify    read the Content Credentials and the watermark of pictures
  strip     write pictures without their metadata
  replay    make pictures again and compare them, pixel by pixel
  extension look at, install, update, switch and remove extensions
  selftest  try every capability once on tiny models made for it
  test      run the tests, with --full the long ones too; takes pytest's arguments
  bench     measure; takes names of groups and --json
  setup     make the environment and stop
  help      this text

`python3 launch.py serve --help` and `python3 launch.py txt2img --help` list their options, and so
do the other commands that make pictures or models.
For every command: --skip-install uses the environment as it is, --reinstall-torch installs the
build of torch that fits the hardware once more (after a new graphics card, say).
TORCH_COMMAND or TORCH_INDEX_URL in the environment choose another build of torch.
"""


def run(arguments: list[str]) -> int:
    """Do what the command line says; the exit code."""
    command, rest = split_command(arguments)
    try:
        return COMMANDS[command](rest)
    except SetupError as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    except OSError as reason:
        sys.stderr.write(f"{explain_os_error(reason)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 130


def split_command(arguments: list[str]) -> tuple[str, list[str]]:
    """The command and its own arguments; flags without a command mean `serve`.

    Raises:
        SystemExit: the first word is no command.
    """
    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] in (["-h"], ["--help"]):
            return "help", []
        return "serve", arguments
    if arguments[0] not in COMMANDS:
        sys.stderr.write(
            f"There is no command {arguments[0]!r}; there are: {', '.join(COMMANDS)}.\n"
        )
        raise SystemExit(2)
    return arguments[0], arguments[1:]


def _help(_: list[str]) -> int:
    sys.stdout.write(HELP)
    return 0


def _serve(arguments: list[str]) -> int:
    from modules.settings.flags import parse_flags

    own, rest = take_own_flags(arguments)
    flags = parse_flags(rest)  # a mistyped flag should not wait for an installation
    host = flags.server_name or ("0.0.0.0" if flags.listen else "127.0.0.1")
    checks.check_port(host, flags.port)
    return _inside(own, [str(ROOT / "webui.py"), *rest])


def _setup(arguments: list[str]) -> int:
    own, rest = take_own_flags(arguments)
    if rest:
        raise SetupError(f"`launch.py setup` knows no {rest[0]}; see `launch.py help`.")
    environment = _environment(own)
    sys.stdout.write(f"The environment {environment.folder} is ready.\n")
    return 0


def _test(arguments: list[str]) -> int:
    own, rest = take_own_flags(arguments)
    environment = _environment(own, for_tests=True)
    variables = {}
    chromium = browser.provide(environment.python)
    if chromium:
        variables[browser.VARIABLE] = chromium
    else:
        sys.stdout.write(f"{'=' * 20} {browser.NOTHING_FOUND} {'=' * 20}\n")
    os.chdir(ROOT)
    # One thread per worker: small pictures gain nothing from more, which wait for each other.
    variables.setdefault("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    return _hand_over(environment, ["-m", "pytest", *side_by_side(rest), *rest], variables)


def side_by_side(arguments: list[str]) -> list[str]:
    """Arguments that spread the whole suite over the cores; none when a part of it is named.

    Files stay together: their tests share servers and models. Every worker has its own server and
    browser, so that more than four would only fill the memory.
    """
    chosen = any(word in ("-n", "-s", "--pdb") or "/" in word for word in arguments)
    workers = min(os.cpu_count() or 1, 4)
    return [] if chosen or workers < 2 else ["-n", str(workers), "--dist", "loadfile"]


def _bench(arguments: list[str]) -> int:
    own, rest = take_own_flags(arguments)
    return _inside(own, ["-m", "benchmarks", *rest])


def _pictures(command: str) -> Callable[[list[str]], int]:
    """One of the commands of modules/cli."""

    def run_inside(arguments: list[str]) -> int:
        own, rest = take_own_flags(arguments)
        return _inside(own, ["-m", "modules.cli", command, *rest])

    return run_inside


def _extension(arguments: list[str]) -> int:
    own, rest = take_own_flags(arguments)
    return _inside(own, ["-m", "modules.addons.manager", *rest])


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "serve": _serve,
    "txt2img": _pictures("txt2img"),
    "img2img": _pictures("img2img"),
    "outpaint": _pictures("outpaint"),
    "extras": _pictures("extras"),
    "merge": _pictures("merge"),
    "convert": _pictures("convert"),
    "download": _pictures("download"),
    "verify": _pictures("verify"),
    "strip": _pictures("strip"),
    "replay": _pictures("replay"),
    "extension": _extension,
    "selftest": _pictures("selftest"),
    "test": _test,
    "bench": _bench,
    "setup": _setup,
    "help": _help,
}

OWN_FLAGS = ("--skip-install", "--reinstall-torch")


def take_own_flags(arguments: list[str]) -> tuple[set[str], list[str]]:
    """Split off the flags that set-up itself understands."""
    own = {word for word in arguments if word in OWN_FLAGS}
    return own, [word for word in arguments if word not in OWN_FLAGS]


def _environment(own: set[str], *, for_tests: bool = False) -> Environment:
    environment = Environment(ROOT)
    if "--skip-install" not in own:
        prepare(environment, for_tests=for_tests, reinstall_torch="--reinstall-torch" in own)
    return environment


def _inside(own: set[str], arguments: list[str]) -> int:
    return _hand_over(_environment(own), arguments, {})


def _hand_over(environment: Environment, arguments: list[str], variables: dict[str, str]) -> int:
    """Become the environment's Python where the system can do that, else run it and wait.

    With --skip-install and no environment the running Python is used as it is. The working folder
    stays the caller's, because paths on the command line are meant from there.
    """
    python = str(environment.python) if environment.version() else sys.executable
    command = [python, *arguments]
    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    surroundings = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(search)}
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(python, command, surroundings)
    try:
        return subprocess.call(command, env=surroundings)
    except KeyboardInterrupt:
        return 130
