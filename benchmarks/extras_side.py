"""One side of the Extras comparison, in a process of its own.

Reads one JSON object per line from stdin: `side` ("easel" or "package"), `picture`, `result`
(files), `upscaler`, `tile`, `overlap`. Enlarges the picture four times, writes the result, and
answers with one JSON object per line on stdout: `seconds`, `cpu_s`, `idle_mb`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

NETWORK_BLOCKS = {"R-ESRGAN 4x+": 23, "R-ESRGAN 4x+ Anime6B": 6}
"""Of the RRDBNets; the others are SRVGGNetCompacts."""


def main() -> int:
    """Serve requests until stdin ends."""
    import psutil
    import torch

    from modules.engine.compat.torchvision_ops import make_torchvision_importable
    from modules.engine.generation.memory import choose_threads

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    torch.set_num_threads(choose_threads())
    make_torchvision_importable()
    import realesrgan

    assert realesrgan
    idle = psutil.Process().memory_info().rss / 1e6
    sides = {"easel": _Easel(), "package": _Package()}
    for line in sys.stdin:
        request = json.loads(line)
        side = sides[request.pop("side")]
        result = Path(request.pop("result"))
        side.prepare(**request)
        begun, used = time.perf_counter(), time.process_time()
        pixels = side.enlarge(**request)
        answer = {
            "seconds": time.perf_counter() - begun,
            "cpu_s": time.process_time() - used,
            "idle_mb": idle,
        }
        Image.fromarray(pixels).save(result)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


class _Easel:
    """The job as the engine runs it."""

    def prepare(self, **_: Any) -> None:
        """Nothing: the job brings everything."""

    def enlarge(self, picture: str, upscaler: str, tile: int, overlap: int) -> np.ndarray:
        """From the picture's file to the finished bytes."""
        from modules.catalog.upscalers import find_upscaler, list_upscalers
        from modules.engine.device import choose_policy
        from modules.engine.generation.control import JobControl
        from modules.engine.postprocess.run import ExtrasJob
        from modules.requests.events import ImageDone
        from modules.requests.extras import ExtrasRequest
        from modules.requests.prepared import PreparedJob
        from modules.settings.flags import parse_flags
        from modules.settings.paths import Paths

        paths = Paths.from_flags(parse_flags([]))
        info = find_upscaler(upscaler, list_upscalers(paths))
        ref = "input:" + "0" * 64
        asked = ExtrasRequest(images=[ref], upscaler_1=upscaler, upscaling_resize=4)
        prepared = PreparedJob(
            id="bench",
            kind="extras",
            request=asked.model_dump(mode="json"),
            options={
                "ESRGAN_tile": tile,
                "ESRGAN_tile_overlap": overlap,
                "upscaling_max_images_in_cache": 0,
            },
            all_prompts=[""],
            all_negative_prompts=[""],
            all_seeds=[-1],
            all_subseeds=[-1],
            inputs={ref: picture},
            resources={"upscalers": {info.name: info.to_json()}},
        )
        engine = SimpleNamespace(policy=choose_policy({"use_cpu": ["all"], "no_half": True}))
        events: list[Any] = []
        ExtrasJob(prepared, JobControl("bench"), events.append, paths, engine).run()
        done = next(event for event in events if isinstance(event, ImageDone))
        return np.frombuffer(done.data, np.uint8).reshape(done.height, done.width, 3)


class _Package:
    """`RealESRGANer` as the package's own script uses it."""

    def __init__(self) -> None:
        self._ready: tuple[str, Any] | None = None
        self._pixels: np.ndarray | None = None

    def prepare(self, picture: str, upscaler: str, tile: int, overlap: int) -> None:
        """Load weights and picture: neither is part of the call that is measured."""
        key = f"{upscaler} {tile} {overlap}"
        if self._ready is None or self._ready[0] != key:
            self._ready = key, _bare_upsampler(upscaler, tile, overlap)
        self._pixels = np.asarray(Image.open(picture).convert("RGB"))

    def enlarge(self, **_: Any) -> np.ndarray:
        """The bare call; the package wants and gives blue, green, red."""
        assert self._ready is not None
        assert self._pixels is not None
        result, _mode = self._ready[1].enhance(self._pixels[:, :, ::-1], outscale=4)
        return np.ascontiguousarray(result[:, :, ::-1])


def _bare_upsampler(upscaler: str, tile: int, overlap: int) -> Any:
    """The package's class with weights in the format it reads."""
    import torch
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from realesrgan import RealESRGANer
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact
    from safetensors.torch import load_file

    from modules.catalog.upscalers import find_upscaler, list_upscalers
    from modules.settings.flags import parse_flags
    from modules.settings.paths import Paths

    info = find_upscaler(upscaler, list_upscalers(Paths.from_flags(parse_flags([]))))
    blocks = NETWORK_BLOCKS.get(upscaler)
    network = RRDBNet(3, 3, num_block=blocks) if blocks else SRVGGNetCompact(num_conv=16)
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        assert info.path is not None
        torch.save({"params": load_file(info.path)}, file.name)
        return RealESRGANer(
            scale=4,
            model_path=file.name,
            model=network,
            tile=tile,
            tile_pad=overlap,
            pre_pad=0,
            half=False,
            device=torch.device("cpu"),
        )


if __name__ == "__main__":
    sys.exit(main())
