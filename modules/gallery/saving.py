"""Writing results to disk: folders, numbered names, side files; every file whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.gallery.encode import EncodedImage, Seal, encode_image
from modules.gallery.errors import DiskFullError, ImageSaveError
from modules.gallery.folder_lock import folder_lock
from modules.gallery.grid import make_grid
from modules.gallery.image_info import open_image, read_image_info
from modules.gallery.names import sanitize_name
from modules.gallery.orphans import Adopt, find_orphan, sweep
from modules.gallery.patterns import NameContext, apply_pattern
from modules.settings import atomic
from modules.settings.paths import Paths

MAX_NUMBER_TRIES = 500

DEFAULT_FOLDERS = {
    ("txt2img", False): ("outdir_txt2img_samples", "outputs/txt2img-images"),
    ("img2img", False): ("outdir_img2img_samples", "outputs/img2img-images"),
    ("extras", False): ("outdir_extras_samples", "outputs/extras-images"),
    ("txt2img", True): ("outdir_txt2img_grids", "outputs/txt2img-grids"),
    ("img2img", True): ("outdir_img2img_grids", "outputs/img2img-grids"),
}
"""Setting and default by kind of job and whether it is a grid."""

INIT_FOLDER = "outputs/init-images"

_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

log = logging.getLogger("easel.gallery")


@dataclass(frozen=True)
class SavedImage:
    """Where a picture went: the file, its text, files written beside it, and a remark or ""."""

    path: Path
    infotext: str
    copies: tuple[Path, ...] = ()
    note: str = ""


def save_image(
    image: Image.Image,
    infotext: str,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    *,
    kind: str = "txt2img",
    folder: Path | None = None,
    file_format: str | None = None,
    chunks: Mapping[str, str] | None = None,
    name: str | None = None,
    suffix: str = "",
    caption: str | None = None,
    encoded: EncodedImage | None = None,
    seal: Seal | None = None,
    adopt: Adopt | None = None,
) -> SavedImage:
    """Write one picture as the settings say; its name is new and no existing file is lost.

    `folder` replaces the folder of the settings, `name` their file name pattern and number; a taken
    name gets a number behind it. `suffix` ends the name; `caption` goes into a text file beside it;
    `encoded` is the file's content where it was made before; `seal` signs it where it was not.
    With `adopt` a file of the same bytes that a killed program left is taken instead of a new one.
    An override of a single request must not choose the `outdir_*` settings; that is the caller's to
    check.

    Raises:
        DiskFullError: no space is left; the picture is unharmed.
        ImageSaveError: the folder cannot be made or written, or the format is unknown.
    """
    context = replace(context, image_hash=context.image_hash or (lambda: _pixel_hash(image)))
    chosen = file_format or str(options.get("samples_format") or "png")
    encoded = encoded or _encode(image, chosen, infotext, options, chunks, seal)
    subfolders = bool(options.get("save_to_dirs", True))
    target = _folder(kind, False, context, options, paths, folder, subfolders)
    given = sanitize_name(name, 200) if name else ""
    ending = sanitize_name(suffix, 60)
    stem = given or _image_name(context, options, subfolders)
    numbered = not given and (bool(options.get("save_images_add_number", True)) or not stem)
    with _named_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        if numbered:
            with folder_lock(target, paths.cache / "locks"):
                path = _left_behind(target, encoded, adopt)
                path = path or _write_numbered(target, "", stem, encoded, ending)
        else:
            action = options.get("save_images_replace_action", "Replace")
            replaces = not given and action == "Replace"
            path = _left_behind(target, encoded, adopt)
            path = path or _write_named(target, stem + ending, encoded, replaces)
    return _with_side_files(image, path, infotext, encoded, options, caption, seal)


def save_init_image(source: Path, options: Mapping[str, Any], paths: Paths) -> str:
    """Copy a job's input picture to the folder for init images, unless it is there already.

    Gives the MD5 of its pixels, which is its name and the infotext's "Init image hash".

    Raises:
        GalleryError: it cannot be read or written.
    """
    data = source.read_bytes()
    image = open_image(data)
    digest = hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()
    folder = paths.data / Path(str(options.get("outdir_init_images") or INIT_FOLDER)).expanduser()
    path = folder / f"{digest}.{read_image_info(data).format.lower() or 'png'}"
    with _named_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            atomic.write_bytes(path, data)
    return digest


def save_grid(
    images: Sequence[Image.Image],
    infotext: str,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    *,
    kind: str = "txt2img",
    folder: Path | None = None,
) -> tuple[Image.Image, SavedImage]:
    """Make the grid of a job's pictures and write it as `grid-NNNN`; gives both.

    Raises:
        GalleryError: the grid is too large (see `make_grid`).
        ImageSaveError: as `save_image`.
    """
    sheet = make_grid(images, context.batch_size, options)
    return sheet, save_sheet(sheet, infotext, context, options, paths, kind=kind, folder=folder)


def save_sheet(
    sheet: Image.Image,
    infotext: str,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    *,
    kind: str = "txt2img",
    folder: Path | None = None,
    seal: Seal | None = None,
    adopt: Adopt | None = None,
) -> SavedImage:
    """Write a finished grid as `grid-NNNN`, with seed and prompt when `grid_extended_filename`.

    Raises:
        ImageSaveError: as `save_image`.
    """
    context = replace(context, is_grid=True)
    chosen = str(options.get("grid_format") or "png")
    encoded = _encode(sheet, chosen, infotext, options, None, seal)
    subfolders = bool(options.get("grid_save_to_dirs", True))
    target = _folder(kind, True, context, options, paths, folder, subfolders)
    extended = bool(options.get("grid_extended_filename", False))
    name = _image_name(context, options, subfolders) if extended else ""
    with _named_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        with folder_lock(target, paths.cache / "locks"):
            path = _left_behind(target, encoded, adopt)
            path = path or _write_numbered(target, "grid", name, encoded)
    return _with_side_files(sheet, path, infotext, encoded, options, seal=seal)


def save_data(
    data: bytes,
    extension: str,
    name: str,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    *,
    kind: str = "txt2img",
) -> Path:
    """Write a finished file (a film, a table) among the grids, as `name-NNNN.extension`.

    Raises:
        ImageSaveError: as `save_image`.
    """
    subfolders = bool(options.get("grid_save_to_dirs", True))
    context = replace(context, is_grid=True)
    target = _folder(kind, True, context, options, paths, None, subfolders)
    with _named_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        with folder_lock(target, paths.cache / "locks"):
            encoded = EncodedImage(data, extension)
            return _write_numbered(target, sanitize_name(name), "", encoded)


def _left_behind(folder: Path, encoded: EncodedImage, adopt: Adopt | None) -> Path | None:
    sweep(folder)
    if adopt is None:
        return None
    return find_orphan(folder, encoded.data, encoded.extension, adopt)


def write_params_file(paths: Paths, infotext: str) -> None:
    """Keep the text of the last generation in `params.txt`; a failure is only logged."""
    try:
        atomic.write_text(paths.params_file, infotext)
    except OSError as error:
        log.warning("%s cannot be written: %s", paths.params_file, error)


def output_folder(kind: str, is_grid: bool, options: Mapping[str, Any], paths: Paths) -> Path:
    """The folder of the settings, before date sub-folders; relative ones lie in the data folder."""
    key, default = DEFAULT_FOLDERS.get((kind, is_grid), DEFAULT_FOLDERS["txt2img", is_grid])
    common = options.get("outdir_grids" if is_grid else "outdir_samples")
    chosen = str(common or options.get(key) or default)
    return paths.data / Path(chosen).expanduser()


def next_number(folder: Path, basename: str = "") -> int:
    """One more than the highest number that a name in `folder` begins with, from 0.

    With `basename` "grid" names such as `grid-0012.png` count.
    """
    pattern = re.compile(rf"{re.escape(basename + '-') if basename else ''}(\d{{1,9}})(?=[-.]|$)")
    highest = -1
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = pattern.match(entry.name)
                if match:
                    highest = max(highest, int(match.group(1)))
    except FileNotFoundError:
        return 0
    return highest + 1


def _folder(
    kind: str,
    is_grid: bool,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    folder: Path | None,
    subfolders: bool,
) -> Path:
    base = folder if folder is not None else output_folder(kind, is_grid, options, paths)
    if not subfolders:
        return base
    pattern = str(options.get("directories_filename_pattern") or "[date]")
    parts = re.split(r"[/\\]+", apply_pattern(pattern, context))
    names = [sanitize_name(part) for part in parts if part.strip(" .")]
    return base.joinpath(*[name for name in names if name][:8])


def _image_name(context: NameContext, options: Mapping[str, Any], subfolders: bool) -> str:
    default = "[seed]" if subfolders else "[seed]-[prompt_spaces]"
    pattern = str(options.get("samples_filename_pattern") or default)
    return sanitize_name(apply_pattern(pattern, context), 200)


def _write_numbered(
    folder: Path, basename: str, name: str, encoded: EncodedImage, suffix: str = ""
) -> Path:
    """Create `NNNNN-name.ext` or `grid-NNNN-name.ext` under the next free number."""
    first = next_number(folder, basename)
    ending = (f"-{name}" if name else "") + suffix
    for number in range(first, first + MAX_NUMBER_TRIES):
        start = f"{basename}-{number:04}" if basename else f"{number:05}"
        path = folder / f"{start}{ending}.{encoded.extension}"
        try:
            atomic.write_new(path, encoded.data)
        except FileExistsError:
            continue
        return path
    raise ImageSaveError(f"No free number was found in the folder {folder}.")


def _write_named(folder: Path, name: str, encoded: EncodedImage, replaces: bool) -> Path:
    """Create `name.ext`; an existing one is replaced, or evaded by a number."""
    path = folder / f"{name}.{encoded.extension}"
    if replaces:
        atomic.write_bytes(path, encoded.data)
        return path
    for number in range(MAX_NUMBER_TRIES):
        try:
            atomic.write_new(path, encoded.data)
        except FileExistsError:
            path = folder / f"{name}-{number + 1}.{encoded.extension}"
            continue
        return path
    raise ImageSaveError(f"No free name like {path.name} was found in the folder {folder}.")


def _with_side_files(
    image: Image.Image,
    path: Path,
    infotext: str,
    encoded: EncodedImage,
    options: Mapping[str, Any],
    caption: str | None = None,
    seal: Seal | None = None,
) -> SavedImage:
    """The `.txt` and the smaller JPEG beside the file; their failure does not lose the picture."""
    copies: list[Path] = []
    note = encoded.note
    try:
        beside = infotext + "\n" if options.get("save_txt", False) and infotext else ""
        beside = caption if caption is not None else beside
        if beside:
            atomic.write_text(path.with_suffix(".txt"), beside)
            copies.append(path.with_suffix(".txt"))
        small = _small_copy(image, infotext, encoded, options, seal)
        if small is not None:
            atomic.write_bytes(path.with_suffix(".jpg"), small.data)
            copies.append(path.with_suffix(".jpg"))
    except OSError as error:
        log.warning("A file beside %s cannot be written: %s", path, error)
        note = f"{note} A file beside the picture could not be written.".strip()
    return SavedImage(path, infotext, tuple(copies), note)


def _small_copy(
    image: Image.Image,
    infotext: str,
    encoded: EncodedImage,
    options: Mapping[str, Any],
    seal: Seal | None = None,
) -> EncodedImage | None:
    """A JPEG within the limits, when the picture exceeds them and is no JPEG itself."""
    if not options.get("export_for_4chan", True) or encoded.extension in ("jpg", "jpeg"):
        return None
    side = max(1, int(options.get("target_side_length", 4000)))
    limit = float(options.get("img_downscale_threshold", 4.0)) * 1024 * 1024
    oversize = max(image.size) > side
    if not oversize and len(encoded.data) <= limit:
        return None
    copy = image
    if oversize:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        copy = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small = encode_image(copy, "jpg", infotext, options, seal=seal)
    if small.extension != "jpg":
        small = encode_image(copy, "jpg", "", options, seal=seal)
    return small if small.extension == "jpg" else None


def _encode(
    image: Image.Image,
    file_format: str,
    infotext: str,
    options: Mapping[str, Any],
    chunks: Mapping[str, str] | None,
    seal: Seal | None = None,
) -> EncodedImage:
    try:
        return encode_image(image, file_format, infotext, options, chunks=chunks, seal=seal)
    except ValueError as error:
        raise ImageSaveError(str(error)) from error


def _pixel_hash(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


class _named_errors:  # noqa: N801 - used as a statement, like contextlib's own
    """Turns an OSError of saving into the gallery's errors, with the folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno in _NO_SPACE:
                raise DiskFullError(
                    f"No space is left for the picture in the folder {self.folder}.", self.folder
                ) from error
            reason = error.strerror or "the system refuses"
            raise ImageSaveError(
                f"The picture cannot be saved in the folder {self.folder}: {reason}.",
                self.folder,
                reason,
            ) from error
