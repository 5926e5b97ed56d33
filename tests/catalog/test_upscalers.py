"""The list of upscalers: names, files, what ships, what can be downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.upscalers import KNOWN, UpscalerInfo, find_upscaler, list_upscalers
from modules.requests.errors import NotFoundInList
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An installation without models of its own."""
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))


def put(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return file


def test_the_plain_ones_come_first_and_models_by_name(paths: Paths) -> None:
    names = [info.name for info in list_upscalers(paths) if not info.hidden]
    assert names == [
        *("None", "Lanczos", "Nearest", "DAT x2", "DAT x3", "DAT x4", "ESRGAN_4x"),
        *("R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B", "R-ESRGAN AnimeVideo"),
        *("ScuNET GAN", "ScuNET PSNR", "SwinIR 4x"),
    ]


def test_real_esrgan_ships_with_the_program(paths: Paths) -> None:
    shipped = [info.name for info in list_upscalers(paths) if info.path and info.present]
    assert shipped == ["R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B", "R-ESRGAN AnimeVideo"]


def test_files_of_the_user_appear_under_their_own_names(paths: Paths) -> None:
    file = put(paths.esrgan / "sub" / "4x-UltraSharp.pth")
    put(paths.models / "SwinIR" / "2x_tiny.safetensors")
    put(paths.esrgan / "notes.txt")
    found = {info.name: info for info in list_upscalers(paths)}
    assert found["4x-UltraSharp"].path == file
    assert found["4x-UltraSharp"].scale == 4
    assert found["2x_tiny"].scale == 2
    assert "notes" not in found


def test_a_known_file_is_found_where_a1111_puts_it(paths: Paths) -> None:
    file = put(paths.models / "SwinIR" / "SwinIR_4x.pth")
    swinir = find_upscaler("SwinIR 4x", list_upscalers(paths))
    assert swinir.path == file
    assert swinir.present
    assert [info.name for info in list_upscalers(paths)].count("SwinIR_4x") == 0


def test_hidden_models_show_when_their_file_is_there_or_they_are_enabled(paths: Paths) -> None:
    def hidden(name: str, options: dict[str, object] | None = None) -> bool:
        return find_upscaler(name, list_upscalers(paths, options)).hidden

    assert hidden("R-ESRGAN 2x+")
    assert not hidden("R-ESRGAN 2x+", {"realesrgan_enabled_models": ["R-ESRGAN 2x+"]})
    put(paths.realesrgan / "RealESRGAN_x2plus.pth")
    assert not hidden("R-ESRGAN 2x+")


def test_a_download_has_an_address_a_size_a_hash_and_a_place(paths: Paths) -> None:
    for info in list_upscalers(paths):
        if info.kind != "model" or info.present:
            continue
        assert info.url is not None and info.url.startswith("https://"), info.name
        assert info.size is not None and info.size > 1_000_000, info.name
        assert info.sha256 is not None and len(info.sha256) == 64, info.name
        assert info.path is not None and info.path.is_relative_to(paths.models), info.name
        assert info.licence, info.name
    assert len({known.info.sha256 for known in KNOWN if known.info.sha256}) == 10


@pytest.mark.parametrize("alias", ["r-esrgan 4x+", "RealESRGAN_x4plus", "R-ESRGAN 4x+ "])
def test_an_upscaler_is_found_by_name_or_file(alias: str, paths: Paths) -> None:
    assert find_upscaler(alias, list_upscalers(paths)).name == "R-ESRGAN 4x+"


def test_an_unknown_upscaler_is_refused_with_the_field_and_the_list(paths: Paths) -> None:
    with pytest.raises(NotFoundInList) as caught:
        find_upscaler("R-ESRGAN 5x+", list_upscalers(paths), "upscaler_1")
    assert caught.value.field == "upscaler_1"
    assert "Did you mean" in caught.value.sentence
    assert "R-ESRGAN 2x+" not in caught.value.allowed


def test_an_entry_survives_its_way_through_json(paths: Paths) -> None:
    for info in list_upscalers(paths):
        assert UpscalerInfo.from_json({**info.to_json(), "later": 1}) == info
