"""A1111's three callbacks of every call of the network, with fields that may be changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modules.addons.a1111 import script_callbacks
from modules.addons.a1111.callback_params import (
    AfterCFGCallbackParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
)
from modules.engine.conditioning import Conditioning
from modules.engine.generation.hooks import EvaluationState, HookPoint, Hooks

WITH_VECTORS = ("sdxl", "sd3", "flux")
"""Families whose network is given a summary of the text beside its states."""


class GuidanceCallbacks:
    """``on_cfg_denoiser``, ``on_cfg_denoised`` and ``on_cfg_after_cfg`` for one ``p``."""

    def __init__(self, p: Any) -> None:
        self._p = p
        self._view = DenoiserView(p)

    def listen(self, hooks: Hooks) -> None:
        """Scripts register callbacks in the middle of a job: each call looks who is there."""
        hooks.add(HookPoint.CFG_DENOISER, self.before)
        hooks.add(HookPoint.CFG_DENOISED, self.denoised)
        hooks.add(HookPoint.CFG_AFTER_CFG, self.after)

    def before(self, state: EvaluationState) -> None:
        """``x``, ``sigma``, ``text_cond`` and ``text_uncond`` may be assigned or changed."""
        self._view.follow(state)
        if self._p.sampler is None:
            self._p.sampler = SamplerView(self._p, self._view)
        if not script_callbacks.has("cfg_denoiser"):
            return
        x = torch.cat([state.x[row : row + 1] for row in state.row_images])
        sigma = torch.full((len(x),), state.sigma, device=x.device, dtype=torch.float32)
        positive, negative = _parts(state)
        vectors = state.denoiser is not None and state.denoiser.model.family in WITH_VECTORS
        cond, uncond = joined(positive, vectors), joined(negative, vectors)
        before = x.clone(), _copied(cond), _copied(uncond)
        params = CFGDenoiserParams(
            x, None, sigma, state.evaluation, state.total, cond, uncond, self._view
        )
        script_callbacks.cfg_denoiser_callback(params)
        if not torch.equal(params.x, before[0]) and params.x.shape == x.shape:
            state.x_rows = params.x
        state.sigma = float(torch.as_tensor(params.sigma).flatten()[0])
        changed = list(state.conditioning)
        if not _equal(params.text_cond, before[1]):
            changed[: len(positive)] = _split(params.text_cond, positive)
        if state.has_uncond and not _equal(params.text_uncond, before[2]):
            new = _split(params.text_uncond, negative)
            for place in range(len(positive), len(changed)):
                changed[place] = new[(place - len(positive)) % len(new)]
        state.conditioning = changed

    def denoised(self, state: EvaluationState) -> None:
        """``x``: what the network made of every row, prompts first."""
        if not script_callbacks.has("cfg_denoised"):
            return
        params = CFGDenoisedParams(
            state.denoised, state.evaluation, state.total, self._view.inner_model
        )
        script_callbacks.cfg_denoised_callback(params)
        state.denoised = params.x

    def after(self, state: EvaluationState) -> None:
        """``x``: the guided prediction of every picture."""
        if not script_callbacks.has("cfg_after_cfg"):
            return
        params = AfterCFGCallbackParams(state.combined, state.evaluation, state.total)
        script_callbacks.cfg_after_cfg_callback(params)
        state.combined = params.x


class DenoiserView:
    """What A1111's ``CFGDenoiser`` tells extensions."""

    def __init__(self, p: Any) -> None:
        self.p = p
        self.step = 0
        self.steps = int(p.steps)
        self.total_steps = int(p.steps)
        self.mask: Any = None
        self.nmask: Any = None
        self.init_latent: Any = None
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.cond_scale_miltiplier = 1.0
        self.padded_cond_uncond = False
        self.model_wrap: Any = None
        self.inner_model: Any = None
        self.sampler: Any = None

    def follow(self, state: EvaluationState) -> None:
        """The call that begins."""
        self.step, self.total_steps = state.evaluation, state.total
        self.steps = state.total
        self.sampler = self.p.sampler
        if state.denoiser is not None:
            self.inner_model = self.model_wrap = state.denoiser.model.networks["unet"]


class SamplerView:
    """What A1111's sampler tells extensions."""

    def __init__(self, p: Any, denoiser: DenoiserView) -> None:
        self.p = p
        self.funcname = str(p.sampler_name)
        self.model_wrap_cfg = denoiser
        self.model_wrap = denoiser
        self.stop_at: int | None = None
        self.conditioning_key = "crossattn"
        self.last_latent: Any = None


def _parts(state: EvaluationState) -> tuple[list[Conditioning], list[Conditioning]]:
    """Conditionings of the prompts and of the negative prompts, those left out too."""
    positive = list(state.conditioning[: state.positives])
    if state.has_uncond or state.denoiser is None:
        batch = len(state.x)
        return positive, list(state.conditioning[state.positives : state.positives + batch])
    rows = state.denoiser.prompts.rows_at(state.evaluation)
    return positive, list(rows.conditioning[rows.count :])


def joined(rows: list[Conditioning], vectors: bool) -> Any:
    """[rows, tokens, width], or with ``vectors`` a dictionary with pooled texts too, as A1111."""
    if not rows:
        return None
    longest = max(one.context.shape[1] for one in rows)
    context = torch.cat([_lengthened(one.context, longest) for one in rows])
    if not vectors or rows[0].pooled is None:
        return context
    pooled = torch.cat([one.pooled for one in rows if one.pooled is not None])
    return CondDict({"crossattn": context, "vector": pooled})


class CondDict(dict[str, Tensor]):
    """A1111's conditioning of SDXL: a dictionary with the shape of its main entry."""

    @property
    def shape(self) -> Any:
        """Of the context."""
        return self["crossattn"].shape

    def to(self, *args: Any, **kwargs: Any) -> CondDict:
        """All entries elsewhere."""
        return CondDict({key: one.to(*args, **kwargs) for key, one in self.items()})


def _split(given: Any, rows: list[Conditioning]) -> list[Conditioning]:
    """Back to rows; fewer rows than there were are taken again from the beginning."""
    context = given["crossattn"] if isinstance(given, dict) else given
    vector = given.get("vector") if isinstance(given, dict) else None
    found = []
    for place, row in enumerate(rows):
        at = place % len(context)
        pooled = row.pooled if vector is None else vector[at : at + 1]
        found.append(Conditioning(context[at : at + 1].to(row.context), pooled))
    return found


def _lengthened(context: Tensor, tokens: int) -> Tensor:
    missing = tokens - context.shape[1]
    return torch.cat([context, context[:, -1:].repeat(1, missing, 1)], 1) if missing else context


def _copied(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: one.clone() for key, one in given.items()}
    return None if given is None else given.clone()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.equal(one, other)
