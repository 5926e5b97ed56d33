"""Named prompt styles: `styles.csv` with the columns name, prompt, negative_prompt."""

from __future__ import annotations

import csv
import io
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modules.settings import atomic
from modules.settings.damage import ANEW, LAST_GOOD, READABLE, Damage, Told, only_logged, set_aside

PLACEHOLDER = "{prompt}"
MAX_LENGTH = 1_000_000
"""A style that would make a prompt longer than this is left out."""
MAX_EXTRACTED = 100
"""Styles that are taken out of one pair of prompts."""
MAX_FILE = 64 * 1024 * 1024

_COLUMNS = ("name", "prompt", "negative_prompt")

log = logging.getLogger("easel.prompts")


@dataclass(frozen=True)
class Style:
    """Texts added to the prompts; `{prompt}` in one marks where the user's own text goes."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


class StyleSource(Protocol):
    """Anything that knows styles by name, such as `StyleBook`."""

    def get(self, name: str) -> Style | None:
        """The style of that name, or None."""


def apply_styles(
    prompt: str, negative: str, names: Sequence[str] | None, styles: StyleSource
) -> tuple[str, str]:
    """The prompt and negative prompt with the named styles merged in, in order.

    Unknown names are ignored, as in A1111.
    """
    for name in names or ():
        style = styles.get(name)
        if style is not None:
            prompt = merge_style(style.prompt, prompt)
            negative = merge_style(style.negative_prompt, negative)
    return prompt, negative


def merge_style(style_text: str, prompt: str) -> str:
    """One style text around (`{prompt}`) or, after ", ", behind a prompt."""
    if PLACEHOLDER in style_text:
        length = len(style_text) + style_text.count(PLACEHOLDER) * len(prompt)
        return prompt if length > MAX_LENGTH else style_text.replace(PLACEHOLDER, prompt)
    texts = [text for text in (prompt.strip(), style_text.strip()) if text]
    merged = ", ".join(texts)
    return prompt if len(merged) > MAX_LENGTH else merged


def extract_style(style_text: str, prompt: str) -> str | None:
    """`prompt` without the style text that `merge_style` put there; None when it is not there."""
    style_text, prompt = style_text.strip(), prompt.strip()
    if not style_text:
        return prompt
    if PLACEHOLDER in style_text:
        left, _, right = style_text.partition(PLACEHOLDER)
        fits = prompt.startswith(left) and prompt.endswith(right)
        if fits and len(prompt) >= len(left) + len(right):
            return prompt[len(left) : len(prompt) - len(right)]
        return None
    if prompt == style_text:
        return ""
    if prompt.endswith(", " + style_text):
        return prompt[: -len(style_text) - 2]
    return None


class StyleBook:
    """The styles of one CSV file, read again whenever the file has changed on disk."""

    def __init__(self, path: Path, damaged: Told = only_logged) -> None:
        """`damaged` hears of a file that cannot be read in full; the file is set aside first."""
        self.path = Path(path)
        self._damaged = damaged
        self._lock = threading.RLock()
        self._styles: dict[str, Style] = {}
        self._stamp: tuple[int, int] | None = None

    @property
    def last_good(self) -> Path:
        """The copy of what was written last."""
        return self.path.with_name(self.path.name + ".last-good")

    def names(self) -> list[str]:
        """Names in file order."""
        return list(self._current())

    def list(self) -> tuple[Style, ...]:
        """All styles in file order."""
        return tuple(self._current().values())

    def __iter__(self) -> Iterator[Style]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self._current())

    def get(self, name: str) -> Style | None:
        """The style of that name, or None."""
        return self._current().get(name)

    def save(self, style: Style) -> None:
        """Add `style`, or replace the one of the same name; written at once and atomically.

        Raises ValueError for an empty name.
        """
        if not style.name.strip():
            raise ValueError("name: '' is not allowed, a style needs a name")
        with self._lock:
            styles = {**self._current(), style.name: style}
            self._write(styles.values())

    def delete(self, name: str) -> bool:
        """Remove the style of that name; False when there is none."""
        with self._lock:
            styles = dict(self._current())
            if styles.pop(name, None) is None:
                return False
            self._write(styles.values())
            return True

    def reload(self) -> None:
        """Read the file again even if it looks unchanged."""
        with self._lock:
            self._stamp = None
            self._current()

    def extract(self, prompt: str, negative: str) -> tuple[str, str, list[str]]:
        """Take known styles out of two finished prompts.

        Returns the shorter prompts and the names, in an order that `apply_styles` turns back into
        the prompts given. A style counts only when both of its texts are found.
        """
        names: list[str] = []
        while len(names) < MAX_EXTRACTED and (found := self._outermost(prompt, negative)):
            style, prompt, negative = found
            names.append(style.name)
        return prompt, negative, names[::-1]

    def _outermost(self, prompt: str, negative: str) -> tuple[Style, str, str] | None:
        for style in self._current().values():
            if not (style.prompt.strip() or style.negative_prompt.strip()):
                continue
            inner = extract_style(style.prompt, prompt)
            inner_negative = extract_style(style.negative_prompt, negative)
            if inner is None or inner_negative is None:
                continue
            if len(inner) + len(inner_negative) < len(prompt.strip()) + len(negative.strip()):
                return style, inner, inner_negative
        return None

    def _current(self) -> dict[str, Style]:
        with self._lock:
            stamp = self._file_stamp()
            if stamp != self._stamp:
                self._styles = {style.name: style for style in self._read()}
                self._stamp = stamp
            return self._styles

    def _file_stamp(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError:
            return (0, -1)
        return (status.st_mtime_ns, status.st_size)

    def _read(self) -> Iterable[Style]:
        try:
            if self.path.stat().st_size > MAX_FILE:
                log.warning("The styles file %s is larger than 64 MiB and is not read", self.path)
                return self._mended([])
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("The styles file %s cannot be read: %s", self.path, error)
            return []
        styles, whole = _read_csv(data)
        if whole and (styles or data.strip() or not self.last_good.exists()):
            return styles
        return self._mended(styles)

    def _mended(self, styles: list[Style]) -> list[Style]:
        """What a damaged file is replaced by; the file itself is set aside first."""
        instead = READABLE if styles else ANEW
        if not styles and self.last_good.is_file():
            styles, instead = _read_csv(self.last_good.read_bytes())[0], LAST_GOOD
        aside = set_aside(self.path, copy=True)
        self._damaged(Damage(self.path.name, aside.name if aside else "", instead))
        if aside is not None:
            try:
                self._write(styles)
            except OSError as error:
                log.warning("%s cannot be written anew: %s", self.path.name, error)
        return styles

    def _write(self, styles: Iterable[Style]) -> None:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(_COLUMNS)
        for style in styles:
            writer.writerow([_storable(getattr(style, column)) for column in _COLUMNS])
        atomic.write_text(self.path, "\ufeff" + buffer.getvalue())
        self._stamp = None
        try:
            atomic.write_text(self.last_good, "\ufeff" + buffer.getvalue())
        except OSError as error:
            log.warning("cannot keep a last good copy of %s: %s", self.path.name, error)


def _read_csv(data: bytes) -> tuple[list[Style], bool]:
    """Styles of a CSV file, and whether all of it could be read.

    The old column "text" is read as the prompt; rows without a name are left out.
    """
    text = data.decode("utf-8-sig", "replace")
    whole = "\ufffd" not in text or b"\xef\xbf\xbd" in data
    whole = whole and "\x00" not in text
    reader = csv.DictReader(io.StringIO(text.replace("\x00", ""), newline=""))
    styles = []
    try:
        for row in reader:
            name = (row.get("name") or "").strip()
            if name:
                prompt = row.get("prompt") or row.get("text") or ""
                styles.append(Style(name, prompt, row.get("negative_prompt") or ""))
        whole = whole and (not reader.fieldnames or "name" in reader.fieldnames)
    except csv.Error as error:
        log.warning("The styles file is damaged in line %d: %s", reader.line_num, error)
        whole = False
    return styles, whole and not _breaks_off(text)


def _breaks_off(text: str) -> bool:
    """Whether the text ends within quotes, as a file does that was cut short."""
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
