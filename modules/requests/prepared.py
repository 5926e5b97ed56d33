"""``PreparedJob``: a request with everything settled that the engine needs; it travels as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class PreparedJob:
    """One job as it is stored in the queue and sent to the engine.

    Seeds are drawn, styles applied, wildcards expanded, the checkpoint resolved: running it again
    after a restart gives the same pictures. Lists ``all_*`` have one entry per image
    (``n_iter * batch_size``).
    """

    id: str
    kind: str
    request: dict[str, Any]
    """``GenerationRequest.model_dump()``."""
    options: dict[str, Any]
    """Every setting as this job sees it, overrides applied."""
    all_prompts: list[str]
    all_negative_prompts: list[str]
    all_seeds: list[int]
    all_subseeds: list[int]
    checkpoint: str | None = None
    """Path of the checkpoint's file or folder."""
    vae: str | None = None
    """Path of a separate VAE, or None for the checkpoint's own."""
    templates: list[str] | None = None
    """Prompt and negative prompt before wildcards were expanded, when that changed them."""
    originals: list[list[str]] | None = None
    """Each image's prompt and negative prompt before they were translated, when that was done."""
    inputs: dict[str, str] = field(default_factory=dict)
    """``input:<sha256>`` reference → absolute path of the stored, checked input picture."""
    resources: dict[str, Any] = field(default_factory=dict)
    """Further resolved files: ``refiner``, ``hires_checkpoint`` (paths), ``upscalers`` (name →
    ``UpscalerInfo.to_json()``), ``restorers`` (the same for face restorers). And the second pass's
    own texts, one per image, if it has any: ``hires_prompts``, ``hires_negative_prompts``. Extra
    networks: ``loras`` and ``hypernetworks`` (name in the prompt → ``path``), ``embeddings`` (a
    list of ``name`` and ``path``)."""
    plan: dict[str, Any] | None = None
    """Of a job made of many units: ``script``, ``args``, the plan's ``request``, ``random`` (its
    seed was drawn), ``images`` (how many are expected). See ``modules.requests.plans``."""
    created: float = 0.0
    client: str = "ui"
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PreparedJob:
        """Read it back; keys of other versions are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})
