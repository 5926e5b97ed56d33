"""Prompts of a job's images: styles first, then comments away, then wildcards per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modules.jobs.seeds import expand_seeds
from modules.jobs.translating import translate_all
from modules.prompts import (
    Dictionary,
    StyleBook,
    WildcardLibrary,
    apply_styles,
    expand,
    strip_comments,
)
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.generation import GenerationRequest

NO_STYLE = "None"
"""What A1111's clients send when no style is chosen."""
MAX_PROMPT_CHARACTERS = 4_000_000
"""Of all images' prompts of one job together."""


@dataclass(frozen=True)
class SettledPrompts:
    """One entry per image, and the texts before wildcards and translation if these did anything."""

    positive: list[str]
    negative: list[str]
    seeds: list[int]
    subseeds: list[int]
    templates: list[str] | None
    originals: list[list[str]] | None
    hires_positive: list[str] | None
    """The second pass's own prompts; None: the same as the first pass's."""
    hires_negative: list[str] | None

    def with_networks(self, added: Callable[[list[str]], list[str]]) -> SettledPrompts:
        """The same with extra networks added to the prompts of both passes."""
        second = None if self.hires_positive is None else added(self.hires_positive)
        return replace(self, positive=added(self.positive), hires_positive=second)

    def told(self) -> list[str]:
        """Every different prompt that is not negative, of both passes, translated and not."""
        before = [pair[0] for pair in self.originals or ()]
        return list(dict.fromkeys([*self.positive, *(self.hires_positive or ()), *before]))

    def hires(self) -> dict[str, list[str]]:
        """The second pass's own texts for ``PreparedJob.resources``; empty without any."""
        if self.hires_positive is None or self.hires_negative is None:
            return {}
        return {
            "hires_prompts": self.hires_positive,
            "hires_negative_prompts": self.hires_negative,
        }


@dataclass(frozen=True)
class PromptSettler:
    """Settles prompts with this installation's styles and wildcards."""

    styles: StyleBook
    wildcards: WildcardLibrary

    def settle(
        self,
        request: GenerationRequest,
        options: Mapping[str, Any],
        dictionary: Dictionary | None,
        warnings: list[str],
    ) -> SettledPrompts:
        """Prompts of every image; remarks are added to ``warnings``.

        Raises:
            RequestError: a style is unknown, or the prompts grow too long.
        """
        for name in request.styles:
            if name != NO_STYLE and self.styles.get(name) is None:
                raise NotFoundInList("styles", name, [style.name for style in self.styles.list()])
        count = request.batch_size * request.n_iter
        seeds, subseeds = expand_seeds(
            request.seed, request.subseed, request.subseed_strength, count
        )
        # With a variation strength all images share the seed; wildcards still differ.
        varied = subseeds if request.subseed_strength > 0 else seeds
        pair = self._styled(request.prompt, request.negative_prompt, request, options)
        positive, negative = self._expanded(pair, varied, options, warnings)
        changed = positive != [pair[0]] * count or negative != [pair[1]] * count
        translated = translate_all(positive, negative, dictionary)
        warnings += translated.notes
        hires = self._hires(request, pair, varied, options, dictionary, warnings)
        return SettledPrompts(
            translated.positive,
            translated.negative,
            seeds,
            subseeds,
            list(pair) if changed else None,
            translated.originals,
            *hires,
        )

    def _hires(
        self,
        request: GenerationRequest,
        first: tuple[str, str],
        seeds: list[int],
        options: Mapping[str, Any],
        dictionary: Dictionary | None,
        warnings: list[str],
    ) -> tuple[list[str] | None, list[str] | None]:
        """The second pass's own prompts; an empty one means the first pass's."""
        if not request.enable_hr or not (request.hr_prompt or request.hr_negative_prompt):
            return None, None
        own = self._styled(request.hr_prompt, request.hr_negative_prompt, request, options)
        pair = (
            own[0] if request.hr_prompt else first[0],
            own[1] if request.hr_negative_prompt else first[1],
        )
        positive, negative = self._expanded(pair, seeds, options, warnings)
        translated = translate_all(positive, negative, dictionary)
        return translated.positive, translated.negative

    def _styled(
        self,
        prompt: str,
        negative: str,
        request: GenerationRequest,
        options: Mapping[str, Any],
    ) -> tuple[str, str]:
        prompt, negative = apply_styles(prompt, negative, request.styles, self.styles)
        if options.get("enable_prompt_comments", True):
            prompt, negative = strip_comments(prompt), strip_comments(negative)
        return prompt, negative

    def _expanded(
        self,
        pair: tuple[str, str],
        seeds: list[int],
        options: Mapping[str, Any],
        warnings: list[str],
    ) -> tuple[list[str], list[str]]:
        prompt, negative = pair
        if (len(prompt) + len(negative)) * len(seeds) > MAX_PROMPT_CHARACTERS:
            raise RequestError(
                "prompt",
                f"{len(prompt) + len(negative)} characters",
                f"{len(seeds)} images with this prompt exceed {MAX_PROMPT_CHARACTERS} characters; "
                "ask for fewer images or a shorter prompt.",
            )
        if not options.get("enable_wildcards", True):
            return [prompt] * len(seeds), [negative] * len(seeds)
        positives, negatives, total = [], [], 0
        for seed in seeds:
            first = expand(prompt, seed, self.wildcards)
            second = expand(negative, seed, self.wildcards)
            for warning in (*first.warnings, *second.warnings):
                if warning.message not in warnings:
                    warnings.append(warning.message)
            positives.append(first.text)
            negatives.append(second.text)
            total += len(first.text) + len(second.text)
            if total > MAX_PROMPT_CHARACTERS:
                raise RequestError(
                    "prompt",
                    prompt,
                    f"the wildcards grow to more than {MAX_PROMPT_CHARACTERS} characters.",
                )
        return positives, negatives
