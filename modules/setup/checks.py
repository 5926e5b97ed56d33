"""Questions asked before anything is changed; each answers with nothing or with one sentence."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from modules.setup.errors import SetupError


def check_writable(folder: Path) -> None:
    """Raises SetupError when no file can be created in ``folder``."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as reason:
        raise SetupError(
            f"Easel cannot write into its folder {folder} ({reason.strerror}): "
            "make it writable for you, or move Easel to a folder of your own."
        ) from reason


def check_disk_space(folder: Path, needed_gb: float) -> None:
    """Raises SetupError when fewer than ``needed_gb`` (10^9 bytes) are free where ``folder`` is."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < needed_gb:
        raise SetupError(
            f"Installing needs about {needed_gb:.0f} GB and the disk of {folder} "
            f"has {free_gb:.1f} GB free: make room and run launch.py again."
        )


def check_venv_available() -> None:
    """Raises SetupError when this Python lacks venv or ensurepip, as Debian's does at first."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        package = f"python3.{sys.version_info.minor}-venv"
        raise SetupError(
            f"This Python has no {' and no '.join(missing)} module, so no environment can be made: "
            f"install it (Debian and Ubuntu: `sudo apt install {package}`) and run launch.py again."
        )


def check_port(host: str, port: int) -> None:
    """Raises SetupError when the server could not listen on ``host``:``port``."""
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            # As the server does it: a port whose last connections only wait to expire is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as reason:
            raise SetupError(port_sentence(host, port, reason)) from reason


def port_sentence(host: str, port: int, reason: OSError) -> str:
    """Why nothing can listen on ``host``:``port``, and what to do about it."""
    if reason.errno == errno.EADDRINUSE:
        if _easel_answers(host, port):
            return (
                f"Easel is running already on port {port}: open http://127.0.0.1:{port} in the "
                f"browser, or start a second one with --port {port + 1}."
            )
        return (
            f"Port {port} is in use by another program: stop that, "
            f"or choose another port with --port {port + 1 if port < 65535 else port - 1}."
        )
    if reason.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} is reserved by the system: choose one above 1023, as in --port 7860."
    return (
        f"The address {host} cannot be listened on ({reason.strerror}): check --server-name, "
        "or leave it out."
    )


def _easel_answers(host: str, port: int) -> bool:
    local = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    try:
        with urllib.request.urlopen(f"http://{local}:{port}/internal/ping", timeout=1) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError, ValueError):
        return False
