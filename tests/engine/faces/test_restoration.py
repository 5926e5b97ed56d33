"""Restoring faces: found, aligned, restored, blended back, and nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from modules.catalog.download import DownloadFailed
from modules.catalog.restorers import find_restorer, list_restorers
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.postprocess.faces import (
    restoration,
    restore,
    restore_faces,
    shared_detector,
)
from modules.engine.postprocess.faces.alignment import FFHQ_TEMPLATE, aligned
from modules.engine.postprocess.faces.blending import feathered, lay_in, of_classes
from modules.engine.weight_files import read_weights, state_dict_of
from modules.requests.errors import NotFoundInList, RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from tests.engine.faces.conftest import with_file

CPU = torch.device("cpu")


def restored(image, resources, visibility=1.0, **more):
    return restoration(image, "GFPGAN", visibility, 0.5, resources, CPU, **more)


def changed(before, after):
    return (np.asarray(before) != np.asarray(after)).any(axis=2)


def cut_outs(picture, side=512):
    faces = shared_detector().detect(picture)
    return list(aligned(np.asarray(picture), faces, side))


def test_a_face_is_repainted_and_the_background_stays_identical(photo, resources):
    result = restored(photo, resources)
    assert len(result.faces) == 1 and result.image.size == photo.size
    moved = changed(photo, result.image)
    left, top, right, bottom = (round(edge) for edge in result.faces[0].box)
    assert moved[top + 20 : bottom - 20, left + 10 : right - 10].mean() > 0.99
    moved[max(0, top - 50) : bottom + 30, left - 50 : right + 50] = False
    assert not moved.any()


def test_the_same_picture_always_gives_the_same_result(photo, resources):
    assert restored(photo, resources).image.tobytes() == restored(photo, resources).image.tobytes()


def test_visibility_blends(photo, resources):
    before = np.asarray(photo, float)
    whole = np.asarray(restored(photo, resources).image, float) - before
    half = np.asarray(restored(photo, resources, 0.5).image, float) - before
    np.testing.assert_allclose(half, whole / 2, atol=1.01)
    assert restored(photo, resources, 0.0).image is photo


def test_every_face_is_restored(two_faces, resources):
    told = []
    result = restored(two_faces, resources, watch=lambda done, total: told.append((done, total)))
    assert len(result.faces) == 2
    assert told == [(0, 2), (1, 2), (2, 2)]
    columns = changed(two_faces, result.image).any(axis=0)
    assert columns[:320].any() and columns[400:].any() and not columns[250:400].any()


def test_the_watch_can_stop_it(two_faces, resources):
    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        restored(two_faces, resources, watch=stop)


def test_without_a_face_the_picture_is_returned_as_it_is(resources):
    plain = Image.new("RGB", (128, 96), (10, 200, 30))
    result = restored(plain, resources)
    assert result.image is plain and result.faces == ()


def test_transparency_and_grey_survive(photo, resources):
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    result = restored(clear, resources).image
    assert result.mode == "RGBA"
    assert result.getchannel("A").tobytes() == clear.getchannel("A").tobytes()
    assert restored(photo.convert("L"), resources).image.mode == "L"


def test_the_package_itself_gives_the_same_pixels(photo, gfpgan_file):
    """`GFPGANer.enhance`, on an aligned face, with the noise that the file holds."""
    from gfpgan import GFPGANer

    from modules.engine.postprocess.faces.gfpgan_network import GfpganRestorer

    ours = GfpganRestorer(gfpgan_file, CPU)
    package = GFPGANer.__new__(GFPGANer)  # its __init__ downloads a detector and a parser
    package.device, package.face_helper = CPU, _Aligned()
    package.gfpgan = lambda pixels, **more: ours._network(pixels, randomize_noise=False, **more)
    (cut_out,) = cut_outs(photo)
    _, theirs, _ = package.enhance(cut_out.pixels[:, :, ::-1].copy(), has_aligned=True)
    pixels = torch.from_numpy(cut_out.pixels.transpose(2, 0, 1).copy())[None] / 127.5 - 1
    result = ((ours(pixels, 0.5)[0].clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).numpy()
    np.testing.assert_allclose(result, theirs[0][:, :, ::-1], atol=1.01)


class _Aligned:
    """What `GFPGANer` needs of facexlib's helper for a face that is aligned already."""

    def __init__(self):
        self.cropped_faces, self.restored_faces = [], []

    def clean_all(self):
        self.cropped_faces, self.restored_faces = [], []

    def add_restored_face(self, face):
        self.restored_faces.append(face)


def test_eyes_nose_and_mouth_come_to_lie_on_the_template(photo):
    (cut_out,) = cut_outs(photo)
    landmarks = np.c_[np.array(cut_out.face.landmarks), np.ones(5)] @ cut_out.matrix.T
    assert np.abs(landmarks - FFHQ_TEMPLATE).max() < 25
    assert cut_out.pixels.shape == (512, 512, 3)


def test_a_turned_face_is_cut_out_upright(photo):
    turned = photo.rotate(20, Image.BICUBIC, fillcolor="gray")
    (straight,), (leaning,) = cut_outs(photo), cut_outs(turned)
    eyes = np.c_[np.array(leaning.face.landmarks[:2]), np.ones(2)] @ leaning.matrix.T
    assert abs(eyes[0, 1] - eyes[1, 1]) < 12
    difference = np.abs(straight.pixels.astype(float) - leaning.pixels)[150:380, 150:360]
    assert difference.mean() < 25


def test_a_cut_out_laid_in_unchanged_changes_almost_nothing(photo):
    (cut_out,) = cut_outs(photo)
    picture = np.array(photo)
    lay_in(picture, cut_out.pixels, cut_out.matrix, feathered(512))
    assert np.abs(picture.astype(int) - np.asarray(photo)).mean() < 0.6


def test_a_face_at_the_border_is_laid_in_as_far_as_it_reaches(photo, resources):
    cut = photo.crop((130, 0, 320, 200))
    result = restored(cut, resources)
    assert len(result.faces) == 1
    assert changed(cut, result.image)[80:150, 0].any()


def test_masks_end_before_the_border():
    for side in (16, 64, 512):
        mask = feathered(side)
        assert mask[side // 2, side // 2] == pytest.approx(1.0) and mask.min() >= 0
        assert not mask[0].any() and not mask[:, -1].any()
    classes = np.zeros((512, 512), int)
    classes[100:400, 100:400] = 1
    classes[100:200, 100:400] = 17
    outline = of_classes(classes, 256)
    assert outline[150, 125] == pytest.approx(1) and outline[70, 125] < 0.01


def test_a_safetensors_file_does_the_same(photo, gfpgan_file, tmp_path, resources):
    from safetensors.torch import save_file

    state = state_dict_of(read_weights(gfpgan_file), "params_ema")
    path = tmp_path / "GFPGANv1.4.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    assert restored(photo, with_file(path)).image == restored(photo, resources).image


def test_files_that_are_no_restorers_are_named(photo, tmp_path):
    path = tmp_path / "GFPGANv1.4.pth"
    torch.save({"params": {"conv_body_first.0.weight": torch.zeros(3)}}, path)
    with pytest.raises(ModelLoadError, match=r"before version 1\.2"):
        restored(photo, with_file(path))
    torch.save({"some.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelLoadError, match="is not a GFPGAN network"):
        restored(photo, with_file(path))
    with pytest.raises((ModelLoadError, RequestError), match="CodeFormer"):
        restore_faces(photo, "codeformer", 1, 0.5, with_file(path, "CodeFormer"), CPU)


def test_a_missing_file_is_fetched_or_named_with_its_address(photo, tmp_path, gfpgan_file):
    missing = with_file(tmp_path / "GFPGANv1.4.pth")
    with pytest.raises(DownloadFailed) as failed:
        restored(photo, missing)
    assert "GFPGANv1.4.pth" in failed.value.sentence and str(tmp_path) in failed.value.sentence
    assert "https://example.invalid/GFPGANv1.4.pth" in failed.value.sentence
    asked = []
    result = restored(photo, missing, fetch=lambda info: asked.append(info.name) or gfpgan_file)
    assert asked == ["GFPGAN"] and result.faces


def test_what_does_not_fit_into_the_devices_memory_is_done_by_the_processor(
    photo, resources, monkeypatch
):
    expected = restored(photo, resources).image
    load = restore._restorer

    def full(name, path, size, time, device):
        if device.type == "meta":
            raise torch.OutOfMemoryError("out of memory")
        return load(name, path, size, time, device)

    full.cache_clear = load.cache_clear
    monkeypatch.setattr(restore, "_restorer", full)
    result = restoration(photo, "GFPGAN", 1.0, 0.5, resources, torch.device("meta"))
    assert result.image == expected


def test_an_unknown_method_is_answered_with_the_known_ones(photo, resources):
    with pytest.raises(NotFoundInList, match="GFPGAN, CodeFormer"):
        restore_faces(photo, "RestoreAll", 1, 0, resources, CPU)


def test_the_catalog_knows_where_the_files_are_or_would_be(tmp_path):
    paths = Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))
    codeformer, gfpgan = list_restorers(paths)
    assert (codeformer.name, gfpgan.name) == ("CodeFormer", "GFPGAN")
    assert not gfpgan.present and gfpgan.path == paths.gfpgan / "GFPGANv1.4.pth"
    assert str(paths.gfpgan) in gfpgan.missing() and gfpgan.url in gfpgan.missing()
    paths.gfpgan.mkdir(parents=True)
    for name in ("GFPGANv1.3.pth", "gfpganv1.4.SAFETENSORS", "notes.txt"):
        (paths.gfpgan / name).write_bytes(b"x")
    found = find_restorer("gfpgan", paths)
    assert found.present and found.path.name == "gfpganv1.4.SAFETENSORS"
    assert type(found).from_json(found.to_json()) == found
    with pytest.raises(NotFoundInList, match="CodeFormer, GFPGAN"):
        find_restorer("Remini", paths)
