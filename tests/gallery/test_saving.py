"""Saving: folders, numbers, side files, failures."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.gallery import (
    DiskFullError,
    GalleryError,
    ImageSaveError,
    SavedImage,
    context_of,
    image_infotext,
    make_grid,
    read_image_info,
    save_grid,
    save_image,
    write_params_file,
)
from modules.gallery.grid import grid_rows
from modules.gallery.saving import next_number
from modules.settings.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
Fields = dict[str, Any]


def picture(color: str = "red", size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, color)


def save(
    image: Image.Image, facts: Fields, request: Fields, options: Fields, paths: Paths
) -> SavedImage:
    text = image_infotext(facts, request, options)
    return save_image(image, text, context_of(facts, request, options), options, paths)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_lands_where_a1111_puts_it(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    saved = save(picture(), facts, request_fields, options, paths)
    today = datetime.now().strftime("%Y-%m-%d")
    folder = paths.data / "outputs" / "txt2img-images" / today
    assert saved.path == folder / "00000-1234.png"
    assert read_image_info(saved.path).text == saved.infotext
    assert "Seed: 1234" in saved.infotext
    assert names(folder) == ["00000-1234.png"]


def test_numbers_count_on_per_folder(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    for _ in range(3):
        saved = save(picture(), facts, request_fields, options, paths)
    assert saved.path.name == "00002-1234.png"
    (saved.path.parent / "00041-x.jpg").write_bytes(b"")
    (saved.path.parent / "99-no number.txt").write_bytes(b"")
    saved = save(picture(), facts, request_fields, options, paths)
    assert saved.path.name == "00100-1234.png"


def test_settings_choose_folder_name_and_format(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths, tmp_path: Path
) -> None:
    options |= {"outdir_samples": str(tmp_path / "my own"), "samples_format": "webp"}
    options |= {"directories_filename_pattern": "[model_name]/../[sampler]//x:y"}
    options |= {"samples_filename_pattern": "[seed]-[prompt_words]-[cfg]"}
    saved = save(picture(), facts, request_fields, options, paths)
    folder = tmp_path / "my own" / "easel-starter" / "DPM++ 2M" / "x_y"
    assert saved.path == folder / "00000-1234-a cat sharp 1 2-7.webp"


def test_without_subfolders_the_name_tells_the_prompt(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"save_to_dirs": False}
    saved = save(picture(), facts, request_fields, options, paths)
    assert saved.path.parent.name == "txt2img-images"
    assert saved.path.name == "00000-1234-a cat, (sharp_1.2).png"


def test_without_numbers_the_same_name_is_replaced_or_evaded(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"save_images_add_number": False}
    first = save(picture("red"), facts, request_fields, options, paths)
    second = save(picture("blue"), facts, request_fields, options, paths)
    assert first.path == second.path
    assert Image.open(second.path).getpixel((0, 0)) == (0, 0, 255)
    options |= {"save_images_replace_action": "Add number suffix"}
    third = save(picture(), facts, request_fields, options, paths)
    fourth = save(picture(), facts, request_fields, options, paths)
    assert [third.path.name, fourth.path.name] == ["1234-1.png", "1234-2.png"]


def test_long_prompts_of_any_script_fit_into_a_name(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"samples_filename_pattern": "[prompt_spaces]-[prompt_spaces]-[prompt]"}
    for prompt in ("猫" * 500, "🙂" * 500, "../../x", "con", "a\nb"):
        saved = save(picture(), {**facts, "prompt": prompt}, request_fields, options, paths)
        assert saved.path.is_file()
        assert len(saved.path.name.encode()) < 255


def test_a_text_file_can_stand_beside_the_picture(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"save_txt": True}
    saved = save(picture(), facts, request_fields, options, paths)
    assert saved.path.with_suffix(".txt").read_text("utf-8") == saved.infotext + "\n"
    assert saved.copies == (saved.path.with_suffix(".txt"),)


def test_large_pictures_get_a_small_jpeg_copy(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"target_side_length": 100}
    saved = save(picture(size=(200, 50)), facts, request_fields, options, paths)
    with Image.open(saved.path.with_suffix(".jpg")) as copy:
        assert copy.size == (100, 25)
    assert read_image_info(saved.path.with_suffix(".jpg")).text == saved.infotext
    options |= {"export_for_4chan": False}
    again = save(picture(size=(200, 50)), facts, request_fields, options, paths)
    assert again.copies == ()


def test_heavy_pictures_get_a_jpeg_copy_too(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    options |= {"img_downscale_threshold": 0.01}
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    saved = save(noise, facts, request_fields, options, paths)
    assert [path.suffix for path in saved.copies] == [".jpg"]


def test_threads_never_share_a_number(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    saved: list[Path] = []

    def work(seed: int) -> None:
        for _ in range(5):
            fields = {**facts, "seed": seed}
            saved.append(save(picture(), fields, request_fields, options, paths).path)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(path.name[:5]) for path in saved) == list(range(20))


WORKER = """
import sys
from pathlib import Path
from PIL import Image
from modules.gallery import NameContext, save_image
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
paths = Paths.from_flags(parse_flags(["--data-dir", sys.argv[1]]))
for _ in range(6):
    save_image(Image.new("RGB", (8, 8)), "", NameContext(seed=int(sys.argv[2])), {}, paths)
"""


def test_processes_never_share_a_number(paths: Paths) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(paths.data), str(seed)], cwd=ROOT)
        for seed in range(3)
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    (folder,) = (paths.data / "outputs" / "txt2img-images").iterdir()
    assert [int(name[:5]) for name in names(folder)] == list(range(18))


def test_a_full_disk_is_named_and_leaves_nothing_behind(
    facts: Fields,
    request_fields: Fields,
    options: Fields,
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = save(picture(), facts, request_fields, options, paths).path.parent
    image = picture()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="No space is left"):
        save(image, facts, request_fields, options, paths)
    monkeypatch.undo()
    assert names(folder) == ["00000-1234.png"]
    assert image.getpixel((0, 0)) == (255, 0, 0)


def test_a_folder_that_cannot_be_made_is_named(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    options |= {"outdir_samples": str(tmp_path / "file" / "below")}
    with pytest.raises(ImageSaveError, match="file"):
        save(picture(), facts, request_fields, options, paths)


def test_an_unknown_format_is_a_named_error(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    with pytest.raises(ImageSaveError, match="bmp"):
        save(picture(), facts, request_fields, {**options, "samples_format": "bmp"}, paths)


def test_grids_are_numbered_on_their_own(
    facts: Fields, request_fields: Fields, options: Fields, paths: Paths
) -> None:
    images = [picture("red"), picture("green"), picture("blue")]
    context = context_of(facts, request_fields, options)
    sheet, saved = save_grid(images, "text", context, options, paths)
    assert saved.path.name == "grid-0000.png"
    assert saved.path.parents[1].name == "txt2img-grids"
    assert sheet.size == (128, 96)
    assert sheet.getpixel((64, 0)) == (0, 128, 0)
    assert sheet.getpixel((127, 95)) == (255, 255, 255)
    options |= {"grid_extended_filename": True}
    _, again = save_grid(images, "text", context, options, paths)
    assert again.path.name == "grid-0001-1234.png"


@pytest.mark.parametrize(
    ("count", "batch", "options", "rows"),
    [
        (1, 1, {}, 1),
        (4, 1, {}, 2),
        (5, 1, {}, 2),
        (7, 1, {}, 3),
        (6, 2, {"n_rows": 0}, 2),
        (6, 1, {"n_rows": 4}, 4),
        (3, 1, {"n_rows": 9}, 3),
        (7, 1, {"grid_prevent_empty_spots": True}, 1),
        (8, 1, {"grid_prevent_empty_spots": True}, 2),
    ],
)
def test_grid_rows_follow_the_settings(count: int, batch: int, options: Fields, rows: int) -> None:
    assert grid_rows(count, batch, options) == rows


def test_a_grid_above_the_limit_is_refused_before_it_is_made() -> None:
    with pytest.raises(GalleryError, match="img_max_size_mp"):
        make_grid([picture(size=(2000, 2000))] * 4, 1, {"img_max_size_mp": 10})
    with pytest.raises(GalleryError):
        make_grid([], 1, {})


def test_the_last_text_is_kept(paths: Paths) -> None:
    paths.data.mkdir(parents=True)
    write_params_file(paths, "text")
    assert paths.params_file.read_text("utf-8") == "text"


def test_writing_the_last_text_never_fails_a_job(paths: Paths) -> None:
    write_params_file(paths, "no folder yet")


def test_next_number_reads_only_leading_numbers(tmp_path: Path) -> None:
    assert next_number(tmp_path / "none") == 0
    for name in ("00003-a.png", "grid-0007.png", "x-00009.png", "00005.png", "0006x.png"):
        (tmp_path / name).write_bytes(b"")
    assert next_number(tmp_path) == 6
    assert next_number(tmp_path, "grid") == 8
