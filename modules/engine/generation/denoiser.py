"""What samplers call: prompts, guidance and the network behind ``denoise(x, sigma)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.conditioning import Conditioning
from modules.engine.generation.control import JobControl
from modules.engine.generation.hooks import EvaluationState, HookPoint, Hooks
from modules.engine.generation.prompts import PromptSet, Rows
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
        added: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            one_batch: send prompts and negative prompts through the network together.
            added: further inputs of the network for one row, see ``added_conditioning``.
        """
        self.model = model
        self.plan = plan
        self.prompts = prompts
        self.guidance = guidance
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
        self._added = dict(added or {})
        self._kind = plan.model_sampling.prediction_type
        self._rows: dict[tuple[int, ...], Rows] = {}
        self._stacks: dict[tuple[int, ...], tuple[Sequence[Conditioning], Conditioning]] = {}
        self._constant = all(s.is_constant for s in (*prompts.positive, *prompts.negative))
        self._first_rows = prompts.rows_at(0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise ``x`` [batch, channels, height, width] at noise levels ``sigma`` [batch].

        Raises:
            StopSampling: the job was interrupted or the batch skipped.
        """
        self._control.check()
        call, level = self.calls, float(sigma[0])
        self.calls += 1
        rows = self._first_rows if self._constant else self.prompts.rows_at(call)
        plan = self._passes(call, level, rows)
        if plan.reason:
            self.left_out.add(plan.reason)
        state = EvaluationState(
            evaluation=call,
            total=self.plan.total_calls,
            sigma=level,
            x=x,
            row_images=rows.images if plan.uncond else rows.images[: rows.count],
            conditioning=list(rows.conditioning[: None if plan.uncond else rows.count]),
            has_uncond=plan.uncond,
        )
        self._hooks.call(HookPoint.CFG_DENOISER, state)
        state.denoised = self._evaluate(state, rows.count)
        self._hooks.call(HookPoint.CFG_DENOISED, state)
        state.combined = self._guided(state, rows, plan)
        self._hooks.call(HookPoint.CFG_AFTER_CFG, state)
        return state.combined

    def _passes(self, call: int, level: float, rows: Rows) -> CfgPlan:
        """Which passes this call needs; the pictures of a batch share them."""
        plans = [
            cfg_plan(call, self.plan.total_calls, level, self.guidance, weights)
            for weights in dict.fromkeys(rows.weights)
        ]
        return next((plan for plan in plans if plan.uncond), plans[0])

    def _evaluate(self, state: EvaluationState, positives: int) -> Tensor:
        """The network's denoised prediction for every row, [rows, channels, height, width]."""
        timestep = self.plan.model_sampling.timestep(state.sigma)
        scaled = scale_input(state.x, state.sigma, self._kind)
        groups = self._groups(state.conditioning, positives)
        if len(groups) == 1:
            return self._predict(state, scaled, timestep, range(len(state.conditioning)))
        parts: list[Tensor | None] = [None] * len(state.conditioning)
        for group in groups:
            self._control.check()
            for row, one in zip(
                group, self._predict(state, scaled, timestep, group).split(1), strict=True
            ):
                parts[row] = one
        return torch.cat(parts)

    def _predict(
        self, state: EvaluationState, scaled: Tensor, timestep: float, group: Sequence[int]
    ) -> Tensor:
        images = [state.row_images[row] for row in group]
        conditioning = self._stacked([state.conditioning[row] for row in group])
        x_rows, noisy = _taken(scaled, images), _taken(state.x, images)
        times = torch.full((len(images),), timestep, device=scaled.device)
        added = {key: value.expand(len(images), -1) for key, value in self._added.items()}
        output = self.model.predict(x_rows, times, conditioning, added or None)
        return to_denoised(output, noisy, state.sigma, self._kind)

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
        uncond = denoised[rows.count :] if plan.uncond else None
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
        if not plan.uncond or not self.guidance.rescale:
            return guided
        return rescale_denoised(
            guided, first, state.x, state.sigma, self._kind, self.guidance.rescale
        )


def _taken(x: Tensor, images: Sequence[int]) -> Tensor:
    """The rows of ``x`` for these pictures; plain repetition where that is what it is."""
    batch = len(x)
    times, rest = divmod(len(images), batch)
    if not rest and list(images) == list(range(batch)) * times:
        return x if times == 1 else x.repeat(times, *([1] * (x.ndim - 1)))
    return x[list(images)]
