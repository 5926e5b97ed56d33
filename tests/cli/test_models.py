"""`launch.py merge` and `convert` end to end: a real engine process, files inside and outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modules.catalog.merge_blocks import PRESETS, preset
from modules.cli import convert, merge
from tests.support.tiny_models import tiny_sd

ROOT = Path(__file__).resolve().parents[2]
KEY = "model.diffusion_model.middle_block.0.in_layers.2.weight"


def run(command: str, data: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modules.cli", command, *words, "--data-dir", str(data)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the data folder, and one of torch's outside of it."""
    folder = tmp_path_factory.mktemp("cli-models")
    tiny_sd(folder / "data/models/Stable-diffusion", layout="single", name="apple", seed=1)
    pear = tiny_sd(folder, layout="single", name="pear", seed=2)
    torch.save({"state_dict": load_file(pear)}, folder / "pear.ckpt")
    return folder


def test_models_are_merged_and_the_path_goes_to_stdout(files: Path) -> None:
    words = ["apple", "pear.ckpt", "-M", "0.25", "--name", "mix", "--quiet"]
    done = run("merge", files / "data", *words, cwd=files)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path == files / "data/models/Stable-diffusion/mix.safetensors"
    a = load_file(path.with_name("apple.safetensors"))[KEY].float()
    b = load_file(files / "pear.safetensors")[KEY].float()
    assert torch.equal(load_file(path)[KEY], (0.75 * a + 0.25 * b).half())


def test_a_ckpt_is_converted(files: Path) -> None:
    words = ["pear.ckpt", "--dtype", "fp32", "--name", "plain"]
    done = run("convert", files / "data", *words, cwd=files)
    assert done.returncode == 0, done.stderr
    assert load_file(done.stdout.strip())[KEY].dtype == torch.float32


def test_a_model_that_is_not_there_is_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main(["nothing", "--data-dir", str(files / "data")]) == 2
    assert "'nothing' is not known" in capsys.readouterr().err


@pytest.mark.parametrize("command", [merge, convert])
def test_help_names_every_flag_of_the_documents(command: object) -> None:
    heading = command.__name__.rpartition(".")[2]
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `--")]
    documented = {word.strip("`,") for row in rows for word in row.split() if "--" in word}
    known = {flag for action in command.build_parser()._actions for flag in action.option_strings}
    assert documented == {flag for flag in known if flag.startswith("--")} - {"--help"}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("count", [9, 19, 25])
def test_every_curve_gives_one_weight_for_each_block(name: str, count: int) -> None:
    weights = preset(name, count)
    assert len(weights) == count and all(0 <= weight <= 1 for weight in weights)
