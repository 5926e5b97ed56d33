"""``ExtrasRequest``: upscaling and repairing finished pictures, in A1111's API names."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modules.requests.generation import Fraction, Name, Picture, Prompt


class DatasetSteps(BaseModel):
    """Preparation of pictures for training; each step is off by default."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    split_oversized: bool = False
    split_threshold: Fraction = 0.5
    split_overlap: float = Field(default=0.2, ge=0.0, le=0.9)
    focal_crop: bool = False
    focal_face_weight: Fraction = 0.9
    focal_entropy_weight: Fraction = 0.15
    focal_edges_weight: Fraction = 0.5
    auto_sized_crop: bool = False
    auto_min_side: int = Field(default=384, ge=64, le=2048)
    auto_max_side: int = Field(default=768, ge=64, le=2048)
    auto_min_area: int = Field(default=64 * 64, ge=64 * 64, le=2048 * 2048)
    auto_max_area: int = Field(default=640 * 640, ge=64 * 64, le=2048 * 2048)
    auto_threshold: Fraction = 0.1
    width: int = Field(default=512, ge=64, le=4096)
    height: int = Field(default=512, ge=64, le=4096)
    """Of the crops, in pixels."""
    flipped_copies: bool = False
    caption: Literal["none", "clip", "deepdanbooru"] = "none"


class ExtrasRequest(BaseModel):
    """One postprocessing job over one or several pictures.

    Field names, ranges and defaults are those of ``/sdapi/v1/extra-single-image``; the pictures are
    in ``images``. ``upscaler_1`` "None" leaves the size alone.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    kind: Literal["extras"] = "extras"
    images: list[Picture] = Field(default_factory=list, max_length=10_000)
    names: list[Name] = Field(default_factory=list, max_length=10_000)
    """File names of the pictures, for the results; may be shorter than ``images``."""

    resize_mode: Literal[0, 1] = 0
    """0: by ``upscaling_resize``; 1: to ``upscaling_resize_w`` x ``upscaling_resize_h``."""
    upscaling_resize: float = Field(default=2.0, gt=0.0, le=32.0)
    upscaling_resize_w: int = Field(default=512, ge=1, le=32768)
    upscaling_resize_h: int = Field(default=512, ge=1, le=32768)
    upscaling_crop: bool = True
    max_side_length: int = Field(default=0, ge=0, le=32768)
    upscaler_1: Name = "None"
    upscaler_2: Name = "None"
    extras_upscaler_2_visibility: Fraction = 0.0
    upscale_first: bool = False
    """Upscale before the faces are restored; after it otherwise."""
    gfpgan_visibility: Fraction = 0.0
    codeformer_visibility: Fraction = 0.0
    codeformer_weight: Fraction = 0.0
    dataset: DatasetSteps | None = None

    show_extras_results: bool = True
    save_images: bool = False
    output_folder: Name | None = None
    """Save here instead of the settings' folder (batch from a directory)."""
    override_settings: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    force_task_id: Name | None = None
    infotext: Prompt | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data
