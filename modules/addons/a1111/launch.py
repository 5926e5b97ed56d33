"""A1111's ``launch`` as ``install.py`` files use it: is a package there, run pip, run a program."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from modules.settings.paths import ROOT
from modules.settings.version import VERSION

python = sys.executable
git = os.environ.get("GIT", "git")
index_url = os.environ.get("INDEX_URL", "")
dir_repos = "repositories"
script_path = str(ROOT)
data_path = str(ROOT)
args = Namespace(skip_install=False, data_dir=str(ROOT))


def is_installed(package: str) -> bool:
    """Whether a package can be imported, or is there as a distribution of this name."""
    try:
        importlib.metadata.version(package)
        return True
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def run(
    command: str | list[str],
    desc: str | None = None,
    errdesc: str | None = None,
    custom_env: dict[str, str] | None = None,
    live: bool = True,
) -> str:
    """Run a program and give what it printed; a string is split as a shell does, without one.

    Raises:
        RuntimeError: it failed.
    """
    if desc:
        print(desc)  # noqa: T201 - the installer's output is its log
    words = shlex.split(command, posix=os.name != "nt") if isinstance(command, str) else command
    words = [word.strip('"') for word in words]
    done = subprocess.run(
        words,
        env=custom_env or os.environ,
        stdout=None if live else subprocess.PIPE,
        stderr=None if live else subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{errdesc or 'Error running command'}: {shlex.join(words)}")
    return done.stdout or ""


def run_pip(command: str, desc: str | None = None, live: bool = True) -> str | None:
    """Run pip; Easel's own packages keep their versions (the environment carries constraints).

    Raises:
        RuntimeError: it failed.
    """
    if args.skip_install:
        return None
    words = shlex.split(command, posix=os.name != "nt")
    pip = [python, "-m", "pip", *words, "--prefer-binary", *_index()]
    return run(pip, f"Installing {desc}", f"Couldn't install {desc}", live=live)


def run_python(code: str, desc: str | None = None, errdesc: str | None = None) -> str:
    """Run a line of Python in a process of its own."""
    return run([python, "-c", code], desc, errdesc)


def check_run_python(code: str) -> bool:
    """Whether a line of Python runs without an error."""
    done = subprocess.run([python, "-c", code], capture_output=True, check=False)
    return done.returncode == 0


def check_run(command: str) -> bool:
    """Whether a program ends well."""
    words = shlex.split(command, posix=os.name != "nt")
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def repo_dir(name: str) -> str:
    """Where A1111 keeps repositories that extensions share."""
    return str(Path(script_path, dir_repos, name))


def git_clone(url: str, dir: str, name: str, commithash: str | None = None) -> None:
    """Clone a repository, at one commit if it is given.

    Raises:
        RuntimeError: git failed.
    """
    if not Path(dir).exists():
        run([git, "clone", "--config", "core.filemode=false", "--", url, dir], f"Cloning {name}")
    if commithash is not None:
        run([git, "-C", dir, "checkout", commithash], f"Checking out {name}")


def git_tag() -> str:
    """The program's version."""
    return f"easel-{VERSION}"


def commit_hash() -> str:
    """The program's commit, unknown without git."""
    done = subprocess.run(
        [git, "-C", script_path, "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else "<none>"


def requirements_met(requirements_file: str) -> bool:
    """Whether each ``name==version`` line of a file is installed in that version or newer."""
    from packaging.version import InvalidVersion, Version

    pattern = re.compile(r"\s*([-_a-zA-Z0-9]+)\s*(?:==\s*([-+_.a-zA-Z0-9]+))?\s*")
    for line in Path(requirements_file).read_text(encoding="utf-8").splitlines():
        found = pattern.match(line)
        if not line.strip() or found is None:
            continue
        try:
            installed = importlib.metadata.version(found[1])
            if found[2] and Version(found[2]) > Version(installed):
                return False
        except (importlib.metadata.PackageNotFoundError, InvalidVersion):
            return False
    return True


def prepare_environment() -> None:
    """A1111's own set-up; ours is done by launch.py before anything else runs."""


def _index() -> list[str]:
    return ["--index-url", index_url] if index_url else []
