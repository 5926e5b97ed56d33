"""How the engine loads and runs each model family.

One module per family with a `FamilyLoader`. A new family is one module here with the key that
`modules/catalog/families` uses for it, and one entry in `LOADERS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from modules.engine.checkpoints.families import flux, sd1, sd2, sd3, sdxl
from modules.engine.checkpoints.families.base import FamilyAdapter, FamilyLoader, ModelPlan

LOADERS: Mapping[str, FamilyLoader] = {
    sd1.KEY: sd1.Sd1Loader(),
    sd2.KEY: sd2.Sd2Loader(),
    sdxl.KEY: sdxl.SdxlLoader(),
    sd3.KEY: sd3.Sd3Loader(),
    flux.KEY: flux.FluxLoader(),
}

__all__ = ["LOADERS", "FamilyAdapter", "FamilyLoader", "ModelPlan"]
