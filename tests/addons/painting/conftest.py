"""A real engine with a tiny model, and extensions written by the tests."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.addons import host as hosts
from modules.addons import importer
from modules.addons.extension import find_extensions
from modules.addons.host import Host
from modules.settings.flags import parse_flags
from tests.engine.generation.conftest import Studio
from tests.support.tiny_models import tiny_sd

Extend = Callable[[str], Studio]

HEAD = """
import modules.scripts as scripts
from modules import script_callbacks, shared, processing
from modules.processing import process_images, Processed
import gradio as gr

def note(text):
    open(NOTES, "a").write(text + "\\n")
"""


@pytest.fixture(scope="module")
def plain_studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """One engine for the tests of a file."""
    checkpoint = tiny_sd(tmp_path_factory.mktemp("models"), dtype="float32", seed=5)
    return Studio(tmp_path_factory.mktemp("data"), checkpoint)


@pytest.fixture
def extend(plain_studio: Studio, tmp_path: Path) -> Iterator[Extend]:
    """Give the engine one extension with this script."""
    from modules.addons import world
    from modules.addons.a1111 import script_callbacks, scripts

    def add(code: str) -> Studio:
        folder = tmp_path / "extensions" / "guest"
        (folder / "scripts").mkdir(parents=True)
        notes = f"NOTES = {str(tmp_path / 'notes.txt')!r}\n"
        text = notes + HEAD + textwrap.dedent(code)
        (folder / "scripts" / "guest.py").write_text(text, encoding="utf-8")
        flags = parse_flags(["--data-dir", str(plain_studio.paths.data)])
        found = find_extensions(tmp_path / "extensions")
        from modules.addons.painting.providers import provide
        from modules.addons.painting.settling import Settler

        host = Host("engine", flags, plain_studio.paths, found)
        settler = Settler(plain_studio.paths, hashing=plain_studio.engine.models.hashing)
        provide(host, plain_studio.engine, settler)
        made = world.load(host)
        assert not made.problems, made.problems
        made.begin_ui()
        made.headless_ui()
        from modules.addons.painting.conductor import take_part

        take_part(plain_studio.engine, settler)
        return plain_studio

    yield add
    plain_studio.engine.conductor = None
    importer.uninstall()
    hosts.set_host(Host())
    script_callbacks.clear_callbacks()
    scripts.scripts_data.clear()
    scripts.scripts_txt2img.__init__()
    scripts.scripts_img2img.__init__()


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[], list[str]]:
    """What the extension has noted, and begins anew."""

    def read() -> list[str]:
        path = tmp_path / "notes.txt"
        found = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    return read
