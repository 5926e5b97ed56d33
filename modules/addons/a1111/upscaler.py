"""A1111's ``upscaler``: what ``shared.sd_upscalers`` lists."""

from __future__ import annotations

from typing import Any

from PIL import Image

from modules.addons import host

LANCZOS = Image.Resampling.LANCZOS
NEAREST = Image.Resampling.NEAREST


class Upscaler:
    """Enlarges pictures by the program's own upscaler of a name."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.scale = 4
        self.scalers: list[Any] = []
        self.model_path = None

    def upscale(
        self, img: Image.Image, scale: float, selected_model: str | None = None
    ) -> Image.Image:
        """A picture ``scale`` times as large."""
        size = round(img.width * scale), round(img.height * scale)
        with_model = host.get().providers.get("upscale")
        if self.name == "None":
            return img
        if with_model is None or self.name in ("Lanczos", "Nearest"):
            return img.resize(size, NEAREST if self.name == "Nearest" else LANCZOS)
        made: Image.Image = with_model(img, self.name, scale)  # type: ignore[call-arg]
        return made if made.size == size else made.resize(size, LANCZOS)


class UpscalerData:
    """One entry of the list."""

    def __init__(
        self, name: str, path: str | None, upscaler: Any = None, scale: int = 4, model: Any = None
    ) -> None:
        self.name = name
        self.data_path = path
        self.local_data_path = path
        self.scaler = upscaler or Upscaler(name)
        self.scale = scale
        self.model = model


def listed(catalog: Any) -> list[UpscalerData]:
    """All of a catalog; ``None`` first, as A1111 has it."""
    names = [one.name for one in catalog.upscalers()]
    first = [name for name in ("None", "Lanczos", "Nearest") if name in names] or ["None"]
    rest = [name for name in names if name not in first]
    return [UpscalerData(name, None) for name in (*first, *rest)]
