"""The two halves of the family registry fit together."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.families import BY_KEY
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.checkpoints.families import LOADERS
from modules.engine.checkpoints.families.base import ModelPlan, PictureFacts


def test_every_loader_belongs_to_a_family_that_the_catalog_knows() -> None:
    assert set(LOADERS) <= set(BY_KEY)
    for key, loader in LOADERS.items():
        assert loader.key == loader.adapter.key == key


def test_models_of_this_family_have_no_inputs_that_depend_on_the_size(tmp_path: Path) -> None:
    unet = ComponentPlan("unet", {}, {}, tmp_path, "UNet")
    plan = ModelPlan("sd1", tmp_path, {"unet": unet}, {}, {}, Sidecar())
    assert LOADERS["sd1"].adapter.added_conditioning(plan, PictureFacts(64, 64)) == {}
