"""What samplers call: prompts, guidance and the network behind ``denoise(x, sigma)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.conditioning import Conditioning
from modules.engine.generation.added import AddedInputs
from modules.engine.generation.blending import MaskBlend
from modules.engine.generation.control import JobControl
from modules.engine.generation.hooks import EvaluationState, HookPoint, Hooks
from modules.engine.generation.layer_guidance import LayerGuidance
from modules.engine.generation.prompts import PromptSet, Rows
from modules.engine.generation.relay import Relay, Runner
from modules.engine.sampling import CfgPlan, GuidanceSettings, SamplingPlan, cfg_plan, combine
from modules.engine.sampling.guidance import rescale_denoised
from modules.engine.sampling.prediction import scale_input, to_denoised

REMEMBERED_STACKS = 16


class GuidedDenoiser:
    """Denoises with classifier-free guidance; one object per batch."""

    def __init__(
        self,
        model: LoadedModel,
        plan: SamplingPlan,
        prompts: PromptSet,
        guidance: GuidanceSettings,
        control: JobControl,
        hooks: Hooks,
        *,
        one_batch: bool = True,
        added: AddedInputs | None = None,
        concat: Tensor | None = None,
        image_scale: float | None = None,
        blend: MaskBlend | None = None,
        relay: Relay | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            one_batch: send prompts and negative prompts through the network together.
            added: what the network is told beside text and time.
            concat: further input channels [batch, channels, height, width], see ``ConcatSource``.
            image_scale: guidance by the picture, for models that edit one; None or 1: none.
            blend: keeps the unmasked part of a picture.
            relay: another model takes over at some noise level.
            options: the job's settings, for guidance that only some families have.
        """
        self.plan = plan
        self.blend = blend
        self.one_batch = one_batch
        self.calls = 0
        self.left_out: set[str] = set()
        """Why the negative prompt was left out in some call: ``cfg``, ``early``, ``ngms``."""
        self.cond_denoised: Tensor | None = None
        """Of the last call: what the prompt alone expects, [batch, channels, height, width]."""
        self.uncond_denoised: Tensor | None = None
        """Of the last call: the same of the negative prompt."""
        self._control = control
        self._hooks = hooks
        self._relay = relay
        self._image_scale = image_scale
        self._stacks: dict[tuple[int, ...], tuple[Sequence[Conditioning], Conditioning]] = {}
        self.guidance = guidance
        self._options = options or {}
        self._take(Runner(model, plan.model_sampling, prompts, added or AddedInputs(), concat))

    def _take(self, runner: Runner) -> None:
        """Go on with this model and what it needs."""
        self.model = runner.model
        self.prompts = runner.prompts
        self._sampling = runner.sampling
        self._kind = runner.sampling.prediction_type
        self._layers = LayerGuidance.from_options(self._options, runner.model.family)
        self._added = runner.added
        self._concat = runner.concat
        self._three_way = runner.model.variant == "edit" and self._image_scale not in (None, 1.0)
        if self._three_way:
            self.guidance = replace(self.guidance, needs_uncond=True)
        self._constant = all(
            s.is_constant for s in (*runner.prompts.positive, *runner.prompts.negative)
        )
        self._first_rows = runner.prompts.rows_at(0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise ``x`` [batch, channels, height, width] at noise levels ``sigma`` [batch].

        Raises:
            StopSampling: the job was interrupted or the batch skipped.
        """
        self._control.check()
        call, level = self.calls, float(sigma[0])
        self.calls += 1
        if self._relay is not None and self._relay.due(level, call, self.plan.run_calls):
            self._take(self._relay.take_over())
            self._relay = None
        rows = self._first_rows if self._constant else self.prompts.rows_at(call)
        plan = self._passes(call, level, rows)
        if plan.reason:
            self.left_out.add(plan.reason)
        wanted = len(rows.images) if plan.uncond else rows.count
        images, conditioning = rows.images[:wanted], list(rows.conditioning[:wanted])
        if self._three_way and plan.uncond:
            # Once more the negative prompts, which are then not shown the picture.
            images += rows.images[rows.count :]
            conditioning += rows.conditioning[rows.count :]
        state = EvaluationState(
            evaluation=call,
            total=self.plan.run_calls,
            sigma=level,
            x=x,
            row_images=images,
            conditioning=conditioning,
            has_uncond=plan.uncond,
            positives=rows.count,
            denoiser=self,
        )
        self._hooks.call(HookPoint.CFG_DENOISER, state)
        state.denoised = self._evaluate(state, rows.count)
        self._hooks.call(HookPoint.CFG_DENOISED, state)
        guided = self._guided(state, rows, plan)
        if self._layers is not None and plan.uncond and self._layers.due(call, state.total):
            guided = guided + self._layers.scale * self._said_by_layers(state, self._layers)
        state.combined = self._blended(guided, level)
        self._hooks.call(HookPoint.CFG_AFTER_CFG, state)
        return state.combined

    def go_on(self, calls: int, left_out: Sequence[str], *, handed_over: bool) -> None:
        """Take up where a paused job was, after so many calls."""
        self.calls = calls
        self.left_out.update(left_out)
        if handed_over and self._relay is not None:
            self._take(self._relay.take_over())
            self._relay = None

    def _passes(self, call: int, level: float, rows: Rows) -> CfgPlan:
        """Which passes this call needs; the pictures of a batch share them."""
        plans = [
            cfg_plan(call, self.plan.run_calls, level, self.guidance, weights)
            for weights in dict.fromkeys(rows.weights)
        ]
        return next((plan for plan in plans if plan.uncond), plans[0])

    def _evaluate(self, state: EvaluationState, positives: int) -> Tensor:
        """The network's denoised prediction for every row, [rows, channels, height, width]."""
        timestep = self._sampling.timestep(state.sigma)
        shown = state.x if state.x_rows is None else state.x_rows
        scaled = scale_input(shown, state.sigma, self._kind)
        groups = self._groups(state.conditioning, positives)
        if len(groups) == 1:
            rows = range(len(state.conditioning))
            return self._predict(state, scaled, timestep, rows, positives)
        parts: list[Tensor | None] = [None] * len(state.conditioning)
        for group in groups:
            self._control.check()
            made = self._predict(state, scaled, timestep, group, positives)
            for row, one in zip(group, made.split(1), strict=True):
                parts[row] = one
        return torch.cat(parts)

    def _predict(
        self,
        state: EvaluationState,
        scaled: Tensor,
        timestep: float,
        group: Sequence[int],
        positives: int,
    ) -> Tensor:
        images = [state.row_images[row] for row in group]
        conditioning = self._stacked([state.conditioning[row] for row in group])
        if state.x_rows is None:
            x_rows, noisy = _taken(scaled, images), _taken(state.x, images)
        else:
            x_rows, noisy = scaled[list(group)], state.x_rows[list(group)]
        if self._concat is not None:
            x_rows = torch.cat([x_rows, self._shown(state, group)], dim=1)
        times = torch.full((len(images),), timestep, device=scaled.device)
        added = self._added.rows(images, [row >= positives for row in group])
        output = self.model.predict(x_rows, times, conditioning, added)
        return to_denoised(output, noisy, state.sigma, self._kind)

    def _shown(self, state: EvaluationState, group: Sequence[int]) -> Tensor:
        """The further channels of these rows; zeros where the picture is withheld."""
        shown = _taken(self._concat, [state.row_images[row] for row in group])
        if not self._three_way or not state.has_uncond:
            return shown
        first = len(state.row_images) - len(state.x)
        kept = [float(row < first) for row in group]
        return shown * torch.tensor(kept, device=shown.device).view(-1, 1, 1, 1)

    def _groups(self, conditioning: Sequence[Conditioning], positives: int) -> list[list[int]]:
        """Rows that go through the network together: of equal length, so that nothing is padded
        and every picture is what it would be alone."""
        groups: dict[tuple[int, bool], list[int]] = {}
        for row, one in enumerate(conditioning):
            apart = row >= positives and not self.one_batch
            groups.setdefault((one.tokens, apart), []).append(row)
        return list(groups.values())

    def _stacked(self, rows: Sequence[Conditioning]) -> Conditioning:
        """The rows as one tensor, the same object as long as the same texts are in force."""
        key = tuple(id(row) for row in rows)
        if key not in self._stacks:
            while len(self._stacks) >= REMEMBERED_STACKS:
                del self._stacks[next(iter(self._stacks))]
            pooled = [row.pooled for row in rows if row.pooled is not None]
            joined = Conditioning(
                torch.cat([row.context for row in rows]),
                torch.cat(pooled) if len(pooled) == len(rows) else None,
            )
            self._stacks[key] = (rows, joined)  # the rows stay alive, so their ids stay theirs
        return self._stacks[key][1]

    def _guided(self, state: EvaluationState, rows: Rows, plan: CfgPlan) -> Tensor:
        denoised = state.denoised
        batch = len(state.x)
        uncond = denoised[rows.count : rows.count + batch] if plan.uncond else None
        first = denoised[:batch]  # rows of first parts lead, in the order of the pictures
        self.cond_denoised = first
        self.uncond_denoised = first if uncond is None else uncond
        if rows.uniform:
            parts = list(denoised[: rows.count].split(batch))
            guided = combine(parts, rows.weights[0], uncond, plan.scale)
        else:
            guided = torch.cat(
                [
                    combine(
                        [denoised[row : row + 1] for row in rows.part_rows[image]],
                        rows.weights[image],
                        None if uncond is None else uncond[image : image + 1],
                        plan.scale,
                    )
                    for image in range(batch)
                ]
            )
        if self._three_way and uncond is not None:
            # Brooks et al. (2023), equation 3, seen from the prediction without a prompt.
            blind = denoised[rows.count + batch :]
            guided = guided + (self._image_scale - 1) * (uncond - blind)
        if not plan.uncond or not self.guidance.rescale:
            return guided
        return rescale_denoised(
            guided, first, state.x, state.sigma, self._kind, self.guidance.rescale
        )

    def _said_by_layers(self, state: EvaluationState, layers: LayerGuidance) -> Tensor:
        """How much some layers change the prediction of each picture's (first) prompt."""
        batch = len(state.x)
        alone = replace(
            state,
            row_images=state.row_images[:batch],
            conditioning=state.conditioning[:batch],
            has_uncond=False,
            x_rows=None if state.x_rows is None else state.x_rows[:batch],
        )
        with layers.skipping(self.model.networks["unet"]):
            return state.denoised[:batch] - self._evaluate(alone, batch)

    def _blended(self, guided: Tensor, sigma: float) -> Tensor:
        """The unmasked part put back, if there is one."""
        if self.blend is None:
            return guided
        if self.guidance.needs_uncond:
            self.uncond_denoised = self.blend(self.uncond_denoised, sigma)
        return self.blend(guided, sigma)


def _taken(x: Tensor, images: Sequence[int]) -> Tensor:
    """The rows of ``x`` for these pictures; plain repetition where that is what it is."""
    batch = len(x)
    times, rest = divmod(len(images), batch)
    if not rest and list(images) == list(range(batch)) * times:
        return x if times == 1 else x.repeat(times, *([1] * (x.ndim - 1)))
    return x[list(images)]
