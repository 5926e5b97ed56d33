from __future__ import annotations

import pytest

from modules.settings.flags import SECRET_FLAGS, parse_flags
from modules.settings.paths import ROOT, Paths


def test_defaults_are_a1111s():
    flags = parse_flags([])
    assert (flags.port, flags.listen, flags.precision, flags.api) == (7860, False, "autocast", True)
    assert flags.notes == ()


def test_obsolete_flags_are_accepted_with_a_note_each():
    flags = parse_flags(
        ["--xformers", "--opt-split-attention", "--gradio-img2img-tool", "color-sketch"]
    )
    assert len(flags.notes) == 3
    assert flags.notes[0].startswith("--xformers is accepted but has no effect")


def test_an_unknown_flag_ends_with_a_message(capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--no-such-flag"])
    assert "--no-such-flag" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_bad_port_is_named(port, capsys):
    with pytest.raises(SystemExit):
        parse_flags([f"--port={port}"])
    assert port in capsys.readouterr().err


def test_secrets_never_reach_cmd_flags():
    shown = parse_flags(["--api-auth", "me:secret", "--gradio-auth", "a:hush"]).as_cmd_flags()
    assert not SECRET_FLAGS & shown.keys()
    assert "secret" not in repr(shown)
    assert "hush" not in repr(shown)


def test_everything_of_the_user_lies_below_the_data_dir(tmp_path):
    paths = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))
    user_side = [paths.config_file, paths.outputs, paths.models, paths.extensions, paths.embeddings]
    user_side += [paths.styles_file, paths.database, paths.cache, paths.log, paths.params_file]
    assert all(tmp_path.resolve() in path.parents for path in user_side)
    assert paths.configs == ROOT / "configs"


def test_the_shipped_checkpoint_folder_is_always_searched(tmp_path):
    paths = Paths.from_flags(
        parse_flags(["--data-dir", str(tmp_path), "--ckpt-dir", str(tmp_path / "c")])
    )
    assert paths.checkpoint_dirs == (
        tmp_path.resolve() / "models" / "Stable-diffusion",
        tmp_path.resolve() / "c",
        ROOT / "models" / "Stable-diffusion",
    )


def test_ensure_makes_the_folders_users_put_files_into(tmp_path):
    paths = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "new")]))
    paths.ensure()
    assert paths.checkpoints.is_dir()
    assert paths.vae.is_dir()


def test_a_flag_whose_part_is_not_built_says_so():
    assert parse_flags(["--opt-channelslast", "--filenames-max-length", "64"]).notes == (
        "--opt-channelslast is accepted; it has no effect yet.",
        "--filenames-max-length is accepted; it has no effect yet.",
    )


def test_safe_and_test_mode_are_no_notes():
    assert parse_flags(["--safe-mode", "--test-mode", "--no-hashing"]).notes == ()
