"""What the command line changes in the parts of the program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modules.jobs.backends.environment import engine_command
from modules.requests.errors import RequestError
from modules.requests.limits import TEST_LIMITS
from modules.settings.flags import parse_flags
from modules.web.compose import build_context
from modules.web.context import AppContext
from modules.web.exposure import StartRefused, gate_config
from modules.web.rest.stopping import stop_router
from tests.catalog.files import write_tensors


@contextmanager
def composed(data: Path, *flags: str) -> Iterator[AppContext]:
    context = build_context(parse_flags(["--data-dir", str(data), *flags]))
    try:
        yield context
    finally:
        context.jobs.store.close()
        context.lock.release()


def test_safe_mode_takes_the_defaults_and_leaves_the_users_file(tmp_path: Path) -> None:
    stored = tmp_path / "config.json"
    stored.write_text(json.dumps({"jpeg_quality": 42}), encoding="utf-8")
    with composed(tmp_path, "--safe-mode") as context:
        assert context.options["jpeg_quality"] == 80
        context.options.set_many({"jpeg_quality": 55})
    assert json.loads(stored.read_text(encoding="utf-8")) == {"jpeg_quality": 42}


def test_test_mode_has_small_limits_and_an_ordinary_start_has_not(tmp_path: Path) -> None:
    with composed(tmp_path, "--test-mode") as context:
        assert context.jobs.preparer.ceiling == TEST_LIMITS
    with composed(tmp_path) as context:
        assert context.jobs.preparer.ceiling is None


def test_the_vae_of_the_command_line_reaches_the_jobs(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    shapes = {"decoder.conv_in.weight": (8, 4, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}
    write_tensors(path, shapes)
    with composed(tmp_path, "--vae-path", str(path)) as context:
        checkpoint = context.catalog.find_checkpoint("easel-starter")
        assert context.jobs.preparer.vae_for("Automatic", checkpoint) == str(path)


def test_a_missing_vae_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(RequestError, match="--vae-path: there is no file"),
        composed(tmp_path, "--vae-path", str(tmp_path / "gone.safetensors")),
    ):
        pass


def test_no_hashing_reaches_the_engine(tmp_path: Path) -> None:
    with composed(tmp_path, "--no-hashing") as context:
        command = engine_command(context.paths, context.flags, {})
    assert json.loads(command[command.index("--flags-json") + 1])["no_hashing"] is True


@pytest.mark.parametrize(("flags", "routes"), [([], 0), (["--api-server-stop"], 3)])
def test_the_api_can_stop_the_program_only_with_the_flag(
    tmp_path: Path, flags: list[str], routes: int
) -> None:
    with composed(tmp_path, *flags) as context:
        assert len(stop_router(context).routes) == routes


def test_a_cluster_is_refused_with_one_sentence() -> None:
    with pytest.raises(StartRefused, match="--ray is refused"):
        gate_config(parse_flags(["--ray", "auto"]))
