"""Finished pictures on their way to disk, one after another on a thread of their own.

A picture goes to the user's output folder, else (not asked for, disk full, folder not writable)
to the cache folder, else it stays in memory: it can always be seen and downloaded, and the record
says why it is not where it should be.

The record follows the file. A crash in the moment between the two leaves a file without a record;
the resumed job finds it by its bytes and takes it for its own, so that nothing is there twice.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.gallery import (
    EncodedImage,
    GalleryError,
    ImageSaveError,
    NameContext,
    SavedImage,
    context_of,
    encode_image,
    make_grid,
    open_image,
    output_folder,
    save_image,
    save_init_image,
    save_sheet,
    write_params_file,
)
from modules.gallery.encode import Seal
from modules.gallery.orphans import Adopt
from modules.jobs.outcomes import PICTURES, UnitPlace, write_file
from modules.jobs.picture_plan import (
    PicturePlan,
    facts_asked_for,
    is_of_use,
    plan_picture,
    started,
)
from modules.jobs.provenance import credentials, watermarked, watermarked_sheet
from modules.jobs.records import ImageRecord, JobRecord
from modules.jobs.saving_guests import SavingGuests
from modules.jobs.store import JobStore
from modules.jobs.unsaved import Home
from modules.requests import events
from modules.requests.plans import Outcome
from modules.requests.prepared import PreparedJob
from modules.settings import atomic
from modules.settings.paths import Paths

log = logging.getLogger("easel.jobs")

GRID_INDEX = -1
UNSAVED_FOLDER = "results"
MEMORY_BYTES = 256 * 1024 * 1024
"""Of pictures that could be written nowhere; the oldest go first."""
CACHE_BYTES = 1024 * 1024 * 1024
"""Of pictures that were not asked to be saved; the oldest go at the next start."""


class ResultKeeper:
    """Keeps each picture of a job as soon as it is there."""

    def __init__(
        self,
        paths: Paths,
        store: JobStore,
        version: str = "",
        write_params: bool = True,
        folders: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.paths = paths
        self._store = store
        self._version = version
        self._write_params = write_params
        self.folders = folders
        """The output folders that the settings name now, as ``outdir_*``."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="easel-save")
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_lock = threading.Lock()
        self.troubled: Callable[[Exception], None] = lambda error: None
        """Hears of it when a folder of the settings cannot be written."""
        self.guests: SavingGuests | None = None
        """Who sees pictures before and after they are saved."""
        self._unsaved = True
        """Whether pictures may be somewhere else than they should be."""

    def keep(
        self, record: JobRecord, event: events.ImageDone, place: UnitPlace | None = None
    ) -> Future[ImageRecord | None]:
        """Save one picture in the background; the future gives its record.

        None: a picture beside the result that the settings do not want. ``place``: the picture of
        a unit, whose own ``prepared`` the record carries.
        """
        return self._executor.submit(self._keep, record, event, place)

    def keep_sheet(
        self, record: JobRecord, sheet: Image.Image, like: ImageRecord, infotext: str, place: int
    ) -> ImageRecord:
        """Save a grid that a script has made of pictures ``like`` this; ``place`` from 0."""
        work = self._executor.submit(self._keep_sheet, record, sheet, like, infotext, place)
        return work.result()

    def keep_file(
        self, record: JobRecord, like: ImageRecord, outcome: Outcome, place: int
    ) -> ImageRecord | Path:
        """Save a file that a script has made; a record where browsers show it as a picture.

        Raises:
            ImageSaveError: it cannot be written.
        """
        return self._executor.submit(self._keep_file, record, like, outcome, place).result()

    def output_folders(self) -> list[Path]:
        """Where the settings in force put pictures."""
        options = self.folders()
        return [
            output_folder(kind, False, options, self.paths)
            for kind in ("txt2img", "img2img", "extras")
        ]

    def in_memory(self, image_id: str) -> bytes | None:
        """A picture that could be written nowhere."""
        with self._memory_lock:
            return self._memory.get(image_id)

    def close(self) -> None:
        """Finish what is being saved."""
        self._executor.shutdown(wait=True)

    def tidy(self, also: Callable[[], object]) -> None:
        """Delete the oldest unsaved pictures beyond the cache's size, and do ``also``, later on.

        Called once at start.
        """
        self._executor.submit(_prune, self.paths.cache / UNSAVED_FOLDER, CACHE_BYTES)
        self._executor.submit(also)

    def bring_home(self, arrived: Callable[[ImageRecord], None]) -> None:
        """Save what could not be saved before; ``arrived`` hears of each picture.

        Raises:
            ImageSaveError: a folder still refuses.
        """
        if self._unsaved:
            self._executor.submit(self._bring_home, arrived).result()

    def _bring_home(self, arrived: Callable[[ImageRecord], None]) -> None:
        def done(image: ImageRecord) -> None:
            with self._memory_lock:
                self._memory.pop(image.id, None)
            arrived(image)

        home = Home(self.paths, self._version, self.folders, self.bytes_of, self._write)
        home.bring(self._store, done)
        self._unsaved = False

    def _keep(
        self, record: JobRecord, event: events.ImageDone, place: UnitPlace | None = None
    ) -> ImageRecord | None:
        if not is_of_use(event, record.prepared["options"]):
            return None
        image = Image.frombytes(event.mode, (event.width, event.height), event.data)
        image = watermarked(image, record, event)
        init_hash = self._save_init_image(record, event)
        if init_hash:
            extra = {**(event.facts.get("extra") or {}), "Init image hash": init_hash}
            event = replace(event, facts={**event.facts, "extra": extra})
        if event.role != "image":
            event = replace(event, facts={**self._facts_beside(record, event), **event.facts})
        plan = plan_picture(record, event, self.paths, self._version)
        image_id = secrets.token_hex(16)
        if self.guests is not None and plan.wanted:
            # The number in the name is chosen as the file is made; guests get a likely one.
            likely = plan.name or f"{event.index:05}{plan.suffix}"
            folder = plan.folder or self.paths.outputs
            likely = str(folder / f"{likely}.{plan.options.get('samples_format') or 'png'}")
            image, text = self.guests.before(image, plan.text, likely, record.prepared)
            plan = replace(plan, text=text)
        saved, note = self._save(image, plan, record) if plan.wanted else (None, None)
        if self.guests is not None and saved is not None:
            self.guests.after(image, plan.text, str(saved.path), record.prepared)
        name = f"{event.index:05}{plan.suffix}"
        path, name = self._place(
            saved, image_id, image, plan.file_text, plan.options, name, plan.chunks, plan.seal
        )
        first = event.index == 0 and event.role == "image" and record.kind != "extras"
        if first and self._write_params:
            write_params_file(self.paths, plan.text)
        seeds = record.prepared["all_seeds"]
        seed = plan.facts.get("seed", seeds[min(event.index, len(seeds) - 1)])
        kept = ImageRecord(
            id=image_id,
            job=record.id,
            index=event.index,
            kind=event.role,
            path=path,
            name=name,
            width=image.width,
            height=image.height,
            seed=int(seed),
            infotext=plan.text,
            saved=saved is not None,
            note=note,
            created=time.time(),
            facts=plan.facts,
        )
        if place is not None:
            kept = place.of(kept)
        self._store.add_image(kept)
        return kept

    def _facts_beside(self, record: JobRecord, event: events.ImageDone) -> dict[str, Any]:
        """What is known of the image that a mask or an earlier state belongs to."""
        images = self._store.get(record.id).pictures()
        known = next((image.facts for image in images if image.index == event.index), None)
        return known if known is not None else facts_asked_for(record, event.index)

    def _save(
        self, image: Image.Image, plan: PicturePlan, record: JobRecord
    ) -> tuple[SavedImage | None, str | None]:
        """The file in the output folder, and a sentence when something is not as it should be."""
        try:
            saved = self._write(image, plan, record.kind, adopt=self._adopt(record.attempts))
        except ImageSaveError as error:
            self._unsaved = True
            if plan.folder is None:
                self.troubled(error)
            return None, error.sentence
        return saved, saved.note or None

    def _adopt(self, broken_off: int) -> Adopt | None:
        """A job that was broken off may have left a file just before its record was written."""
        return (lambda path: not self._store.knows_path(path)) if broken_off > 0 else None

    def _write(
        self,
        image: Image.Image,
        plan: PicturePlan,
        kind: str,
        encoded: EncodedImage | None = None,
        adopt: Adopt | None = None,
    ) -> SavedImage:
        return save_image(
            image,
            plan.file_text,
            plan.context,
            plan.options,
            self.paths,
            kind=kind,
            folder=plan.folder,
            name=plan.name,
            suffix=plan.suffix,
            chunks=plan.chunks,
            caption=plan.caption,
            encoded=encoded,
            seal=plan.seal,
            adopt=adopt,
        )

    def _save_init_image(self, record: JobRecord, event: events.ImageDone) -> str | None:
        """Keep the picture that a job began with, once, under the MD5 of its pixels."""
        options, request = record.prepared["options"], record.prepared["request"]
        if record.kind != "img2img" or not options.get("save_init_img") or not record.save:
            return None
        refs = request["init_images"]
        ref = refs[event.index % len(refs)]
        try:
            return save_init_image(Path(record.prepared["inputs"][ref]), options, self.paths)
        except (GalleryError, OSError) as error:
            log.warning("job %s: its init image was not saved: %s", record.id, error)
            return None

    def _place(
        self,
        saved: SavedImage | None,
        image_id: str,
        image: Image.Image,
        text: str,
        options: Mapping[str, Any],
        name: str,
        chunks: Mapping[str, str] | None = None,
        seal: Seal | None = None,
    ) -> tuple[str, str]:
        """Where the picture is now (path or "") and the name to offer for a download."""
        if saved is not None:
            return str(saved.path), saved.path.name
        wanted = str(options.get("samples_format") or "png")
        encoded = encode_image(image, wanted, text, options, chunks=chunks, seal=seal)
        name = f"{name}.{encoded.extension}"
        path = self.paths.cache / UNSAVED_FOLDER / image_id[:2] / f"{image_id}.{encoded.extension}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(path, encoded.data)
        except OSError as error:
            log.warning("a picture is kept in memory only: %s", error)
            self._remember(image_id, encoded.data)
            return "", name
        return str(path), name

    def _remember(self, image_id: str, data: bytes) -> None:
        with self._memory_lock:
            self._memory[image_id] = data
            while sum(map(len, self._memory.values())) > MEMORY_BYTES and len(self._memory) > 1:
                self._memory.popitem(last=False)

    # ---- the grid

    def grid(self, record: JobRecord, prepared: PreparedJob) -> ImageRecord | None:
        """Make the contact sheet of a finished job, if the settings and the request want one.

        Raises:
            GalleryError: the sheet would be too large.
        """
        options, request = prepared.options, prepared.request
        pictures = record.pictures()
        if record.kind == "extras":
            return None
        single = len(pictures) < 2 and options.get("grid_only_if_multiple", True)
        wanted = options.get("return_grid", True) or options.get("grid_save", True)
        if not pictures or single or not wanted or not record.save or request["do_not_save_grid"]:
            return None
        return self._executor.submit(self._grid, record, pictures).result()

    def _grid(self, record: JobRecord, pictures: list[ImageRecord]) -> ImageRecord:
        options, request = record.prepared["options"], record.prepared["request"]
        images = [open_image(self.bytes_of(picture)) for picture in pictures]
        sheet = make_grid(images, int(request["batch_size"]), options)
        return self._keep_sheet(record, sheet, pictures[0], pictures[0].infotext, 0)

    def _keep_sheet(
        self, record: JobRecord, sheet: Image.Image, first: ImageRecord, infotext: str, place: int
    ) -> ImageRecord:
        options = record.prepared["options"]
        sheet = watermarked_sheet(sheet, options)
        seal = credentials(record, first.facts, self.paths, self._version)
        saved, note = None, None
        if options.get("grid_save", True) and record.save:
            try:
                saved = save_sheet(
                    sheet,
                    infotext,
                    self._grid_context(record, first),
                    options,
                    self.paths,
                    kind=record.kind,
                    seal=seal,
                    adopt=self._adopt(record.attempts - 1),
                )
                note = saved.note or None
            except ImageSaveError as error:
                note = error.sentence
        image_id = secrets.token_hex(16)
        grid_options = {**options, "samples_format": options.get("grid_format")}
        path, name = self._place(saved, image_id, sheet, infotext, grid_options, "grid", seal=seal)
        grid = replace(
            _grid_record(first, image_id, path, name, sheet.size, place),
            infotext=infotext,
            saved=saved is not None,
            note=note,
        )
        self._store.add_image(grid)
        return grid

    def _keep_file(
        self, record: JobRecord, first: ImageRecord, outcome: Outcome, place: int
    ) -> ImageRecord | Path:
        path = write_file(
            outcome.data,
            outcome.name,
            outcome.suffix,
            self._grid_context(record, first),
            record.prepared["options"],
            self.paths,
            record.kind,
        )
        if outcome.suffix not in PICTURES:
            return path
        image_id = secrets.token_hex(16)
        grid = _grid_record(first, image_id, str(path), path.name, outcome.size, place)
        grid = replace(grid, infotext=outcome.infotext)
        self._store.add_image(grid)
        return grid

    def _grid_context(self, record: JobRecord, first: ImageRecord) -> NameContext:
        options, request = record.prepared["options"], record.prepared["request"]
        return replace(
            context_of(first.facts, request, options, job_started=started(record)),
            all_seeds=tuple(record.prepared["all_seeds"]),
            is_grid=True,
        )

    def bytes_of(self, picture: ImageRecord) -> bytes:
        """A kept picture's file.

        Raises:
            OSError: it is not there any more.
        """
        data = self.in_memory(picture.id)
        return Path(picture.path).read_bytes() if data is None else data


def _grid_record(
    first: ImageRecord, image_id: str, path: str, name: str, size: tuple[int, int], place: int
) -> ImageRecord:
    return replace(
        first,
        id=image_id,
        index=GRID_INDEX - place,
        kind="grid",
        path=path,
        name=name,
        width=size[0],
        height=size[1],
        saved=True,
        note=None,
        created=time.time(),
    )


def _prune(folder: Path, limit: int) -> None:
    """Keep the newest files of a cache folder within ``limit`` bytes."""
    files = []
    for path in folder.glob("??/*"):
        if re.fullmatch(r"[0-9a-f]{32}\.\w{3,4}", path.name):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True, key=lambda entry: entry[0]):
        total += size
        if total > limit:
            path.unlink(missing_ok=True)
