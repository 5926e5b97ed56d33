"""``MergeRequest`` and ``ConvertRequest``: jobs that make model files instead of pictures."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from modules.requests.generation import Name

METHODS = ("No interpolation", "Weighted sum", "Add difference")
CONFIG_SOURCES = ("A, B or C", "B", "C", "Don't")
"""Where the result's settings file comes from; the API takes the number or the words."""
DTYPES = ("keep", "fp16", "bf16", "fp32")
MAX_METADATA = 256 * 1024


class _ModelJob(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    custom_name: Name = ""
    """Of the result, without extension; empty for one that tells how it was made."""
    overwrite: bool = False
    """Replace a file of that name."""
    override_settings: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    force_task_id: Name | None = None

    @property
    def output_folder(self) -> None:
        """Results go to the checkpoints' folder."""
        return None

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class MergeRequest(_ModelJob):
    """Two or three checkpoints become one; fields are those of A1111's Checkpoint Merger."""

    kind: Literal["merge"] = "merge"
    primary_model_name: Name = ""
    secondary_model_name: Name = ""
    tertiary_model_name: Name = ""
    interp_method: Literal["No interpolation", "Weighted sum", "Add difference"] = "Weighted sum"
    multiplier: float = Field(default=0.3, ge=-2.0, le=2.0)
    """M: A·(1 - M) + B·M, or A + (B - C)·M."""
    block_weights: list[float] = Field(default_factory=list, max_length=64)
    """M for each block of the UNet (25 for SD 1 and 2, 19 for SDXL); ``multiplier`` is for the
    rest. One number more: the first is for the rest. Text with commas is taken as well."""
    save_as_half: bool = False
    checkpoint_format: Name = "safetensors"
    config_source: int = Field(default=0, ge=0, le=3)
    bake_in_vae: Name = "None"
    discard_weights: Name = ""
    """Weights whose name this regular expression finds are left out."""
    save_metadata: bool = True
    add_merge_recipe: bool = True
    copy_metadata_fields: bool = True
    metadata_json: dict[str, Any] = Field(default_factory=dict, max_length=1000)

    @field_validator("block_weights", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]

    @field_validator("block_weights")
    @classmethod
    def _within(cls, value: list[float]) -> list[float]:
        if any(not math.isfinite(weight) or not -2 <= weight <= 2 for weight in value):
            raise ValueError("each weight must be from -2 to 2")
        return value

    @field_validator("config_source", mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        return CONFIG_SOURCES.index(value) if value in CONFIG_SOURCES else value

    @field_validator("metadata_json", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > MAX_METADATA:
                raise ValueError(f"is longer than {MAX_METADATA} characters")
            try:
                value = json.loads(value or "{}")
            except (ValueError, RecursionError) as error:
                raise ValueError("is not valid JSON") from error
        if not isinstance(value, dict):
            raise ValueError("must be a JSON object")
        return value


class ConvertRequest(_ModelJob):
    """One model in another form: a `.safetensors` file or a diffusers folder."""

    kind: Literal["convert"] = "convert"
    model_name: Name = ""
    """Title, file name or hash of a checkpoint, or the file name of a VAE."""
    to: Literal["safetensors", "diffusers"] = "safetensors"
    dtype: Literal["keep", "fp16", "bf16", "fp32"] = "keep"
    prune: bool = True
    """Leave out what makes no pictures: the optimiser's state and the like."""
    ema: Literal["drop", "use", "keep"] = "drop"
    """The moving average of the UNet, where a file has one: leave it out, let it take the place
    of the UNet, or keep both."""
