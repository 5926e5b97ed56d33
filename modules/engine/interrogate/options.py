"""The settings of interrogation, under A1111's keys and with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InterrogateOptions:
    """What decides about captions and tags."""

    interrogate_keep_models_in_memory: bool = False
    interrogate_return_ranks: bool = False
    interrogate_clip_num_beams: int = 1
    interrogate_clip_min_length: int = 24
    interrogate_clip_max_length: int = 48
    interrogate_clip_dict_limit: int = 1500
    """Lines read of each list; 0: all."""
    interrogate_clip_skip_categories: tuple[str, ...] = ()
    interrogate_deepbooru_score_threshold: float = 0.5
    deepbooru_sort_alpha: bool = True
    deepbooru_use_spaces: bool = True
    deepbooru_escape: bool = True
    deepbooru_filter_tags: str = ""
    """Tags that are never given, separated by commas."""

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> InterrogateOptions:
        """The settings among others; what is missing has its default."""
        known = {
            name: options[name]
            for name in cls.__dataclass_fields__
            if options and options.get(name) is not None
        }
        skipped = known.get("interrogate_clip_skip_categories")
        if skipped is not None:
            known["interrogate_clip_skip_categories"] = tuple(skipped)
        return cls(**known)
