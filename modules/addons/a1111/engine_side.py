"""What the engine's process installs when extensions are on: ``--plugin`` of its command line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.engine.runner import Engine

log = logging.getLogger("easel.addons")


def install(engine: Engine) -> None:
    """Load the extensions that the server decided on, and let their scripts take part.

    Raises:
        OSError, ValueError: the server left no plan.
    """
    from modules.addons.painting.providers import provide
    from modules.addons.painting.settling import Settler
    from modules.addons.world import load_planned

    settler = Settler(engine.paths, hashing=engine.models.hashing)
    load_planned("engine", engine.paths.cache, lambda host: provide(host, engine, settler))
    # Only now: the façade reads flags and folders of the world when it is imported.
    from modules.addons.painting.conductor import take_part

    take_part(engine, settler)
