"""The requirement files: reading, overriding, and the stamp that tells whether they are installed.

A pin is one line `name==version` with an optional `; marker`; nothing looser is allowed, so that
every machine gets the same packages.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

REQUIREMENTS = "requirements.txt"
OVERRIDES = "requirements-overrides.txt"
DEV = "requirements-dev.txt"
INSTALLED_FIRST = ("torch", "torchvision", "setuptools")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)\s*(;[^#]*)?$")


def read_pins(path: Path) -> list[str]:
    """The pins of a requirement file, comments removed.

    Raises:
        ValueError: a line is not an exact pin.
    """
    pins = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        if not _PIN.fullmatch(text):
            raise ValueError(f"{path.name}: {line!r} is not of the form name==version")
        pins.append(text)
    return pins


def pin_name(pin: str) -> str:
    """The package's name in the one spelling that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", pin.split("==")[0].strip()).lower()


def overridden(pins: list[str], overrides: list[str]) -> list[str]:
    """``pins`` with every package that ``overrides`` names taken from there."""
    replaced = {pin_name(pin) for pin in overrides}
    return [pin for pin in pins if pin_name(pin) not in replaced] + overrides


def runtime_pins(root: Path) -> list[str]:
    """Everything the program runs with, overrides applied."""
    return overridden(read_pins(root / REQUIREMENTS), read_pins(root / OVERRIDES))


def first_and_rest(pins: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split off the packages whose build depends on the machine or that others need to build."""
    first = {pin_name(pin): pin for pin in pins if pin_name(pin) in INSTALLED_FIRST}
    return first, [pin for pin in pins if pin_name(pin) not in INSTALLED_FIRST]


def stamp(files: list[Path], *facts: str) -> str:
    """A digest of the files' contents and of ``facts``; equal stamps mean nothing to install."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()
