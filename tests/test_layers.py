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
    "setup": {"settings"},
    "requests": {"settings"},
    "prompts": {"settings", "requests"},
    "catalog": {"settings", "requests", "prompts"},
    "gallery": {"settings", "requests", "prompts"},
    "jobs": {"settings", "requests", "prompts", "catalog", "gallery"},
    "engine": {"settings", "requests", "prompts", "catalog"},
    "web": {"settings", "requests", "prompts", "catalog", "gallery", "jobs"},
    "cli": {"settings", "requests", "prompts", "catalog", "gallery", "jobs"},
    "addons": {"settings", "requests", "prompts", "catalog", "gallery", "jobs", "web"},
}

HEAVY = {"torch", "torchvision", "diffusers", "transformers", "accelerate", "realesrgan", "gfpgan"}
HEAVY |= {"basicsr", "spandrel", "torchsde"}


def sources(room):
    return sorted((ROOT / "modules" / room).rglob("*.py"))


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
            if node.module == "modules":
                yield from (f"modules.{alias.name}" for alias in node.names)


def rooms_imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = (name.split(".") for name in imported_modules(tree))
    return {part[1] for part in parts if part[0] == "modules" and len(part) > 1}


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
    }
    assert not wrong


def test_heavy_packages_are_imported_by_the_engine_alone():
    wrong = set()
    for path in sorted((ROOT / "modules").rglob("*.py")):
        if path.relative_to(ROOT / "modules").parts[0] == "engine":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        heavy = {name.split(".")[0] for name in imported_modules(tree)} & HEAVY
        wrong |= {f"{path.relative_to(ROOT)} imports {name}" for name in heavy}
    assert not wrong


def test_the_server_process_never_loads_torch():
    code = (
        "import sys, modules.web.app; sys.exit(bool({'torch', 'diffusers'} & sys.modules.keys()))"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120)
    assert finished.returncode == 0
