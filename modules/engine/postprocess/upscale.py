"""Enlarge pictures by the name of an upscaler, as A1111 does it: up to three passes of the
network, then Lanczos to the exact size."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from modules.catalog.download import DownloadCancelled, fetch_model
from modules.catalog.errors import shown
from modules.catalog.upscalers import PLAIN, UpscalerInfo
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.generation.control import StopSampling
from modules.engine.generation.memory import free_caches, is_out_of_memory
from modules.engine.generation.pictures import MemoryExhausted
from modules.engine.postprocess.loaded import LoadedUpscaler, UpscalerShelf
from modules.engine.postprocess.watch import Control, Progress, Watch
from modules.requests.errors import NotFoundInList, RequestError

logger = logging.getLogger("easel.engine")

PASSES = 3
SIZE_STEP = 8
"""A1111 rounds the size that a factor gives down to multiples of this."""
FIRST_TILE = 512
SMALLEST_TILE = 64
"""Where the memory ladder begins when there are no tiles yet, and where it ends."""
MAX_MEGAPIXELS = 400.0
"""Of any picture on the way; a larger one could not be held in memory or shown."""

TILE_OPTIONS = {"DAT": "DAT", "SwinIR": "SWIN", "SCUNet": "SCUNET"}
"""Architectures with settings of their own for tiles in A1111 → prefix of these settings."""

SHELF = UpscalerShelf()


class Upscaling:
    """Enlarges pictures for one job."""

    def __init__(
        self,
        device: torch.device,
        resources: Mapping[str, Any],
        options: Mapping[str, Any],
        progress: Progress | None = None,
        control: Control | None = None,
        *,
        dtype: torch.dtype | None = None,
        warn: Callable[[str], None] | None = None,
        loading: Callable[[str, float], None] | None = None,
        shelf: UpscalerShelf = SHELF,
    ) -> None:
        """
        Args:
            resources: `PreparedJob.resources`; its "upscalers" are name → `UpscalerInfo.to_json()`.
            options: "ESRGAN_tile" and "ESRGAN_tile_overlap", in pixels; 0: no tiles. Architectures
                with settings of their own (see TILE_OPTIONS) go by these.
            progress: hears (tiles done, tiles altogether) of each `upscale`.
            control: asked before each tile; its `check()` raises to end the work.
            dtype: of the networks on a GPU, float16 unless given; a CPU computes in float32.
            loading: hears the name and the fraction of a model that is downloaded or loaded.
        """
        self._device = torch.device(device)
        self._resources = resources.get("upscalers") or {}
        self._options = options
        self._largest_tile: int | None = None
        """What memory allowed so far; None: nothing was too large yet."""
        self._progress = progress
        self._control = control
        on_cpu = self._device.type == "cpu"
        self._dtype = torch.float32 if on_cpu else dtype or torch.float16
        self._warn = warn or (lambda message: logger.warning("%s", message))
        self._loading = loading or (lambda name, fraction: None)
        self._shelf = shelf

    def upscale(self, image: Image.Image, name: str, scale: float) -> Image.Image:
        """The picture enlarged by `scale`, its sides rounded down to multiples of 8 as A1111 does.

        Raises: as `upscale_to`.
        """
        return self.upscale_to(image, name, *scaled_size(image.size, scale), force=scale == 1)

    def upscale_to(
        self, image: Image.Image, name: str, width: int, height: int, *, force: bool = False
    ) -> Image.Image:
        """The picture at `width` x `height`; the network runs while it is too small, three times
        at most, and Lanczos does the rest. `force`: the network runs once in any case.

        "None" is plain Lanczos here. RGBA pictures keep their transparency.

        Raises:
            NotFoundInList: there is no such upscaler in the job's resources.
            ModelLoadError: its file cannot be loaded, or its network fails.
            DownloadFailed: its file is missing and could not be fetched.
            MemoryExhausted: not even small tiles fit into memory.
            StopSampling: the job was interrupted.
            RequestError: the result would be too large.
        """
        _check_size(width, height)
        info = self.find(name)
        if info.kind == "nearest":
            return image.resize((width, height), Image.Resampling.NEAREST)
        if info.kind != "model":
            return _lanczos(image, width, height)
        if image.size == (width, height) and not force and info.scale != 1:
            return image.copy()
        colours, alpha = _split(image)
        enlarged = self._passes(colours, info, width, height, force)
        result = _lanczos(enlarged, width, height)
        if alpha is not None:
            result.putalpha(_lanczos(alpha, width, height))
        return result

    def find(self, name: str | None) -> UpscalerInfo:
        """The upscaler of this name among the job's resources.

        Raises:
            NotFoundInList: there is none.
        """
        for info in PLAIN:
            if (name or "None") == info.name:
                return info
        if name in self._resources:
            return UpscalerInfo.from_json(self._resources[name])
        raise NotFoundInList("upscaler", name, [*(i.name for i in PLAIN), *self._resources])

    def key(self, name: str) -> tuple[object, ...]:
        """What besides picture and size decides about a result of this upscaler."""
        info = self.find(name)
        stamp = info.path.stat().st_mtime_ns if info.path and info.path.is_file() else 0
        where = str(info.path), stamp, str(self._device), str(self._dtype)
        return (info.name, *where, *self._tiling(info.architecture))

    def planned(self, name: str, size: tuple[int, int], width: int, height: int) -> int:
        """About how many tiles a picture will take; the network need not be loaded for that."""
        info = self.find(name)
        if info.kind != "model":
            return 1
        tiles, scale = 0, max(1, info.scale)
        tile, _overlap = self._tiling(info.architecture)
        for _ in range(PASSES):
            tiles += tile_count(*size, tile)
            size = size[0] * scale, size[1] * scale
            if scale == 1 or (size[0] >= width and size[1] >= height):
                break
        return tiles

    # -- models -------------------------------------------------------------------------------

    def _passes(
        self, image: Image.Image, info: UpscalerInfo, width: int, height: int, force: bool
    ) -> Image.Image:
        upscaler = self._load(info)
        watch = Watch(self._progress, self._control)
        for number in range(PASSES):
            enough = image.width >= width and image.height >= height
            if enough and not (number == 0 and (force or upscaler.scale == 1)):
                break
            watch.expect(self._planned(upscaler, image.size, width, height, number))
            image = self._once(info, upscaler, image, watch)
            if upscaler.scale == 1:
                break
        return image

    def _load(self, info: UpscalerInfo) -> LoadedUpscaler:
        assert info.path is not None, "a model has a path"

        def tell(fraction: float) -> None:
            self._loading(info.name, fraction)

        path = info.path
        if not path.is_file():
            try:
                path = fetch_model(info, path.parent, tell, self._is_cancelled)
            except DownloadCancelled as error:
                raise StopSampling from error
        return self._shelf.get(path, self._device, self._dtype, tell)

    def _is_cancelled(self) -> bool:
        try:
            if self._control is not None:
                self._control.check()
        except StopSampling:
            return True
        return False

    def _planned(
        self,
        upscaler: LoadedUpscaler,
        size: tuple[int, int],
        width: int,
        height: int,
        number: int,
    ) -> int:
        """Tiles of this pass and of those that will follow it."""
        tiles = 0
        for later in range(number, PASSES):
            if later > number and size[0] >= width and size[1] >= height:
                break
            tiles += upscaler.tiles(*size, *self._tiling(upscaler.architecture))
            size = size[0] * upscaler.scale, size[1] * upscaler.scale
            if upscaler.scale == 1:
                break
        return tiles

    def _once(
        self, info: UpscalerInfo, upscaler: LoadedUpscaler, image: Image.Image, watch: Watch
    ) -> Image.Image:
        """One pass of the network; smaller tiles when memory runs out."""
        _check_size(image.width * upscaler.scale, image.height * upscaler.scale)
        pixels = np.asarray(image)
        while True:
            begun = watch.done
            tile, overlap = self._tiling(upscaler.architecture)
            try:
                return Image.fromarray(upscaler.run(pixels, tile, overlap, watch))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise _broken(info, error) from error
            # Out here the traceback no longer keeps the tensors of the failed try alive.
            free_caches(self._device)
            watch.done = begun
            self._take_smaller_tiles(tile, max(image.size))
            watch.expect(upscaler.tiles(*image.size, *self._tiling(upscaler.architecture)))

    def _tiling(self, architecture: str) -> tuple[int, int]:
        """Side and overlap of an architecture's tiles in pixels; side 0: no tiles."""
        prefix, get = TILE_OPTIONS.get(architecture, "ESRGAN"), self._options.get
        side = int(get(f"{prefix}_tile", get("ESRGAN_tile", 192)))
        overlap = int(get(f"{prefix}_tile_overlap", get("ESRGAN_tile_overlap", 8)))
        if self._largest_tile is not None:
            side = min(side or self._largest_tile, self._largest_tile)
        return side, overlap

    def _take_smaller_tiles(self, tile: int, side: int) -> None:
        now = min(tile, side) if tile > 0 else side
        smaller = FIRST_TILE if now > FIRST_TILE else now // 2
        if smaller < SMALLEST_TILE:
            raise MemoryExhausted(
                "Out of memory while upscaling, even in small tiles. Close other programs, or "
                "choose a smaller upscaler or factor."
            )
        self._largest_tile = smaller
        self._warn(f"Memory ran out while upscaling; going on in tiles of {smaller} pixels.")


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """The size that a factor gives: rounded down to multiples of 8, unless that leaves nothing."""

    def side(length: int) -> int:
        exact = max(1, int(length * scale))
        return exact // SIZE_STEP * SIZE_STEP or exact

    return side(size[0]), side(size[1])


def tile_count(width: int, height: int, tile: int) -> int:
    """Tiles that cover a picture; 1 when there are none (`tile` 0)."""
    return math.ceil(width / tile) * math.ceil(height / tile) if tile > 0 else 1


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_MEGAPIXELS * 1e6:
        raise RequestError(
            "upscaling_resize",
            f"{width}x{height}",
            f"the picture would get {width}x{height} pixels on the way; allowed: "
            f"{MAX_MEGAPIXELS:g} megapixels.",
        )


def _broken(info: UpscalerInfo, error: Exception) -> ModelLoadError:
    return ModelLoadError(info.name, f"does not work on this picture ({shown(str(error))})")


def _lanczos(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours and transparency; a network enlarges only the former."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return whole.convert("RGB"), whole.getchannel("A")
    return image.convert("RGB"), None
