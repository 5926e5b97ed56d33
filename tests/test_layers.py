"""The rooms may depend on each other in one direction only (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "settings": set(),
    "sandbox": set(),
    "pickles": {"sandbox"},
    "setup": {"settings"},
    "requests": {"settings"},
    "imaging": {"settings", "requests", "sandbox"},
    "prompts": {"settings", "requests"},
    "catalog": {"settings", "requests", "prompts", "pickles", "imaging"},
    "gallery": {"settings", "requests", "prompts", "imaging"},
    "jobs": {"settings", "requests", "prompts", "imaging", "catalog", "gallery"},
    "engine": {"settings", "requests", "prompts", "imaging", "catalog", "pickles"},
    "web": {"settings", "setup", "requests", "prompts", "imaging", "catalog", "gallery", "jobs"},
    "cli": {"settings", "requests", "prompts", "imaging", "catalog", "gallery", "jobs"},
    "addons": {"settings", "requests", "prompts", "imaging", "catalog", "gallery", "jobs", "web"},
}

HEAVY = {"torch", "torchvision", "diffusers", "transformers", "accelerate", "realesrgan", "gfpgan"}
HEAVY |= {"basicsr", "spandrel", "torchsde"}


def sources(room):
    return sorted((ROOT / "modules" / room).rglob("*.py"))


def imported_modules(tree, package):
    """Full names of what a file in ``package`` (a tuple of names) imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            if module == "modules":
                yield from (f"modules.{alias.name}" for alias in node.names)


def at_start(tree):
    """What runs when a module is imported; the bodies of functions do not."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node if isinstance(node, (ast.Import, ast.ImportFrom)) else ast.Pass()
            yield from at_start(node)


def rooms_imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).parent.parts
    parts = (name.split(".") for name in imported_modules(tree, package))
    return {part[1] for part in parts if part[0] == "modules" and len(part) > 1}


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("from modules import engine", "modules.engine"),
        ("from .. import engine", "modules.engine"),
        ("from ..engine.runner import Engine", "modules.engine.runner"),
        ("from .gate import Gate", "modules.web.gate"),
        ("import torch", "torch"),
    ],
)
def test_imports_are_seen_however_they_are_written(line, module):
    assert module in imported_modules(ast.parse(line), ("modules", "web"))


def test_every_room_has_a_rule():
    rooms = {p.name for p in (ROOT / "modules").iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert rooms <= MAY_IMPORT.keys(), f"rooms without a rule: {rooms - MAY_IMPORT.keys()}"


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_lies_below_it(room):
    allowed = MAY_IMPORT[room] | {room}
    wrong = {
        f"{path.relative_to(ROOT)} imports modules.{other}"
        for path in sources(room)
        for other in rooms_imported(path) - allowed
        if (room, other) != ("cli", "addons")
        and not (other == "engine" and paints(path.relative_to(ROOT / "modules")))
    }
    assert not wrong


def paints(path):
    """The part of the add-ons that lives in the engine's process; nobody else imports it."""
    return path.parts[:2] == ("addons", "painting") or path.name == "engine_side.py"


def test_what_paints_is_imported_by_the_engine_process_alone():
    names = {"modules.addons.painting", "modules.addons.a1111.engine_side"}
    wrong = set()
    for path in sorted((ROOT / "modules").rglob("*.py")):
        place = path.relative_to(ROOT / "modules")
        if not paints(place):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            package = path.relative_to(ROOT).parent.parts
            found = set(imported_modules(tree, package))
            wrong |= {f"{place} imports {one}" for one in found if one.startswith(tuple(names))}
    assert not wrong


def test_the_command_line_imports_of_the_addons_the_scripts_alone():
    for path in sources("cli"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = path.relative_to(ROOT).parent.parts
        found = [name for name in imported_modules(tree, package) if "modules.addons" in name]
        assert all(name.startswith("modules.addons.scripts") for name in found), path


def test_heavy_packages_are_imported_by_the_engine_alone():
    wrong = set()
    for path in sorted((ROOT / "modules").rglob("*.py")):
        place = path.relative_to(ROOT / "modules")
        if place.parts[0] == "engine" or paints(place):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if place.parts[:2] == ("addons", "a1111"):
            # Extensions ask for tensors by A1111's names: only what is called imports torch.
            tree = ast.Module([*at_start(tree)], [])
        package = path.relative_to(ROOT).parent.parts
        heavy = {name.split(".")[0] for name in imported_modules(tree, package)} & HEAVY
        wrong |= {f"{path.relative_to(ROOT)} imports {name}" for name in heavy}
    assert not wrong


def test_the_server_process_never_loads_torch(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", BUILD_THE_SERVER, str(tmp_path), *sorted(HEAVY)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["loaded:"]


BUILD_THE_SERVER = """
import sys
from modules.settings.flags import parse_flags
from modules.web.app import create_app
from modules.web.compose import build_context

context = build_context(parse_flags(["--data-dir", sys.argv[1]]))
create_app(context)
context.jobs.store.close()
print("loaded:", *sorted(set(sys.argv[2:]) & sys.modules.keys()))
"""
