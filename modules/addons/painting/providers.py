"""What A1111's names ask for in the engine's process.

Nothing of the façade is imported before it is asked for: its modules read the world when they are
imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modules.addons.host import Host
from modules.addons.painting.settling import Settler

if TYPE_CHECKING:
    from PIL import Image

    from modules.engine.runner import Engine


def provide(host: Host, engine: Engine, settler: Settler) -> None:
    """Say where things come from; the scripts' controls need them already."""
    catalog = settler.catalog
    host.provide("device", lambda: engine.policy.device)
    host.provide("policy", lambda: engine.policy)
    host.provide("catalog", lambda: catalog)
    host.provide("paths", lambda: engine.paths)
    host.provide("checkpoint_titles", lambda: [one.title for one in catalog.checkpoints()])
    host.provide("vae_names", lambda: [one.name for one in catalog.vaes()])
    host.provide("upscaler_names", lambda: [one.name for one in catalog.upscalers()])
    host.provide("sd_upscalers", lambda: _upscalers(catalog))
    host.provide("prompt_styles", lambda: _styles(settler))
    host.providers["upscale"] = lambda *given: _enlarged(engine, settler, *given)  # type: ignore[misc,assignment]


def _upscalers(catalog: Any) -> Any:
    from modules.addons.a1111.upscaler import listed

    return listed(catalog)


def _styles(settler: Settler) -> Any:
    from modules.addons.a1111.styles import StyleDatabase

    return StyleDatabase(settler.styles)


def _enlarged(
    engine: Engine, settler: Settler, image: Image.Image, name: str, scale: float
) -> Image.Image:
    """By one of the program's upscalers.

    Raises:
        NotFoundInList: there is none of this name.
    """
    from modules.addons.a1111 import shared
    from modules.engine.generation.control import JobControl
    from modules.engine.postprocess.upscale import Upscaling

    info = settler.catalog.find_upscaler(name)
    upscaling = Upscaling(
        engine.policy.device,
        {"upscalers": {info.name: info.to_json()}},
        dict(shared.opts.data),
        lambda done, total: None,
        JobControl(""),
    )
    return upscaling.upscale(image.convert("RGB"), info.name, scale)
