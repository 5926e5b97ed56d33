"""One configuration for every step of the starter model's training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHEETS_FOLDER = REPOSITORY / "docs" / "starter"
MODEL_FOLDER = REPOSITORY / "models" / "Stable-diffusion" / "easel-starter"


@dataclass(frozen=True)
class Colour:
    """A named flat background colour."""

    name: str
    rgb: tuple[int, int, int]


BACKGROUNDS: tuple[Colour, ...] = (
    Colour("white", (255, 255, 255)),
    Colour("blue", (52, 104, 214)),
    Colour("red", (214, 58, 52)),
    Colour("green", (66, 158, 76)),
    Colour("yellow", (250, 216, 72)),
    Colour("orange", (244, 146, 48)),
    Colour("purple", (138, 84, 190)),
    Colour("pink", (246, 160, 196)),
    Colour("light blue", (156, 208, 246)),
    Colour("brown", (140, 96, 62)),
    Colour("grey", (150, 152, 158)),
    Colour("black", (24, 24, 28)),
)


@dataclass(frozen=True)
class Stretch:
    """What one stretch of the UNet's training draws, and how fast it learns."""

    learning_rate: float
    decay_from: float
    """Fraction of the budget after which the learning rate falls to zero."""
    common: float
    """How often a common concept is drawn, others being drawn with weight 1."""
    late: float
    """The same for concepts that join in the second stretch; 0 leaves them out."""
    weak: float
    """The same for concepts that the first stretch drew weakly."""
    rich: float
    """Share of the scenes with hues, pairs, counts and places."""


STRETCHES: dict[str, Stretch] = {
    "base": Stretch(8e-4, decay_from=0.5, common=2.0, late=0.0, weak=1.0, rich=0.0),
    "more": Stretch(6e-4, decay_from=0.35, common=0.7, late=2.0, weak=2.0, rich=0.28),
    "third": Stretch(5e-4, decay_from=0.2, common=1.2, late=1.5, weak=1.5, rich=0.5),
}
"""The curriculum: plain centred scenes first, then more concepts and richer scenes, then more
of these. A name that is not here draws and learns like "third"."""


@dataclass(frozen=True)
class Config:
    """Sizes, paths and seeds. Everything that the steps share is here."""

    work: Path = REPOSITORY / "work-starter"
    """Downloads, caches and checkpoints; ignored by git."""
    output: Path = MODEL_FOLDER
    """The folder that `package` writes."""
    sheets: Path = SHEETS_FOLDER
    """The folder that `evaluate` writes."""
    seed: int = 20_240
    device: str = "cpu"
    threads: int = 1

    picture_size: int = 128
    """Side of a training picture in pixels."""
    styles: tuple[str, ...] = ("noto",)
    """The first style and any of `styles.STYLES`."""
    every_concept: bool = False
    """Draw every concept, not only those of the vocabulary file."""
    object_size: float = 0.86
    """Side of the object as a fraction of the picture's side."""

    vae_channels: tuple[int, ...] = (16, 32, 64, 128)
    vae_groups: int = 2
    latent_channels: int = 4

    text_width: int = 256
    text_layers: int = 2
    text_heads: int = 4
    text_length: int = 77

    unet_channels: tuple[int, ...] = (64, 128, 160)
    unet_layers: int = 1
    unet_attention: tuple[bool, ...] = (False, True, True)
    unet_heads: int = 4
    unet_groups: int = 16
    unet_batch: int = 16
    caption_dropout: float = 0.1
    wordings: int = 5
    """Captions kept for each plain scene; their text states are computed once."""

    rich_scenes: int = 20_000
    """Scenes with hues, pairs, counts and places, drawn and encoded once."""
    rich_kinds: tuple[tuple[str, float], ...] = (
        ("hue", 0.32),
        ("pair", 0.30),
        ("count", 0.20),
        ("place", 0.18),
    )
    rich_common: float = 4.0
    """How much more often a common concept comes up in them."""
    flip_share: float = 0.15

    live: bool = False
    """Compose and encode new scenes for every batch instead of keeping latents."""
    half: bool = False
    """bfloat16 where a number's precision matters little; slower than float32 on most CPUs."""
    compiled: bool = False
    """Let torch.compile build the UNet's training step."""
    sheet_prompts: int = 40
    """How many of the forty prompts are drawn while training."""
    contexts_kept: int = 100_000
    """Captions whose text states (39 kB each) are kept in memory."""

    sampling_steps: int = 20
    guidance_scale: float = 3.0
    """Chosen by eye on a half-trained model: 2 to 4 look alike, 7 stains the background."""

    backgrounds: tuple[Colour, ...] = field(default=BACKGROUNDS)

    @property
    def downloads(self) -> Path:
        """Where `fetch` puts archives and their unpacked contents."""
        return self.work / "dl"

    @property
    def run(self) -> Path:
        """Where the training steps keep their results and checkpoints."""
        return self.work / "run"


def on_device(config: Config, device: str) -> Config:
    """Return the configuration for a device: a GPU gets large batches and fresh scenes."""
    if device.partition(":")[0] == "cpu":
        return replace(config, device=device)
    return replace(config, device=device, live=True, half=True, compiled=True, unet_batch=512)


def full_plan(config: Config) -> Config:
    """Return the plan for a GPU: every concept in six styles, with a UNet that fits the size."""
    return replace(
        config,
        styles=("noto", "twemoji", "fluent-flat", "fluent-3d", "emojione", "fxemoji"),
        every_concept=True,
        unet_channels=(64, 128, 192),
        rich_common=1.5,
    )
