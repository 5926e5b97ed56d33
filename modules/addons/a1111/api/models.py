"""A1111's ``api.models``: requests and answers, as far as extensions derive theirs from them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class StableDiffusionTxt2ImgProcessingAPI(_Open):
    """A request for txt2img."""

    prompt: str = ""


class StableDiffusionImg2ImgProcessingAPI(_Open):
    """A request for img2img."""

    prompt: str = ""
    init_images: list[str] | None = None


class TextToImageResponse(BaseModel):
    """What txt2img answers."""

    images: list[str] | None = Field(default=None)
    parameters: dict[str, Any] = Field(default_factory=dict)
    info: str = ""


class ImageToImageResponse(TextToImageResponse):
    """What img2img answers."""


class InterrogateRequest(BaseModel):
    """A picture to describe."""

    image: str = ""
    model: str = "clip"


class ScriptInfo(_Open):
    """A script."""

    name: str | None = None
