"""The arguments of `<lora:name:…>`: A1111's forms and those of its best known extensions.

<lora:name>  <lora:name:0.8>  <lora:name:TE:UNET:DYN>  <lora:name:te=0.5:unet=1:dyn=8>
<lora:name:0@0,1@0.5>                     weights over the steps, also in te= and unet=
<lora:name:1:hr=0.5>  hrte=  hrunet=      other weights in the second pass of hires fix
<lora:name:1:lbw=OUTALL>  lbw=1,0,…       block weights: a preset or a list of numbers
<lora:name:1:in=0:mid=1:out=0.5>          block weights by thirds of the UNet
<lora:name:1:start=5>  stop=20  step=5-20 only in these steps
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modules.engine.adapters.blocks import PRESETS, read_blocks, read_sides
from modules.engine.adapters.merged import Strength
from modules.engine.adapters.schedule import Curve, read_curve, read_number
from modules.prompts.networks import ExtraNetwork

KNOWN = frozenset(
    {
        "te",
        "unet",
        "dyn",
        "hr",
        "hrte",
        "hrunet",
        "lbw",
        "in",
        "mid",
        "out",
        "start",
        "stop",
        "step",
    }
)


@dataclass(frozen=True)
class LoraArguments:
    """What one `<lora:…>` asks for."""

    name: str
    text: Curve
    image: Curve
    text_second: Curve
    """The same in the second pass of hires fix."""
    image_second: Curve
    rank: int | None = None
    blocks: Mapping[str, float] | None = None
    first_step: float = 0.0
    """Steps count from 0; a number below 1 is a share of the pass."""
    last_step: float | None = None
    unknown: tuple[str, ...] = ()
    """Named arguments that nobody knows; they say nothing."""

    def strength(self, step: int, steps: int, *, second: bool = False) -> Strength:
        """The strength at a step of a pass.

        A text is encoded before the first step, so the text encoder keeps the first weight.
        """
        text = self.text_second if second else self.text
        image = self.image_second if second else self.image
        weight = image.at(step, steps) if self._acts(step, steps) else 0.0
        return Strength(text.at(0, steps), weight, self.rank, self.blocks)

    @property
    def changes(self) -> bool:
        """Whether the strength depends on the step."""
        curves = (self.image, self.image_second)
        limited = self.first_step > 0 or self.last_step is not None
        return limited or not all(curve.is_constant for curve in curves)

    def _acts(self, step: int, steps: int) -> bool:
        if step < _in_steps(self.first_step, steps):
            return False
        return self.last_step is None or step < _in_steps(self.last_step, steps)


def read_arguments(network: ExtraNetwork) -> LoraArguments:
    """Read one network of a prompt.

    Raises:
        ValueError: an argument cannot be read; the text says which.
    """
    args, named = network.args, {k: v for k, v in network.kwargs.items() if k in KNOWN}
    text = read_curve(named.get("te") or (args[0] if args else "1"))
    second_argument = _second(args)
    image = read_curve(named["unet"]) if "unet" in named else second_argument or text
    second = read_curve(named["hr"]) if "hr" in named else None
    blocks: dict[str, float] = {}
    if "lbw" in named or _block_list(args) is not None:
        blocks = read_blocks(named.get("lbw") or _block_list(args) or "")
    blocks |= read_sides(named)
    first, last = _step_range(named)
    return LoraArguments(
        name=network.name.strip(),
        text=text,
        image=image,
        text_second=read_curve(named["hrte"]) if "hrte" in named else second or text,
        image_second=read_curve(named["hrunet"]) if "hrunet" in named else second or image,
        rank=_rank(named.get("dyn") or (args[2] if len(args) > 2 else None)),
        blocks=blocks or None,
        first_step=first,
        last_step=last,
        unknown=tuple(sorted(network.kwargs.keys() - KNOWN)),
    )


def _second(args: tuple[str, ...]) -> Curve | None:
    """The UNet's weight, unless the second argument is a list of block weights."""
    if len(args) < 2 or _block_list(args) is not None:
        return None
    return read_curve(args[1])


def _block_list(args: tuple[str, ...]) -> str | None:
    """Block weights as the second argument, as old prompts have them: `<lora:x:1:IN03>`."""
    if len(args) != 2:
        return None
    text = args[1].strip()
    many = text.count(",") >= 11 and "@" not in text
    return text if many or text.upper() in PRESETS else None


def _rank(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        rank = int(text)
    except ValueError:
        raise ValueError(f"dyn {text.strip()[:40]!r} is not a whole number") from None
    return rank if rank > 0 else None


def _step_range(named: Mapping[str, str]) -> tuple[float, float | None]:
    if "step" in named:
        begin, dash, end = named["step"].partition("-")
        return read_number(begin), read_number(end) if dash else None
    first = read_number(named["start"]) if "start" in named else 0.0
    return first, read_number(named["stop"]) if "stop" in named else None


def _in_steps(when: float, steps: int) -> float:
    return when * steps if 0 < when < 1 else when
