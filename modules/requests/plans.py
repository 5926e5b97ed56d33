"""Scripts that make one job of many units: what such a script is given, yields and leaves behind.

A script is a generator. It yields a :class:`Batch` of units, gets the results of exactly these
units, yields further ones, and at the end returns what it made of them (grids, videos, tables).
It has to be deterministic: after a restart the generator runs again from its beginning and is fed
the stored results of the units that are done, so nothing is painted twice. Whatever is random comes
from the request, whose seeds are fixed before the script begins.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.scripts import ScriptArgument

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Unit:
    """One ordinary job's worth of pictures."""

    request: GenerationRequest | ExtrasRequest
    """Without scripts; its seeds are fixed."""
    label: str = ""
    """What this unit is, for people: ``Steps: 20, CFG Scale: 7``."""
    result: bool = True
    """Its pictures are results; False: a step on the way, neither saved nor shown."""


@dataclass(frozen=True)
class Batch:
    """Units that may be painted in any order, and how many more are expected after them."""

    units: tuple[Unit, ...]
    more: int = 0


class UnitPicture(Protocol):
    """A finished picture of a unit."""

    @property
    def infotext(self) -> str: ...

    @property
    def seed(self) -> int: ...

    def image(self) -> Image.Image:
        """Its pixels, read when they are asked for."""
        ...


@dataclass(frozen=True)
class UnitResult:
    """What became of a unit; without pictures when it was not painted, with the reason if known."""

    pictures: tuple[UnitPicture, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a script makes of the results: a picture or a file, saved beside them."""

    name: str
    """Short name for the file: ``xyz_grid``."""
    image: Image.Image | None = None
    data: bytes = b""
    suffix: str = ""
    """Of ``data``: ``.csv``, ``.mp4``; ``.webp`` and ``.gif`` are shown as pictures."""
    size: tuple[int, int] = (0, 0)
    """Width and height of a picture in ``data``."""
    infotext: str = ""
    like: UnitPicture | None = None
    """It is a result like this picture, saved among the pictures instead of the grids."""


Plan = Generator[Batch, Sequence[UnitResult], Sequence[Outcome]]


@dataclass(frozen=True)
class Lists:
    """Names that a script's arguments may choose from, as this installation has them."""

    checkpoints: tuple[str, ...] = ()
    vaes: tuple[str, ...] = ()
    upscalers: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tools:
    """What a script may use of the program."""

    options: Mapping[str, Any] = field(default_factory=dict)
    lists: Lists = field(default_factory=Lists)
    find_checkpoint: Callable[[str], str] = lambda name: name
    """The title of the checkpoint that a name means.

    Raises ``RequestError`` for an unknown one."""
    keep_picture: Callable[[Image.Image], str] = lambda image: ""
    """Stores a picture for a request to come; gives its reference for ``init_images``."""
    read_picture: Callable[[str], Image.Image] | None = None
    """The picture behind a reference of the request's."""
    interrogate: Callable[[Image.Image, str], str] | None = None
    """A prompt for a picture, by ``clip`` or ``deepbooru``; None where it cannot be done."""
    seed_was_random: bool = False
    """The seed that the request has now was drawn for it: -1 was asked for."""

    def draw_seed(self, request: GenerationRequest, *place: object) -> int:
        """A random seed for a place in the plan, the same whenever the plan is made again."""
        return random.Random(f"{request.seed}/{place}").randrange(4294967294)


PlanMaker = Callable[[GenerationRequest, list[Any], Tools], Plan]


@dataclass(frozen=True)
class PlannedScript:
    """One selectable script that comes with Easel."""

    title: str
    arguments: tuple[ScriptArgument, ...]
    """The controls in A1111's order: ``script_args`` of the API."""
    plan: PlanMaker
    """Starts the generator.

    Raises ``RequestError`` at its first step when the arguments do not fit."""
    kinds: tuple[str, ...] = ("txt2img", "img2img")
    details: Callable[[str, Tools], dict[str, Any]] = lambda kind, tools: {}
    """What the page needs beside the arguments, by tab: lists to choose values from."""

    @property
    def name(self) -> str:
        """The title in lower case, as the API lists it."""
        return self.title.lower()

    def filled(self, given: Sequence[Any]) -> list[Any]:
        """The arguments with the controls' own values for those left out."""
        defaults = [argument.value for argument in self.arguments]
        return [*given, *defaults[len(given) :]][: len(defaults)]
