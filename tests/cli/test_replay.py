"""`launch.py replay`: what it says, and how it ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from modules.cli import replay, txt2img
from modules.cli.replay import build_parser


def test_files_come_first_and_the_programs_flags_follow() -> None:
    asked, rest = build_parser().parse_known_args(["a.png", "b.png", "--data-dir", "/x"])
    assert asked.files == [Path("a.png"), Path("b.png")]
    assert rest == ["--data-dir", "/x"]


@pytest.mark.full
def test_a_picture_is_made_again_and_what_was_changed_is_told(
    tmp_path: Path, starter_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    small = ["--prompt", "a pear", "--H", "64", "--W", "64", "--steps", "3", "--seed", "3"]
    outdir = ["--outdir", str(tmp_path / "out")]
    assert txt2img.main([*small, "--quiet", *outdir, *data]) == 0
    (made,) = (Path(line) for line in capsys.readouterr().out.split("\n") if line)
    changed = tmp_path / "changed.png"
    with Image.open(made) as picture:
        text = picture.info["parameters"]
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", re.sub(r"Model hash: \w+", "Model hash: 0123456789", text))
        Image.new("RGB", picture.size).save(changed, pnginfo=chunks)
    files = [str(made), str(changed), str(tmp_path / "none.png")]
    again = ["--outdir", str(tmp_path / "again")]
    assert replay.main([*files, "--quiet", *again, *data]) == 2
    told = capsys.readouterr()
    assert f"{made}: identical (4096 pixels)" in told.out
    assert f"{changed}: 4096 of 4096 pixels differ" in told.out
    assert "Another checkpoint: easel-starter [0123456789] made it" in told.out
    assert "none.png: No such file or directory." in told.err
    assert len(list((tmp_path / "again").iterdir())) == 2
