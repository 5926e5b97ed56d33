"""From tags with probabilities to the text that goes into a prompt box."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modules.engine.interrogate.options import InterrogateOptions

_SPECIAL = re.compile(r"([\\()])")


def prompt_of_tags(probabilities: Mapping[str, float], options: InterrogateOptions) -> str:
    """The likely tags as a prompt: sorted, filtered and spelled as the settings say."""
    left_out = {tag.strip().replace(" ", "_") for tag in options.deepbooru_filter_tags.split(",")}
    likely = {
        tag: chance
        for tag, chance in probabilities.items()
        if chance >= options.interrogate_deepbooru_score_threshold and tag not in left_out
    }
    order = (
        sorted(likely) if options.deepbooru_sort_alpha else sorted(likely, key=lambda t: -likely[t])
    )
    return ", ".join(_spelled(tag, likely[tag], options) for tag in order)


def _spelled(tag: str, chance: float, options: InterrogateOptions) -> str:
    if options.deepbooru_use_spaces:
        tag = tag.replace("_", " ")
    if options.deepbooru_escape:
        tag = _SPECIAL.sub(r"\\\1", tag)
    return f"({tag}:{chance:.3f})" if options.interrogate_return_ranks else tag
