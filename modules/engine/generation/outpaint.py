"""Outpainting: a picture grows beyond its borders and keeps every pixel that it had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from modules.engine.generation.outpaint_run import Growing, Painter
from modules.imaging.extend import SIDES, Canvas
from modules.imaging.masks import Box
from modules.imaging.overlay import changed_outside
from modules.imaging.subject import cut_sides
from modules.requests.errors import RequestError
from modules.requests.generation import Outpaint
from modules.requests.limits import SIDE_LIMIT

SMALLEST = 16
"""Pixels of a side below which there is nothing to go on from."""


@dataclass(frozen=True)
class OutpaintResult:
    """The grown picture and what there is to say about it."""

    image: Image.Image
    original: Box
    """Where the picture that was given lies in it."""
    seam_scores: dict[str, float]
    """By side; see ``modules.imaging.seams``."""
    changed: int
    """Pixels of the original that differ; 0."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the infotext."""
    complete: bool = True
    """False after an interrupt: the sides that were finished are there."""


def outpaint(
    image: Image.Image,
    spec: Outpaint,
    repainter: Painter,
    request: Mapping[str, Any],
    seed: int,
    warn: Callable[[str], None],
) -> OutpaintResult:
    """Grow a picture as ``spec`` says, in windows of the request's width x height.

    Args:
        image: RGB.
        request: of it width, height, denoising_strength, prompt, negative_prompt and (for tiles)
            inpainting_fill count.
        seed: of the first window; each further window takes the next.
        warn: takes a sentence for the user.

    Raises:
        RequestError: no side grows, the picture is tiny, or the result would be too large.
        StopSampling: interrupted before anything was finished.
    """
    canvas = Canvas.grown(image.size, grown_sides(image, spec))
    _check(canvas)
    if spec.uncrop:
        warn(f"Uncrop: {_sides_text(canvas)}.")
    job = Growing(image, spec, canvas, repainter, request, seed)
    complete = job.run()
    final = job.master.picture(job.finished)
    original = canvas.original.moved(-job.finished.left, -job.finished.top)
    changed = _changed(image, final, original)
    if changed:
        raise AssertionError(f"outpainting changed {changed} pixels of the original")
    facts = _facts(spec, canvas, job.scores, changed)
    return OutpaintResult(final, original, job.scores, changed, facts, complete)


def grown_sides(image: Image.Image, spec: Outpaint) -> dict[str, int]:
    """Pixels by side, with the sides that "uncrop" finds: where the subject is cut, else up."""
    pixels = {side: int(getattr(spec, side)) for side in SIDES}
    if spec.uncrop:
        for side in cut_sides(image) or ["up"]:
            pixels[side] = max(pixels[side], spec.uncrop_pixels)
    return {side: amount for side, amount in pixels.items() if amount > 0}


def count_windows(image: Image.Image, spec: Outpaint, processing: tuple[int, int]) -> int:
    """How many passes :func:`outpaint` takes, without those that repeat a side."""
    canvas = Canvas.grown(image.size, grown_sides(image, spec))
    if spec.method == "tiled":
        return len(canvas.tiles(processing))
    return sum(len(stretch.windows) for stretch in canvas.stretches(processing))


def _check(canvas: Canvas) -> None:
    if not canvas.pixels:
        raise RequestError(
            "outpaint", 0, "no side grows; give left, right, up or down some pixels, or uncrop."
        )
    if min(canvas.original.size) < SMALLEST:
        size = f"{canvas.original.width}x{canvas.original.height}"
        raise RequestError(
            "init_images",
            size,
            f"the picture is {size}; outpainting needs at least {SMALLEST} pixels at each side.",
        )
    if max(canvas.size) > SIDE_LIMIT:
        size = f"{canvas.size[0]}x{canvas.size[1]}"
        raise RequestError(
            "outpaint",
            size,
            f"the result would be {size}; allowed: sides up to {SIDE_LIMIT} pixels.",
        )


def _changed(image: Image.Image, final: Image.Image, original: Box) -> int:
    """Pixels of the original that are not the same in the result."""
    everything = Image.new("L", image.size)
    return changed_outside(image.convert("RGB"), final.crop(original), everything)


def _facts(
    spec: Outpaint, canvas: Canvas, scores: Mapping[str, float], changed: int
) -> dict[str, Any]:
    """Infotext keys, in the order in which they are written."""
    facts: dict[str, Any] = {"Outpaint": spec.method}
    facts |= {f"Outpaint {side}": amount for side, amount in canvas.pixels.items()}
    facts["Outpaint mask blur"] = spec.mask_blur
    if spec.method == "noise":
        facts["Outpaint fall-off"] = spec.fall_off
        facts["Outpaint colour variation"] = spec.colour_variation
    if spec.retries:
        facts["Outpaint retries"] = spec.retries
    if scores:
        facts["Outpaint seam score"] = ", ".join(f"{s} {v:.2f}" for s, v in scores.items())
    facts["Pixels changed outside the mask"] = changed
    return facts


def _sides_text(canvas: Canvas) -> str:
    return ", ".join(f"{side} {amount} pixels" for side, amount in canvas.pixels.items())
