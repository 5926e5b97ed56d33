"""``GenerationRequest``: one picture job as every door describes it, in A1111's API names."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

PROMPT_LIMIT = 65536
"""Longest prompt in characters; longer texts are refused rather than cut."""

PICTURE_LIMIT = 128 * 1024 * 1024
"""Longest base64 text of one input picture; the gate's body limit is usually lower."""

SEED_MAX = 2**63 - 1


def _clean_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("lone surrogates are not text; allowed: any Unicode text") from None
    return value.replace("\x00", "")


Text = Annotated[str, BeforeValidator(_clean_text)]
Prompt = Annotated[str, BeforeValidator(_clean_text), Field(max_length=PROMPT_LIMIT)]
Name = Annotated[str, BeforeValidator(_clean_text), Field(max_length=1024)]
Seed = Annotated[int, Field(ge=-1, le=SEED_MAX)]
Side = Annotated[int, Field(ge=8, le=1_000_000)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Picture = Annotated[str, BeforeValidator(_clean_text), Field(max_length=PICTURE_LIMIT)]
"""An input picture: base64, a ``data:`` or ``http(s):`` URL at the doors, ``input:<sha256>`` in a
stored job (see ``modules.jobs.inputs``)."""


class SoftInpainting(BaseModel):
    """The six parameters of soft inpainting, under A1111's labels in snake case."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    schedule_bias: float = Field(default=1.0, ge=0.0, le=8.0)
    preservation_strength: float = Field(default=0.5, ge=0.0, le=8.0)
    transition_contrast_boost: float = Field(default=4.0, ge=1.0, le=32.0)
    mask_influence: float = Field(default=0.0, ge=0.0, le=1.0)
    difference_threshold: float = Field(default=0.5, ge=0.0, le=8.0)
    difference_contrast: float = Field(default=2.0, ge=0.0, le=8.0)


class Outpaint(BaseModel):
    """How an img2img job grows its picture. With ``uncrop`` the pixels per side may all be 0."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    method: Literal["noise", "tiled", "edge"] = "noise"
    """``noise``: noise shaped to the picture's spectrum (as Outpainting mk2); ``tiled``: fill, tile
    by tile (as Poor man's outpainting); ``edge``: the border's pixels extended."""
    left: int = Field(default=0, ge=0, le=4096)
    right: int = Field(default=0, ge=0, le=4096)
    up: int = Field(default=0, ge=0, le=4096)
    down: int = Field(default=0, ge=0, le=4096)
    uncrop: bool = False
    """Choose the sides where the subject is cut by the border; upwards when none is."""
    uncrop_pixels: int = Field(default=128, ge=8, le=4096)
    mask_blur: int = Field(default=8, ge=0, le=64)
    """Feathering of the seam in pixels."""
    fall_off: float = Field(default=1.0, ge=0.0, le=4.0)
    colour_variation: Fraction = 0.05
    retries: int = Field(default=0, ge=0, le=8)
    """How often the side with the worst seam is tried again with another seed."""


class Detailer(BaseModel):
    """Repaint found faces at full resolution with the current model."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: Prompt = ""
    """Empty: the picture's own prompt."""
    negative_prompt: Prompt = ""
    strength: Fraction = 0.4
    padding: int = Field(default=32, ge=0, le=256)
    mask_blur: int = Field(default=4, ge=0, le=64)
    size: int = Field(default=0, ge=0, le=2048)
    """Side of the repainted square in pixels; 0: the model's own size."""
    max_faces: int = Field(default=8, ge=1, le=64)
    confidence: Fraction = 0.5


class GenerationRequest(BaseModel):
    """A txt2img or img2img job before styles, wildcards and random seeds are settled.

    Field names, defaults and lax conversions are those of A1111's ``/sdapi/v1`` (``null`` means the
    default, unknown fields are ignored). Where A1111 goes on with nonsense, validation refuses it:
    NaN and infinities, sizes below 8, surrogates.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, validate_default=False)

    kind: Literal["txt2img", "img2img"] = "txt2img"

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    styles: list[Name] = Field(default_factory=list, max_length=100)

    seed: Seed = -1
    """-1 draws a random seed in 0 … 2^32 - 2."""
    subseed: Seed = -1
    subseed_strength: Fraction = 0.0
    seed_resize_from_h: int = Field(default=-1, ge=-1, le=16384)
    seed_resize_from_w: int = Field(default=-1, ge=-1, le=16384)

    sampler_name: Name | None = None
    scheduler: Name | None = None
    sampler_index: Name = "Euler"
    """Old name of ``sampler_name``; used when that is empty."""
    steps: int = Field(default=50, ge=1, le=1000)
    cfg_scale: float = Field(default=7.0, ge=0.0, le=1000.0)
    distilled_cfg_scale: float | None = Field(default=None, ge=0.0, le=100.0)
    """Forge's name: the guidance that FLUX.1 dev is told, which costs no second pass; None: 3.5."""
    width: Side = 512
    height: Side = 512
    """In pixels; rounded down to multiples of 8 by :meth:`sized`."""
    batch_size: int = Field(default=1, ge=1, le=64)
    n_iter: int = Field(default=1, ge=1, le=10000)

    eta: float | None = Field(default=None, ge=0.0, le=10.0)
    s_min_uncond: float | None = Field(default=None, ge=0.0, le=1000.0)
    s_churn: float | None = Field(default=None, ge=0.0, le=1000.0)
    s_tmax: float | None = Field(default=None, ge=0.0)
    s_tmin: float | None = Field(default=None, ge=0.0)
    s_noise: float | None = Field(default=None, ge=0.0, le=10.0)

    tiling: bool | None = None
    restore_faces: bool | None = None
    denoising_strength: Fraction = 0.75

    enable_hr: bool = False
    firstphase_width: int = Field(default=0, ge=0, le=16384)
    firstphase_height: int = Field(default=0, ge=0, le=16384)
    hr_scale: float = Field(default=2.0, ge=0.0, le=16.0)
    hr_upscaler: Name | None = None
    hr_second_pass_steps: int = Field(default=0, ge=0, le=1000)
    hr_resize_x: int = Field(default=0, ge=0, le=16384)
    hr_resize_y: int = Field(default=0, ge=0, le=16384)
    hr_checkpoint_name: Name | None = None
    hr_sampler_name: Name | None = None
    hr_scheduler: Name | None = None
    hr_prompt: Prompt = ""
    hr_negative_prompt: Prompt = ""
    hr_cfg: float | None = Field(default=None, ge=0.0, le=1000.0)
    """Forge's name: the second pass's CFG scale; None or 0: the first's."""
    hr_distilled_cfg: float | None = Field(default=None, ge=0.0, le=100.0)
    """Forge's name: the second pass's distilled CFG scale; None or 0: the first's."""
    refiner_checkpoint: Name | None = None
    refiner_switch_at: Fraction | None = None

    firstpass_image: Picture | None = None
    """A finished first pass: with ``enable_hr`` only the second pass runs, on this picture."""

    init_images: list[Picture] = Field(default_factory=list, max_length=64)
    resize_mode: int = Field(default=0, ge=0, le=3)
    """0 just resize, 1 crop and resize, 2 resize and fill, 3 just resize (latent upscale)."""
    image_cfg_scale: float | None = Field(default=None, ge=0.0, le=100.0)
    mask: Picture | None = None
    """White is repainted. Real transparency counts before luminance."""
    mask_blur: int | None = Field(default=None, ge=0, le=256)
    """Sets both of the following when given."""
    mask_blur_x: int = Field(default=4, ge=0, le=256)
    mask_blur_y: int = Field(default=4, ge=0, le=256)
    mask_round: bool = True
    inpainting_fill: int = Field(default=0, ge=0, le=3)
    """Masked content: 0 fill, 1 original, 2 latent noise, 3 latent nothing."""
    inpaint_full_res: bool = True
    """True: only the masked area is rendered, at width x height, and pasted back."""
    inpaint_full_res_padding: int = Field(default=0, ge=0, le=2048)
    inpainting_mask_invert: int = Field(default=0, ge=0, le=1)
    initial_noise_multiplier: float | None = Field(default=None, ge=0.0, le=10.0)
    latent_mask: Picture | None = None
    depth_map: Picture | None = None
    """Ours: for depth models, nearer is brighter; None: a depth estimator looks at the picture."""
    noise_level: int | None = Field(default=None, ge=0, le=999)
    """Ours, diffusers' name: noise on what unCLIP models are told of the picture; None: 0."""
    include_init_images: bool = False
    scale_by: float | None = Field(default=None, ge=0.05, le=16.0)
    """Ours: the result is the first init image's size times this; width and height are ignored."""
    soft_inpainting: SoftInpainting | None = None
    outpaint: Outpaint | None = None
    detailer: Detailer | None = None
    output_folder: Name | None = None
    """Ours: save here instead of the settings' folder (batch from a directory)."""
    output_name: Name | None = None
    """Ours: file name without extension (batch from a directory)."""

    override_settings: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    override_settings_restore_afterwards: bool = True
    disable_extra_networks: bool = False
    comments: dict[str, Any] = Field(default_factory=dict)

    script_name: Name | None = None
    script_args: list[Any] = Field(default_factory=list)
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)

    send_images: bool = True
    save_images: bool = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    force_task_id: Name | None = None
    infotext: Prompt | None = None

    UI_DEFAULTS: ClassVar[dict[str, Any]] = {
        "sampler_name": "DPM++ 2M",
        "scheduler": "Automatic",
        "steps": 20,
        "cfg_scale": 7.0,
        "width": 512,
        "height": 512,
        "save_images": True,
    }
    IMG2IMG_UI_DEFAULTS: ClassVar[dict[str, Any]] = {
        **UI_DEFAULTS,
        "kind": "img2img",
        "inpainting_fill": 1,
        "inpaint_full_res": False,
        "inpaint_full_res_padding": 32,
    }
    """Where the img2img form begins differently from the API."""

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        """A1111's fields are all optional: a JSON ``null`` stands for the default."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @classmethod
    def ui_defaults(cls) -> GenerationRequest:
        """The form as A1111's page shows it first (steps 20, DPM++ 2M, 512x512)."""
        return cls(**cls.UI_DEFAULTS)

    def chosen_sampler(self) -> str:
        """The sampler asked for, under whichever of the two names."""
        return self.sampler_name or self.sampler_index

    def sized(self) -> GenerationRequest:
        """A copy with width and height rounded down to multiples of 8, the latent grid."""
        return self.model_copy(
            update={"width": self.width // 8 * 8, "height": self.height // 8 * 8}
        )

    def as_parameters(self) -> dict[str, Any]:
        """The request as the API's ``parameters`` answer shows it: the fields of its own route.

        Pictures are only sent back when ``include_init_images`` is set; fields of ours only when
        they were used.
        """
        foreign = IMG2IMG_FIELDS if self.kind == "txt2img" else TXT2IMG_FIELDS
        found = self.model_dump(mode="json", exclude={"kind", *foreign})
        if self.kind == "img2img" and not self.include_init_images:
            found |= {"init_images": None, "mask": None}
        if self.kind == "txt2img" or not self.include_init_images:
            found["depth_map"] = None
        return {k: v for k, v in found.items() if k not in OWN_FIELDS or v is not None}


TXT2IMG_FIELDS = frozenset(
    name
    for name in GenerationRequest.model_fields
    if name.startswith("hr_") or name in ("enable_hr", "firstphase_width", "firstphase_height")
)
IMG2IMG_FIELDS = frozenset(
    {"init_images", "resize_mode", "image_cfg_scale", "mask", "mask_blur", "mask_blur_x"}
    | {"mask_blur_y", "mask_round", "inpainting_fill", "inpaint_full_res"}
    | {"inpaint_full_res_padding", "inpainting_mask_invert", "initial_noise_multiplier"}
    | {"latent_mask", "include_init_images"}
)
OWN_FIELDS = frozenset(
    {"scale_by", "soft_inpainting", "outpaint", "detailer", "output_folder", "output_name"}
    | {"distilled_cfg_scale", "hr_cfg", "hr_distilled_cfg"}
    | {"depth_map", "noise_level"}
)
"""Not in A1111's API."""
