"""The shape of a setting: one frozen row with all that the page, the API and the docs need."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("bool", "int", "float", "text", "choice", "multi", "color", "label")


class OptionError(ValueError):
    """A value that a setting does not take.

    Attributes:
        key: the setting's key.
        sentence: what was given and what is allowed.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        shown = repr(value) if len(repr(value)) <= 120 else repr(value)[:119] + "…"
        self.sentence = f"{key}: {shown} is not possible; allowed: {allowed}."
        super().__init__(self.sentence)


@dataclass(frozen=True)
class Option:
    """One setting. ``key`` and ``default`` are A1111's where A1111 has the setting."""

    key: str
    label: str
    """English label; the translations are keyed by ``option.<key>``."""
    group: str
    """Section of the Settings page."""
    default: Any
    kind: str
    choices: tuple[str, ...] = ()
    """Fixed choices of ``choice`` and ``multi``."""
    dynamic: str = ""
    """Name of a list that only the running program knows ("checkpoints", "vaes" …)."""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    help: str = ""
    infotext: str = ""
    """Infotext key that carries the setting, if any."""
    hidden: bool = False
    """Kept for the API and scripts, not shown on the page."""
    restart: bool = False
    """Takes effect after a restart."""

    def check(self, value: Any) -> Any:
        """The value as stored: converted as laxly as A1111's clients need, checked against the row.

        Raises:
            OptionError: the value does not fit.
        """
        if value is None:
            return self._check_none()
        return _CHECKS[self.kind](self, value)

    def _check_none(self) -> Any:
        if self.default is None or self.kind in ("text", "choice", "label"):
            return self.default
        raise OptionError(self.key, None, self.allowed())

    def allowed(self) -> str:
        """What the setting takes, in words."""
        if self.kind == "bool":
            return "true or false"
        if self.kind in ("int", "float"):
            name = "a whole number" if self.kind == "int" else "a number"
            if self.minimum is None and self.maximum is None:
                return name
            return f"{name} from {self.minimum:g} to {self.maximum:g}"
        if self.kind in ("choice", "multi") and self.choices:
            one_of = "one of " if self.kind == "choice" else "a list of "
            return one_of + ", ".join(self.choices)
        if self.kind == "multi":
            return "a list of names"
        if self.kind == "color":
            return "a colour like #1a2b3c"
        return "text of at most 4096 characters"


def _check_bool(option: Option, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise OptionError(option.key, value, option.allowed())


def _check_number(option: Option, value: Any) -> int | float:
    number = _finite(value)
    if number is None:
        raise OptionError(option.key, value, option.allowed())
    if option.kind == "int":
        if number != int(number):
            raise OptionError(option.key, value, option.allowed())
        number = int(number)
    below = option.minimum is not None and number < option.minimum
    above = option.maximum is not None and number > option.maximum
    if below or above:
        raise OptionError(option.key, value, option.allowed())
    return number


def _finite(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _check_text(option: Option, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > 4096:
        raise OptionError(option.key, value, option.allowed())
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise OptionError(option.key, ascii(value), "text without lone surrogates") from None
    if "\x00" in value:
        raise OptionError(option.key, value, "text without NUL characters")
    return value


def _check_choice(option: Option, value: Any) -> str:
    text = _check_text(option, value)
    if option.choices and text not in option.choices:
        raise OptionError(option.key, value, option.allowed())
    return text


def _check_multi(option: Option, value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or len(value) > 1000:
        raise OptionError(option.key, value, option.allowed())
    return [_check_choice(option, item) for item in value]


def _check_color(option: Option, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise OptionError(option.key, value, option.allowed())
    return value.lower()


_CHECKS: dict[str, Callable[[Option, Any], Any]] = {
    "bool": _check_bool,
    "int": _check_number,
    "float": _check_number,
    "text": _check_text,
    "label": _check_text,
    "choice": _check_choice,
    "multi": _check_multi,
    "color": _check_color,
}


class OptionTable(Mapping[str, Option]):
    """All settings in page order."""

    def __init__(self, options: Iterable[Option]) -> None:
        self._options: dict[str, Option] = {}
        for option in options:
            self.add(option)

    def add(self, option: Option) -> None:
        """Append one setting, as extensions do.

        Raises:
            ValueError: the key is taken, or the default does not pass the row's own check.
        """
        if option.key in self._options:
            raise ValueError(f"setting {option.key!r} is defined twice")
        if option.kind not in KINDS:
            raise ValueError(f"setting {option.key!r} has the unknown kind {option.kind!r}")
        option.check(option.default)
        self._options[option.key] = option

    def __getitem__(self, key: str) -> Option:
        return self._options[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def groups(self) -> dict[str, list[Option]]:
        """Visible settings by section, in page order."""
        grouped: dict[str, list[Option]] = {}
        for option in self._options.values():
            if not option.hidden:
                grouped.setdefault(option.group, []).append(option)
        return grouped

    def defaults(self) -> dict[str, Any]:
        """Every key with its default; lists are fresh copies."""
        return {key: _copy(option.default) for key, option in self._options.items()}

    def by_infotext(self) -> dict[str, Option]:
        """Settings that travel in infotext, by their infotext key."""
        return {o.infotext: o for o in self._options.values() if o.infotext}


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
