"""SD upscale: the picture enlarged, then repainted tile by tile at the form's size."""

from __future__ import annotations

from typing import Any

from modules.imaging.tiles import Tiling
from modules.requests.errors import RequestError, shorten
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import SEED_MAX, GenerationRequest
from modules.requests.plans import Batch, Outcome, Plan, PlannedScript, Tools, Unit
from modules.requests.scripts import ScriptArgument

MOST_TILES = 400


def plan(request: GenerationRequest, values: list[Any], tools: Tools) -> Plan:
    """Enlarge, cut, repaint each tile, join; once for each batch with another seed."""
    overlap, upscaler, factor = _checked(values[1:], request, tools)
    if len(request.init_images) != 1:
        raise RequestError(
            "init_images", len(request.init_images), "SD upscale takes one picture at a time."
        )
    picture_of = tools.read_picture
    assert picture_of is not None
    picture = picture_of(request.init_images[0])
    sized = request.sized()
    width, height = (int(side * factor) for side in picture.size)
    tiling = Tiling.of(width, height, sized.width, sized.height, overlap)
    count = len(tiling.boxes)
    if count > MOST_TILES:
        raise RequestError(
            "script_args", count, f"{count} tiles; allowed: {MOST_TILES}. Paint larger ones."
        )
    runs = request.n_iter
    if upscaler != "None":
        enlarging = ExtrasRequest(
            images=list(request.init_images), upscaler_1=upscaler, upscaling_resize=factor
        )
        (result,) = yield Batch((Unit(enlarging, upscaler, result=False),), runs * count)
        if not result.pictures:
            return []
        picture = result.pictures[0].image()
    tiles = tiling.cut(picture.convert("RGB").resize((width, height)))
    refs = [tools.keep_picture(tile) for tile in tiles]
    outcomes = []
    for run in range(runs):
        seed = min(request.seed + run, SEED_MAX)
        units = tuple(
            Unit(_tile(request, ref, seed), f"{number + 1}/{count}", result=False)
            for number, ref in enumerate(refs)
        )
        results = yield Batch(units, (runs - run - 1) * count)
        if not all(one.pictures for one in results):
            return outcomes  # a picture with holes is of no use
        joined = tiling.join([one.pictures[0].image() for one in results])
        first = results[0].pictures[0]
        outcomes.append(Outcome("sd_upscale", joined, infotext=first.infotext, like=first))
    return outcomes


def _tile(request: GenerationRequest, ref: str, seed: int) -> GenerationRequest:
    return request.model_copy(
        update={
            "init_images": [ref],
            "mask": None,
            "seed": seed,
            "n_iter": 1,
            "batch_size": 1,
            "resize_mode": 0,
            "scale_by": None,
            "do_not_save_grid": True,
        }
    )


def known_upscalers(tools: Tools) -> tuple[str, ...]:
    """No upscaler and all those of pictures, as the control lists them."""
    return ("None", *(name for name in tools.lists.upscalers if name != "None"))


def _checked(values: list[Any], request: GenerationRequest, tools: Tools) -> tuple[int, str, float]:
    overlap, upscaler, factor = values
    try:
        overlap, factor = int(overlap), float(factor)
    except (TypeError, ValueError, OverflowError):
        overlap, factor = -1, 0.0
    sized = request.sized()
    if not 0 <= overlap < min(sized.width, sized.height) or not 1 <= factor <= 8:
        raise RequestError(
            "script_args",
            values,
            "SD upscale: an overlap below the tile's sides, a scale factor of 1 to 8.",
        )
    known = known_upscalers(tools)
    if isinstance(upscaler, int) and not isinstance(upscaler, bool) and 0 <= upscaler < len(known):
        return overlap, known[upscaler], factor
    for name in known:
        if str(upscaler).strip().lower() == name.lower():
            return overlap, name, factor
    shown = shorten(str(upscaler))
    raise RequestError("script_args", shown, f"{shown!r} is no upscaler: {', '.join(known)}.")


SD_UPSCALE = PlannedScript(
    "SD upscale",
    (
        ScriptArgument("", "<p>Will upscale the image by the selected scale factor</p>"),
        ScriptArgument("Tile overlap", 64, 0, 256, 16),
        ScriptArgument("Upscaler", 0),
        ScriptArgument("Scale Factor", 2.0, 1.0, 4.0, 0.05),
    ),
    plan,
    kinds=("img2img",),
    details=lambda kind, tools: {"choices": {"2": list(known_upscalers(tools))}},
)
