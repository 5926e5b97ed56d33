"""The command line end to end: a real engine process, the shipped model, real files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from modules.cli import txt2img

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--H", "64", "--W", "64", "--steps", "2", "--sampler", "Euler")


def command(data: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "modules.cli", "txt2img", "--data-dir", str(data), *words]


def run(data: Path, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(data, *words),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.slow
def test_pictures_and_their_grid_are_saved_with_parameters(tmp_path, starter_model):
    words = ["--prompt", "a red apple", "--seed", "8", "--n_samples", "2", *SMALL]
    finished = run(
        tmp_path / "data", *words, "--ckpt", str(starter_model), "--outdir", "out", cwd=tmp_path
    )
    assert finished.returncode == 0, finished.stderr
    first, second, grid = (Path(line) for line in finished.stdout.splitlines())
    assert {first.parent, second.parent, grid.parent} == {tmp_path / "out"}
    for path, seed in ((first, 8), (second, 9)):
        with Image.open(path) as picture:
            assert picture.size == (64, 64)
            parameters = picture.info["parameters"]
        assert parameters.startswith("a red apple\n")
        assert f"Seed: {seed}, Size: 64x64, Model hash:" in parameters
        assert "Sampler: Euler" in parameters
    with Image.open(grid) as sheet:
        assert sheet.width * sheet.height >= 2 * 64 * 64


@pytest.mark.full  # its short form: tests/cli/test_arguments.py
def test_a_file_of_prompts_and_a_relative_checkpoint(tmp_path, starter_model):
    (tmp_path / "prompts.txt").write_text("a cat\n\na dog\n", encoding="utf-8")
    words = ["--from-file", "prompts.txt", "--skip_grid", "--quiet", "--seed", "1", *SMALL]
    checkpoint = os.path.relpath(starter_model, tmp_path)
    finished = run(tmp_path / "data", *words, "--ckpt", checkpoint, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    paths = [Path(line) for line in finished.stdout.splitlines()]
    assert len(paths) == 2
    assert all(path.is_relative_to(tmp_path / "data" / "outputs") for path in paths)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--sampler", "Eulerr"], "Eulerr"),
        (["--scheduler", "Karrass"], "Karrass"),
        (["--ckpt", "no-such-model"], "no-such-model"),
        (["--H", "-8"], "height"),
        (["--steps", "0"], "steps"),
        (["--n_samples", "-1"], "batch_size"),
        (["--plms", "--dpm_solver"], "--plms"),
        (["--from-file", "missing.txt"], "missing.txt"),
    ],
)
def test_a_wrong_command_line_ends_with_one_sentence(tmp_path, capsys, words, named):
    assert txt2img.main(["--prompt", "x", *words, "--data-dir", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert named in told.err
    assert told.err.rstrip().count("\n") == 0


def test_a_flag_that_nobody_knows_ends_the_process_with_code_2(tmp_path):
    finished = run(tmp_path, "--prompt", "x", "--frobnicate")
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "--frobnicate" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C is sent as a POSIX signal")
def test_ctrl_c_stops_soon_with_code_130(tmp_path, starter_model):
    words = ["--prompt", "x", "--H", "128", "--W", "128", "--steps", "1000"]
    process = subprocess.Popen(
        command(tmp_path, *words, "--ckpt", str(starter_model)),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # In the background of a shell Ctrl+C is switched off, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stderr:
        if "step" in line and "/1000" in line:
            break
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the engine gets it too
    rest = process.stderr.read()
    assert process.wait(60) == 130, rest
    assert time.monotonic() - started < 30
    assert "Traceback" not in rest
