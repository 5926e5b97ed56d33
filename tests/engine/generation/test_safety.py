"""Jobs with the safety checker: nothing unchecked leaves the engine, previews included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modules.engine.postprocess.safety import GREY
from tests.engine.generation.conftest import Studio
from tests.support.tiny_checker import write_checker


@pytest.fixture
def checker(studio: Studio):
    folder = Path(studio.paths.models) / "safety_checker"
    yield folder
    for path in folder.glob("*"):
        path.unlink()


def test_blocked_pictures_are_noted_and_have_no_previews(studio: Studio, checker: Path) -> None:
    write_checker(checker, fires=True)
    options = {"safety_checker": "block", "live_previews_enable": True}
    options["show_progress_every_n_steps"] = 1
    result = studio.make(options=options, resources={"safety_checker": str(checker)}, n_iter=2)
    assert result.done
    for made in result.pictures:
        assert (made == GREY).all()
    assert result.extra["Safety checker"] == "blocked"
    assert result.previews == []
    assert [text for text in result.warnings if "safety" in text] == [
        "The safety checker: picture 1 was blocked.",
        "The safety checker: picture 2 was blocked.",
    ]


def test_a_checker_that_does_not_fire_changes_nothing(studio: Studio, checker: Path) -> None:
    write_checker(checker, fires=False)
    asked = {"options": {"safety_checker": "blur"}, "resources": {"safety_checker": str(checker)}}
    checked = studio.make(**asked)
    assert np.array_equal(checked.pictures[0], studio.make().pictures[0])
    assert "Safety checker" not in checked.extra


def test_a_broken_checker_fails_the_job(studio: Studio, checker: Path) -> None:
    write_checker(checker, fires=False)
    (checker / "model.safetensors").write_bytes(b"nothing")
    result = studio.make(
        options={"safety_checker": "blur"}, resources={"safety_checker": str(checker)}
    )
    assert result.failed.failure == "model"
    assert result.pictures == []
