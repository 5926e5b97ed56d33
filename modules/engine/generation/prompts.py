"""The encoded prompts of a batch, and which rows the network is given at each evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modules.engine.checkpoints import LoadedModel
from modules.engine.conditioning import Conditioning, ConditioningSchedule, ScheduledPart
from modules.engine.generation.spec import BatchSpec, GenerationSpec
from modules.prompts import PromptPlan, parse_prompt


@dataclass(frozen=True)
class Rows:
    """One evaluation's conditionings: parts of the prompts first, then the negative prompts."""

    conditioning: tuple[Conditioning, ...]
    """One per row. With equal numbers of parts, all pictures' first parts come first."""
    images: tuple[int, ...]
    """Which picture each row belongs to."""
    weights: tuple[tuple[float, ...], ...]
    """Per picture, the weights of its parts."""
    part_rows: tuple[tuple[int, ...], ...]
    """Per picture, the rows of its parts."""

    @property
    def count(self) -> int:
        """Rows of the prompts, the negative ones not counted."""
        return sum(len(rows) for rows in self.part_rows)

    @property
    def uniform(self) -> bool:
        """Whether all pictures have parts of the same weights, so that whole batches combine."""
        return all(weights == self.weights[0] for weights in self.weights)


@dataclass(frozen=True)
class PromptSet:
    """Encoded prompts and negative prompts, one of each per picture."""

    positive: tuple[ConditioningSchedule, ...]
    negative: tuple[ConditioningSchedule, ...]

    def __len__(self) -> int:
        return len(self.positive)

    def rows_at(self, call: int) -> Rows:
        """The rows in force at the network's call number ``call``, from 0 (as A1111 counts)."""
        parts = [schedule.at(call) for schedule in self.positive]
        negative = [schedule.at(call)[0][1] for schedule in self.negative]
        order = [
            (image, place)
            for place in range(max(len(one) for one in parts))
            for image in range(len(parts))
            if place < len(parts[image])
        ]
        index = {pair: row for row, pair in enumerate(order)}
        conditioning = [parts[image][place][1] for image, place in order]
        return Rows(
            conditioning=(*conditioning, *negative),
            images=(*(image for image, _ in order), *range(len(parts))),
            weights=tuple(tuple(weight for weight, _ in one) for one in parts),
            part_rows=tuple(
                tuple(index[image, place] for place in range(len(one)))
                for image, one in enumerate(parts)
            ),
        )

    def only(self, images: Sequence[int]) -> PromptSet:
        """The prompts of some of the pictures."""
        return PromptSet(
            tuple(self.positive[i] for i in images), tuple(self.negative[i] for i in images)
        )


def parse_batch(
    spec: GenerationSpec, batch: BatchSpec, calls: int, first_pass: int | None = None
) -> tuple[list[PromptPlan], list[PromptPlan]]:
    """Read the prompts and negative prompts of a batch; schedules count the network's calls.

    ``first_pass``: calls of the pass before, when this is the second of hires fix.
    """
    steps, hires_steps = (calls, None) if first_pass is None else (first_pass, calls)

    def read(texts: Iterable[str], negative: bool) -> list[PromptPlan]:
        return [
            parse_prompt(
                text,
                steps,
                hires_steps=hires_steps,
                old_scheduling=spec.old_scheduling,
                negative=negative,
                comments=spec.comments,
            )
            for text in texts
        ]

    return read(batch.prompts, False), read(batch.negative_prompts, True)


def encode_batch(
    model: LoadedModel,
    spec: GenerationSpec,
    positive: Sequence[PromptPlan],
    negative: Sequence[PromptPlan],
) -> PromptSet:
    """Encode the prompts of a batch in the network's number format."""
    encoded: dict[int, Conditioning] = {}

    def ready(conditioning: Conditioning) -> Conditioning:
        """Converted once, so that equal prompts stay the same object."""
        key = id(conditioning)
        if key not in encoded:
            encoded[key] = Conditioning(
                conditioning.context.to(device=model.device, dtype=model.dtype),
                None if conditioning.pooled is None else conditioning.pooled.to(model.device),
            )
        return encoded[key]

    def schedule(plan: PromptPlan, negative: bool) -> ConditioningSchedule:
        found = model.conditioner.schedule(plan, spec.text, negative=negative)
        kept.append(found)
        return ConditioningSchedule(
            tuple(
                ScheduledPart(part.weight, tuple((end, ready(c)) for end, c in part.entries))
                for part in found.parts
            )
        )

    kept: list[ConditioningSchedule] = []  # ids are only unique among living objects
    prompts = PromptSet(
        tuple(schedule(plan, False) for plan in positive),
        tuple(schedule(plan, True) for plan in negative),
    )
    return (
        _padded(prompts, ready(model.conditioner.encode("", spec.text)))
        if (spec.pad_conds)
        else prompts
    )


def _padded(prompts: PromptSet, empty: Conditioning) -> PromptSet:
    """All prompts of one picture brought to the length of its longest ("Pad conds")."""

    def longest(schedules: Iterable[ConditioningSchedule]) -> int:
        return max(c.tokens for s in schedules for part in s.parts for _, c in part.entries)

    def pad(schedule: ConditioningSchedule, tokens: int) -> ConditioningSchedule:
        return ConditioningSchedule(
            tuple(
                ScheduledPart(
                    part.weight,
                    tuple((end, c.padded_with(empty, tokens)) for end, c in part.entries),
                )
                for part in schedule.parts
            )
        )

    pairs = list(zip(prompts.positive, prompts.negative, strict=True))
    tokens = [longest(pair) for pair in pairs]
    return PromptSet(
        tuple(pad(pair[0], n) for pair, n in zip(pairs, tokens, strict=True)),
        tuple(pad(pair[1], n) for pair, n in zip(pairs, tokens, strict=True)),
    )
