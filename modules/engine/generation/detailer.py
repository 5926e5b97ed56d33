"""The detailer: found faces are repainted at the model's full resolution and laid back.

A face that is sixty pixels wide in a picture is too small for the model to draw. Cut out with its
surroundings, enlarged to the size that the model was trained for, repainted with little noise and
shrunk again, it gets the detail that it lacked; every other pixel keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from PIL import Image, ImageDraw

from modules.requests.generation import Detailer, GenerationRequest

OWN_PROMPT = "[PROMPT]"
"""In the detailer's prompt: the picture's own stands here."""
SEPARATOR = "[SEP]"
"""Between prompts for several faces, from left to right; the last one serves all further faces."""
GROWTH = 0.12
"""How far beyond a found box the mask reaches on each side, as a share of its size: to the hairline
and around the chin."""
ROUNDING = 0.4
"""Radius of the mask's corners, as a share of its shorter side."""
STRETCH = 1.5
"""How far beyond its own size a model still draws one face, not two, from a given picture."""
SMALLEST_FACE = 8
"""Pixels; nothing can be made of less."""
ORIGINAL_CONTENT = 1


class FoundFace(Protocol):
    """What is needed of a face."""

    @property
    def box(self) -> tuple[float, float, float, float]: ...


class Detector(Protocol):
    """Finds faces, the largest first (see `FaceDetector`)."""

    def detect(self, image: Image.Image, confidence: float) -> Sequence[FoundFace]: ...


class FaceRepainter(Protocol):
    """Repaints a masked part of a picture (see `Repainter`)."""

    @property
    def own_side(self) -> int: ...

    def expect(self, passes: int, strength: float) -> None: ...

    def repaint(self, image: Image.Image, mask: Image.Image | None, **how: Any) -> Image.Image: ...


def detail_faces(
    image: Image.Image,
    spec: Detailer,
    repainter: FaceRepainter,
    detector: Detector,
    request: GenerationRequest,
    seed: int,
    warn: Callable[[str], None],
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
) -> tuple[Image.Image, dict[str, Any]]:
    """Repaint the faces of a finished picture.

    Args:
        image: RGB.
        detector: asked for faces with at least ``spec.confidence``.
        request: its prompts are used where neither ``spec`` nor the following name one.
        seed: the picture's; each further face takes the next one.
        prompt, negative_prompt: the picture's own, styles and wildcards applied.

    Returns:
        The picture, of the same size, and the infotext's keys with their values. Pixels outside of
        the faces' blurred masks are those of ``image``.

    Raises:
        StopSampling: the job was interrupted or the picture skipped.
    """
    own = request.prompt if prompt is None else prompt
    own_negative = request.negative_prompt if negative_prompt is None else negative_prompt
    boxes = _boxes(detector.detect(image, spec.confidence), image.size)
    if not boxes:
        warn("The detailer found no face.")
    if len(boxes) > spec.max_faces:
        warn(f"The detailer found {len(boxes)} faces and repaints the {spec.max_faces} largest.")
    chosen = sorted(boxes[: spec.max_faces])
    repainter.expect(len(chosen), spec.strength)
    for number, box in enumerate(chosen):
        side = spec.size or _side_for(box, spec.padding, repainter.own_side)
        image = repainter.repaint(
            image,
            face_mask(image.size, box),
            width=side,
            height=side,
            strength=spec.strength,
            prompt=_prompt_of(spec.prompt, number, own),
            negative_prompt=_prompt_of(spec.negative_prompt, number, own_negative),
            seed=seed + number,
            mask_blur=spec.mask_blur,
            fill=ORIGINAL_CONTENT,
            full_res=True,
            padding=spec.padding,
            label=f"face {number + 1} of {len(chosen)}",
        )
    return image, _facts(spec, len(chosen))


def face_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A mask (L) of a picture's size, white in a rounded box; not blurred yet."""
    mask = Image.new("L", size, 0)
    left, top, right, bottom = box
    radius = round(ROUNDING * min(right - left, bottom - top))
    ImageDraw.Draw(mask).rounded_rectangle((left, top, right - 1, bottom - 1), radius, fill=255)
    return mask


def _boxes(faces: Sequence[FoundFace], size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Grown boxes in whole pixels inside of the picture, the largest faces first."""
    boxes = []
    for face in faces:
        left, top, right, bottom = face.box
        wide, high = (right - left) * GROWTH, (bottom - top) * GROWTH
        grown = (
            max(0, round(left - wide)),
            max(0, round(top - high)),
            min(size[0], round(right + wide)),
            min(size[1], round(bottom + high)),
        )
        if min(grown[2] - grown[0], grown[3] - grown[1]) >= SMALLEST_FACE:
            boxes.append(grown)
    return boxes


def _side_for(box: tuple[int, int, int, int], padding: int, own: int) -> int:
    """The side to render at: the model's own, or more for a face that is larger in the picture
    already and would lose detail, as far as the model can do that."""
    region = max(box[2] - box[0], box[3] - box[1]) + 2 * padding
    return max(own, min(-(-region // 8) * 8, round(own * STRETCH / 8) * 8))


def _prompt_of(written: str, number: int, own: str) -> str:
    """The prompt of face ``number``, counted from 0: what was written for it, or the picture's."""
    parts = [part.strip() for part in written.split(SEPARATOR)]
    part = parts[min(number, len(parts) - 1)]
    return part.replace(OWN_PROMPT, own) if part else own


def _facts(spec: Detailer, faces: int) -> dict[str, Any]:
    """The infotext's keys: how many faces, and every setting that is not the default."""
    facts: dict[str, Any] = {"Detailer faces": faces, "Detailer strength": spec.strength}
    labels = {
        "prompt": "Detailer prompt",
        "negative_prompt": "Detailer negative prompt",
        "padding": "Detailer padding",
        "mask_blur": "Detailer mask blur",
        "size": "Detailer size",
        "max_faces": "Detailer max faces",
        "confidence": "Detailer confidence",
    }
    for field, label in labels.items():
        value = getattr(spec, field)
        if value != Detailer.model_fields[field].default:
            facts[label] = value
    return facts
