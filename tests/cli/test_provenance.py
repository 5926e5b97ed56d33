"""`launch.py verify` and `launch.py strip` on files."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from modules.cli import strip, verify
from modules.gallery import encode_image, read_image_info
from modules.gallery.credentials import CredentialWriter, Making
from modules.imaging.watermark import embed
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

TEXT = "a secret garden\nSteps: 3, Sampler: Euler, Seed: 5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plain picture, one with everything, and one that was changed after it was signed."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = Paths.from_flags(parse_flags(["--data-dir", str(folder / "data")]))
    (folder / "data").mkdir()
    image = Image.new("RGB", (256, 256), "#708090")
    seal = CredentialWriter(paths, Making("txt2img", "easel 1", "starter", "0123456789"))
    signed = encode_image(embed(image), "png", TEXT, seal=seal).data
    (folder / "plain.png").write_bytes(encode_image(image, "png", TEXT).data)
    (folder / "signed.png").write_bytes(signed)
    (folder / "changed.png").write_bytes(signed.replace(b"secret", b"public"))
    (folder / "text.png").write_text("no picture")
    return folder


def verified(folder, *names, more=()):
    files = [str(folder / name) for name in names]
    return verify.main([*files, *more, "--data-dir", str(folder / "data")])


def test_a_marked_and_signed_picture_is_told(folder, capsys):
    assert verified(folder, "signed.png") == 0
    told = capsys.readouterr().out
    assert "unchanged since this installation signed it" in told
    assert "by AI" in told
    assert "starter 0123456789" in told
    assert "Easel Easel AI (100%)" in told


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["plain.png"], 3),
        (["changed.png"], 1),
        (["text.png"], 1),
        (["missing.png"], 1),
        (["signed.png", "plain.png"], 3),
        (["plain.png", "changed.png", "signed.png"], 1),
    ],
)
def test_the_exit_code_says_the_worst(folder, names, code, capsys):
    assert verified(folder, *names) == code


def test_programs_get_one_json_object_a_line(folder, capsys):
    verified(folder, "signed.png", "plain.png", more=["--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["credentials"]["state"] for row in rows] == ["own", "none"]
    assert rows[1]["watermark"] is None


def test_stripped_copies_lie_beside_their_files_and_replace_nothing(folder, tmp_path, capsys):
    source = tmp_path / "a.png"
    source.write_bytes((folder / "signed.png").read_bytes())
    assert strip.main([str(source)]) == 0
    clean = tmp_path / "a-clean.png"
    assert capsys.readouterr().out == f"{clean}\n"
    assert read_image_info(clean).text == ""
    assert b"c2pa" not in clean.read_bytes()
    assert strip.main([str(source)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert strip.main([str(source), "--outdir", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == clean.read_bytes()
    assert strip.main([str(source), "--in-place"]) == 0
    assert source.read_bytes() == clean.read_bytes()


def test_what_is_no_picture_costs_one_line_and_not_the_others(folder, tmp_path, capsys):
    files = [str(folder / "text.png"), str(folder / "plain.png"), str(folder / "missing.png")]
    assert strip.main([*files, "--outdir", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'plain.png'}\n"
    assert len(err.splitlines()) == 2
