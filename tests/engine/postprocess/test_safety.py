"""The safety checker: a tiny one of the true architecture, weighted to fire or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.safety import GREY, SafetyGuard, blurred
from modules.requests.errors import RequestError
from tests.support.tiny_checker import VISION, write_checker

make_torchvision_importable()


def picture(seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 255, (48, 96, 3), dtype=np.uint8))


def guard(folder: Path, mode: str) -> SafetyGuard:
    return SafetyGuard(mode, {"safety_checker": str(folder)})


@pytest.mark.parametrize("nested", [True, False])
def test_harmless_pictures_pass_untouched(tmp_path, nested):
    write_checker(tmp_path, fires=False, nested=nested)
    image = picture()
    assert guard(tmp_path, "block").passed(0, image) == (image, "")


def test_blocked_pictures_are_plain(tmp_path):
    write_checker(tmp_path, fires=True)
    shown, done = guard(tmp_path, "block").passed(0, picture())
    assert done == "blocked"
    assert shown.size == (96, 48)
    assert shown.getcolors() == [(96 * 48, GREY)]


def test_blurred_pictures_tell_two_pictures_apart_by_their_colours_alone(tmp_path):
    write_checker(tmp_path, fires=True)
    shown, done = guard(tmp_path, "blur").passed(0, picture())
    assert done == "blurred"
    assert shown.size == (96, 48)
    # A picture with all fine detail taken away beforehand gives nearly the same.
    coarse = picture().resize((12, 6), Image.Resampling.BOX).resize((96, 48), Image.Resampling.BOX)
    assert np.abs(np.asarray(blurred(coarse), int) - np.asarray(shown, int)).max() <= 2


def test_what_belongs_to_a_hidden_picture_is_hidden(tmp_path, monkeypatch):
    write_checker(tmp_path, fires=True)
    watched = guard(tmp_path, "block")
    watched.passed(3, picture())
    monkeypatch.setattr(watched, "_fires", lambda image: False)
    assert watched.passed(3, picture(1))[1] == "blocked"
    assert watched.passed(4, picture(1))[1] == ""


def test_the_answer_is_that_of_diffusers_own_use(tmp_path):
    """The same pixels through the class as its pipeline calls it."""
    from modules.engine.interrogate.pixels import centred
    from modules.engine.postprocess.safety import _identity, _network

    write_checker(tmp_path, fires=False)
    network = _network(*_identity(tmp_path))
    pixels = centred(picture(), 32)
    scores = torch.nn.functional.cosine_similarity(
        network.visual_projection(network.vision_model(pixels)[1]), network.concept_embeds
    )
    middle = float(scores.max())
    for threshold, fires in ((middle - 0.01, True), (middle + 0.01, False)):
        network.concept_embeds_weights.fill_(threshold)
        assert guard(tmp_path, "block")._fires(picture()) is fires


def test_a_checker_that_is_off_is_none_and_one_without_files_is_told(tmp_path):
    assert SafetyGuard.of_job({"safety_checker": "off"}, {}) is None
    with pytest.raises(RequestError, match="does not say where"):
        SafetyGuard.of_job({"safety_checker": "blur"}, {})
    with pytest.raises(ModelLoadError):
        guard(tmp_path / "missing", "blur")
    write_checker(tmp_path, fires=False)
    (tmp_path / "config.json").write_text(
        json.dumps({"vision_config": {**VISION, "hidden_size": 64}})
    )
    with pytest.raises(ModelLoadError):
        guard(tmp_path, "blur")
