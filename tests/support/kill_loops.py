"""Kills writers in the middle, again and again; ends with 1 when a promise breaks.

    python -m tests.support.kill_loops pictures|settings|styles|queue FOLDER KILLS SEED

A writer is a fork of this process that does nothing but write; it is killed (SIGKILL) after a
random time, and everything that it left is looked at.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from PIL import Image

from modules.gallery import NameContext, encode_image, save_image
from modules.jobs.store import JobStore
from modules.prompts import StyleBook
from modules.prompts.styles import Style
from modules.settings.flags import Flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table

Say = Callable[[str], None]
LONGEST = 0.03
"""Seconds that a writer lives at most after its first word."""


class Loop:
    """One kind of writing: what the writer does, and what must hold after its death."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, turn: int, say: Say) -> None:
        """Write for ever; ``say`` a word for what is done."""
        raise NotImplementedError

    def check(self, said: list[str]) -> None:
        """Look at what is there after a death; ``said`` is every word of this writer."""
        raise NotImplementedError

    def result(self) -> dict[str, int]:
        """Figures for the report."""
        return {}


class Pictures(Loop):
    """Pictures under a final name are whole, and those that were told to be saved are there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.paths = Paths.from_flags(Flags(data_dir=str(folder)))
        self.paths.ensure()
        # Encoded once: the writer's time goes into writing, where the kills should fall.
        self.picture = Image.effect_noise((900, 900), 90).convert("RGB")
        self.encoded = encode_image(self.picture, "png")
        self.seen: set[Path] = set()
        self.cut_short = 0

    def write(self, turn: int, say: Say) -> None:
        for number in itertools.count():
            context = NameContext(seed=1000 * turn + number)
            saved = save_image(self.picture, "", context, {}, self.paths, encoded=self.encoded)
            say(str(saved.path))

    def check(self, said: list[str]) -> None:
        found = {path for path in self.paths.outputs.rglob("*.png") if path.name[0] != "."}
        assert set(map(Path, said)) <= found, "a picture that was saved is gone"
        for path in found - self.seen:
            assert path.read_bytes() == self.encoded.data, f"{path.name} is not whole"
        assert self.seen <= found, "a picture was overwritten"
        self.seen = found
        left = list(self.paths.outputs.rglob(".*.tmp"))
        self.cut_short += len(left)
        for path in left:
            path.unlink()

    def result(self) -> dict[str, int]:
        return {"pictures": len(self.seen), "half_files_under_hidden_names": self.cut_short}


class Settings(Loop):
    """The settings are those of before or after a change, never half of them or the defaults."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "config.json"
        self.store().set_many({"jpeg_quality": 1, "outdir_save": "1" * 4000})
        self.changes = 0

    def store(self) -> OptionStore:
        return OptionStore(self.path, build_table(), damaged=lambda damage: 1 / 0)

    def write(self, turn: int, say: Say) -> None:
        store = self.store()
        for number in itertools.cycle(range(2, 100)):
            store.set_many({"jpeg_quality": number, "outdir_save": f"{number} " * 1300})
            say(str(number))

    def check(self, said: list[str]) -> None:
        store = self.store()
        quality, folder = store["jpeg_quality"], store["outdir_save"]
        assert folder.split()[0] in (str(quality), "1" * 4000), "half a change"
        if said:
            allowed = {int(said[-1]), 2 + (int(said[-1]) - 1) % 98}
            assert quality in allowed, f"{quality} after {said[-1]} was told"
        self.changes += len(said)

    def result(self) -> dict[str, int]:
        return {"changes": self.changes}


class Styles(Loop):
    """The styles of before or after a change."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "styles.csv"
        for number in range(40):
            self.book().save(Style(f"style {number}", "words, " * 50))
        self.changes = 0

    def book(self) -> StyleBook:
        return StyleBook(self.path, lambda damage: 1 / 0)

    def write(self, turn: int, say: Say) -> None:
        book = self.book()
        for number in itertools.count():
            book.save(Style("changing", f"{turn} {number}"))
            say(f"{turn} {number}")

    def check(self, said: list[str]) -> None:
        book = self.book()
        assert len(book) >= 40, "styles are lost"
        changing = book.get("changing")
        if said:
            turn, number = map(int, said[-1].split())
            now = tuple(map(int, changing.prompt.split())) if changing else None
            assert now in {(turn, number), (turn, number + 1)}, f"{now} after {said[-1]}"
        self.changes += len(said)

    def result(self) -> dict[str, int]:
        return {"changes": self.changes}


class Queue(Loop):
    """A job that was acknowledged is in the queue."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "easel.sqlite"
        self.acknowledged: set[str] = set()
        JobStore(self.path).close()

    def write(self, turn: int, say: Say) -> None:
        store = JobStore(self.path, lambda damage: 1 / 0)
        for number in itertools.count():
            name = f"{turn}-{number}"
            job = {"id": name, "kind": "txt2img", "client": "test", "all_seeds": [1] * 50}
            store.add(job, save=True)
            say(name)

    def check(self, said: list[str]) -> None:
        self.acknowledged |= set(said)
        with closing(sqlite3.connect(self.path)) as connection:
            found = {row[0] for row in connection.execute("SELECT id FROM jobs")}
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        assert self.acknowledged <= found, "an acknowledged job is lost"

    def result(self) -> dict[str, int]:
        return {"acknowledged": len(self.acknowledged)}


LOOPS: dict[str, type[Loop]] = {
    "pictures": Pictures,
    "settings": Settings,
    "styles": Styles,
    "queue": Queue,
}


def killed(write: Callable[[Say], None], chance: random.Random) -> list[str]:
    """Fork a writer, kill it, and give what it said before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            write(lambda word: _say(writing, word))
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as stream:
        first = stream.readline()  # it has begun
        time.sleep(chance.random() * LONGEST)
        os.kill(child, signal.SIGKILL)
        rest = stream.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    words = (first + rest).decode().split("\n")
    return words[:-1]  # the last one may be cut short


def _say(pipe: int, word: str) -> None:
    os.write(pipe, f"{word}\n".encode())


def turns(loop: Loop, kills: int, chance: random.Random) -> Iterator[None]:
    """Kill so many writers and look after each."""
    for turn in range(kills):
        said = killed(lambda say, turn=turn: loop.write(turn, say), chance)
        loop.check(said)
        yield


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    name, place, kills, seed = sys.argv[1:]
    Path(place).mkdir(parents=True, exist_ok=True)
    running = LOOPS[name](Path(place))
    done = sum(1 for _ in turns(running, int(kills), random.Random(int(seed))))
    sys.stdout.write(json.dumps({"kills": done, **running.result()}))
