"""The libraries import beside this torch, whichever build it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PREPARE = (
    "from modules.engine.compat.torchvision_ops import make_torchvision_importable as prepare\n"
    "own = prepare()\n"
)


def run(code: str) -> str:
    """Output of a fresh interpreter: what is tested happens once per process."""
    finished = subprocess.run(
        [sys.executable, "-c", PREPARE + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("package", ["torchvision", "basicsr", "realesrgan", "gfpgan", "facexlib"])
def test_the_package_imports(package):
    run(f"import {package}\n")


def test_preparing_twice_or_after_the_import_changes_nothing():
    run("import torchvision\nassert prepare() is own\nassert prepare() is own\n")


def test_the_answer_tells_whether_the_compiled_operators_are_there():
    run("import torchvision.extension\nassert own is bool(torchvision.extension._has_ops())\n")


def test_the_removed_module_gives_the_functions_of_its_successors():
    code = (
        "import torch\n"
        "from torchvision.transforms.functional_tensor import rgb_to_grayscale\n"
        "gray = rgb_to_grayscale(torch.ones(3, 2, 2))\n"
        "assert gray.shape == (1, 2, 2) and torch.allclose(gray, torch.ones(1, 2, 2), atol=1e-3)\n"
        "import torchvision.transforms.functional_tensor as removed\n"
        "assert not hasattr(removed, 'no_such_function')\n"
    )
    run(code)
