"""img2img, outpaint and extras from the command line: flags to requests, and real runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.cli import extras, img2img, outpaint
from modules.cli.progress import ProgressView
from modules.cli.run import Plan, carry_out
from modules.cli.session import Session
from modules.settings.flags import parse_flags

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"img2img": img2img, "outpaint": outpaint, "extras": extras}


def picture(path: Path, width: int = 64, height: int = 48) -> Path:
    noise = np.random.default_rng(width).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    return picture(tmp_path / "photo.png")


@pytest.fixture
def plan_of(tmp_path, starter_model):
    """A command line's plan, without an engine, and the notes on the way."""

    def plan(command: str, *words: str) -> tuple[Plan, list[str]]:
        module, notes = COMMANDS[command], []
        asked = module.build_parser().parse_args(list(words))
        flags = parse_flags(["--data-dir", str(tmp_path / "data"), "--ckpt", str(starter_model)])
        with Session.open(flags, str(starter_model)) as session:
            found = module._plan(asked, session, notes.append)
            for request in found.requests:
                session.check(request)
        return found, notes

    return plan


def test_the_command_of_compvis_becomes_one_request(plan_of, photo):
    words = [
        "--prompt",
        "a fish",
        "--init-img",
        str(photo),
        "--strength",
        "0.6",
        "--n_samples",
        "2",
    ]
    plan, _ = plan_of("img2img", *words, "--ddim_steps", "30", "--scale", "5", "--seed", "42")
    (request,) = plan.requests
    assert (request.kind, request.prompt, request.denoising_strength) == ("img2img", "a fish", 0.6)
    assert (request.width, request.height) == (64, 48)
    assert (request.steps, request.cfg_scale, request.seed, request.batch_size) == (30, 5, 42, 2)
    assert request.sampler_name == "DDIM"  # the starter model's own
    assert request.mask is None and request.output_name is None


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], (64, 48)),
        (["--W", "128"], (128, 96)),
        (["--H", "96"], (128, 96)),
        (["--W", "96", "--H", "96", "--resize-mode", "crop"], (96, 96)),
    ],
)
def test_a_picture_keeps_its_size_or_its_aspect_ratio(plan_of, photo, words, size):
    plan, _ = plan_of("img2img", "--init-img", str(photo), *words)
    assert (plan.requests[0].width, plan.requests[0].height) == size


def test_masks_and_their_flags(plan_of, photo, tmp_path):
    mask = tmp_path / "mask.png"
    Image.new("L", (64, 48), 255).save(mask)
    words = ["--mask", str(mask), "--invert-mask", "--mask-blur", "7", "--masked-content", "noise"]
    plan, _ = plan_of("img2img", "--init-img", str(photo), *words, "--only-masked", "--soft")
    (request,) = plan.requests
    assert request.mask.startswith("input:")
    assert (request.mask_blur, request.inpainting_mask_invert) == (7, 1)
    assert (request.inpainting_fill, request.inpaint_full_res) == (2, True)
    assert (request.width, request.height) == (128, 128)
    assert request.soft_inpainting is not None


def test_what_depth_and_unclip_models_are_shown(plan_of, photo, tmp_path):
    relief = tmp_path / "relief.png"
    Image.linear_gradient("L").save(relief)
    words = ["--depth-map", str(relief), "--noise-level", "250"]
    (request,) = plan_of("img2img", "--init-img", str(photo), *words)[0].requests
    assert request.depth_map.startswith("input:")
    assert request.noise_level == 250
    (request,) = plan_of("img2img", "--init-img", str(photo))[0].requests
    assert (request.depth_map, request.noise_level) == (None, None)


def test_every_picture_of_a_folder_and_what_cannot_be_read_is_named(plan_of, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    picture(folder / "b.png", 64, 64)
    picture(folder / "a.jpg", 32, 64)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    plan, notes = plan_of("img2img", "--init-img", str(folder))
    assert [request.output_name for request in plan.requests] == ["a", "b"]
    assert [request.width for request in plan.requests] == [32, 64]
    assert plan.skipped == 1
    (note,) = notes
    assert "broken.png" in note and "no picture" in note
    plan, notes = plan_of("extras", "-i", str(folder), "--upscaler", "Lanczos", "--scale", "2")
    assert [request.names for request in plan.requests] == [["a.jpg"], ["b.png"]]


def test_outpaint_flags_become_its_spec(plan_of, photo):
    words = ["--left", "32", "--up", "16", "--method", "tiled", "--mask-blur", "5"]
    plan, _ = plan_of("outpaint", "--init-img", str(photo), *words, "--retries", "2")
    (request,) = plan.requests
    spec = request.outpaint
    assert (spec.left, spec.right, spec.up, spec.down) == (32, 0, 16, 0)
    assert (spec.method, spec.mask_blur, spec.retries, spec.uncrop) == ("tiled", 5, 2, False)
    assert request.denoising_strength == 0.8
    assert (request.width, request.height) == (128, 128)
    plan, _ = plan_of("outpaint", "--init-img", str(photo), "--uncrop")
    assert (plan.requests[0].outpaint.uncrop, plan.requests[0].outpaint.uncrop_pixels) == (
        True,
        128,
    )


def test_extras_flags_become_a_request(plan_of, photo, tmp_path):
    words = ["--upscaler", "Lanczos", "--to", "100", "200", "--no-crop", "--outdir"]
    plan, _ = plan_of("extras", "--input", str(photo), *words, str(tmp_path / "out"))
    (request,) = plan.requests
    assert (request.upscaler_1, request.resize_mode, request.upscaling_crop) == (
        "Lanczos",
        1,
        False,
    )
    assert (request.upscaling_resize_w, request.upscaling_resize_h) == (100, 200)
    assert request.output_folder == str(tmp_path / "out")
    plan, _ = plan_of("extras", "-i", str(photo), "-n", "Lanczos", "-s", "3", "-o", str(tmp_path))
    assert plan.requests[0].upscaling_resize == 3


@pytest.mark.parametrize(
    ("command", "words", "named"),
    [
        ("img2img", ["--init-img", "missing.png"], "missing.png"),
        ("img2img", ["--init-img", "EMPTY"], "holds no picture"),
        ("img2img", ["--init-img", "BROKEN"], "no picture"),
        ("img2img", ["--init-img", "PHOTO", "--strength", "1.5"], "denoising_strength"),
        ("img2img", ["--init-img", "PHOTO", "--mask", "BROKEN"], "--mask"),
        ("img2img", ["--init-img", "PHOTO", "--only-masked"], "--mask"),
        ("img2img", ["--init-img", "PHOTO", "--resize-by", "2", "--W", "64"], "exclude"),
        ("outpaint", ["--init-img", "PHOTO"], "--uncrop"),
        ("outpaint", ["--init-img", "PHOTO", "--left", "5000"], "left"),
        ("extras", ["--input", "PHOTO"], "--upscaler"),
        ("extras", ["--input", "PHOTO", "--upscaler", "R-ESRGAN 5x"], "R-ESRGAN 5x"),
        ("extras", ["--input", "PHOTO", "--scale", "2", "--to", "8", "8"], "exclude"),
        ("extras", ["--input", "PHOTO", "--upscaler", "Lanczos", "--scale", "99"], "upscaling"),
    ],
)
def test_a_wrong_command_line_ends_with_one_sentence(
    tmp_path, photo, starter_model, capsys, command, words, named
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"GIF89a nothing")
    places = {"PHOTO": photo, "EMPTY": tmp_path / "empty", "BROKEN": tmp_path / "broken.png"}
    words = [str(places.get(word, word)) for word in words]
    data = ["--data-dir", str(tmp_path / "data"), "--ckpt", str(starter_model)]
    assert COMMANDS[command].main([*words, *data]) == 2
    told = capsys.readouterr()
    assert named in told.err and told.out == ""
    assert told.err.rstrip().count("\n") == 0 and told.err.rstrip().endswith(".")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_names_every_flag_and_exits(command, capsys):
    with pytest.raises(SystemExit) as ended:
        COMMANDS[command].main(["--help"])
    assert ended.value.code == 0
    assert f"launch.py {command}" in capsys.readouterr().out


@pytest.fixture(scope="module")
def session(tmp_path_factory, starter_model):
    """One engine for the commands that need the model: starting it is what takes time."""
    data = tmp_path_factory.mktemp("data")
    flags = parse_flags(["--data-dir", str(data), "--ckpt", str(starter_model)])
    with Session.open(flags, str(starter_model)) as opened:
        opened.start([])
        yield opened


@pytest.fixture
def make(session, tmp_path, starter_model, capsys):
    """Carry out a command's plan; the saved files."""

    def run(command: str, *words: str) -> list[Path]:
        module, view = COMMANDS[command], ProgressView(sys.stderr, quiet=True)
        more = ["--ckpt", str(starter_model), "--outdir", str(tmp_path / "out")]
        asked, _ = module.build_parser().parse_known_args([*words, *more])
        plan = module._plan(asked, session, view.note)
        capsys.readouterr()
        assert carry_out(session, plan.requests, view) == 0, capsys.readouterr().err
        return [Path(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.mark.slow
def test_img2img_repaints_under_the_mask_alone(make, tmp_path):
    photo = picture(tmp_path / "photo.png", 128, 128)
    mask = Image.new("L", (128, 128))
    mask.paste(255, (40, 40, 90, 90))
    mask.save(tmp_path / "mask.png")
    words = ["--init-img", str(photo), "--mask", str(tmp_path / "mask.png"), "--steps", "3"]
    (path,) = make("img2img", "--prompt", "a cat", *words)
    assert path.parent == tmp_path / "out"
    with Image.open(path) as result, Image.open(photo) as before:
        changed = np.any(np.asarray(result) != np.asarray(before), axis=-1)
        text = result.info["parameters"]
    assert changed[50:80, 50:80].mean() > 0.9
    assert not changed[:20].any() and not changed[:, 110:].any()
    assert "Denoising strength: 0.75" in text and "Mask blur: 4" in text
    assert "Pixels changed outside the mask: 0" in text


@pytest.mark.slow
def test_outpaint_keeps_every_pixel_of_the_picture(make, tmp_path):
    photo = picture(tmp_path / "photo.png", 128, 128)
    words = ["--init-img", str(photo), "--left", "24", "--up", "16", "--steps", "3"]
    (path,) = make("outpaint", "--prompt", "a cat", *words)
    with Image.open(path) as result, Image.open(photo) as before:
        assert result.size == (152, 144)
        assert result.crop((24, 16, 152, 144)).tobytes() == before.tobytes()
        text = result.info["parameters"]
    assert "Outpaint: noise, Outpaint left: 24, Outpaint up: 16" in text
    assert "Outpaint seam score:" in text


@pytest.mark.slow
def test_extras_upscales_a_file_under_its_own_name(make, tmp_path):
    photo = picture(tmp_path / "photo.png", 40, 32)
    (path,) = make("extras", "--input", str(photo), "--upscaler", "Lanczos", "--scale", "2")
    assert path.parent == tmp_path / "out" and path.stem.startswith("photo")
    with Image.open(path) as result:
        assert result.size == (80, 64)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_flags_in_the_documents_exist(command):
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {command}\n")[1].split("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", section))
    parser = COMMANDS[command].build_parser()
    real = {word for action in parser._actions for word in action.option_strings}
    assert len(named) > 5
    assert named <= real | {"--H", "--W"}
