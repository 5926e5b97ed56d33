"""All selectable scripts that come with Easel, in the order of the list."""

from __future__ import annotations

from modules.addons.scripts.compare import AB_COMPARE
from modules.addons.scripts.from_file import PROMPTS_FROM_FILE
from modules.addons.scripts.loopback import LOOPBACK
from modules.addons.scripts.matrix import PROMPT_MATRIX
from modules.addons.scripts.sd_upscale import SD_UPSCALE
from modules.addons.scripts.travel import PROMPT_TRAVEL, SEED_TRAVEL
from modules.addons.scripts.xyz import XYZ_PLOT
from modules.requests.plans import PlannedScript

PLANNED: tuple[PlannedScript, ...] = (
    PROMPT_MATRIX,
    PROMPTS_FROM_FILE,
    XYZ_PLOT,
    LOOPBACK,
    SD_UPSCALE,
    SEED_TRAVEL,
    PROMPT_TRAVEL,
    AB_COMPARE,
)
