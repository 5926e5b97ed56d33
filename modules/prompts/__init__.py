"""The prompt language: parsing, schedules, styles, wildcards, token counting. No torch."""

from modules.prompts.attention import BREAK, Segment, parse_attention
from modules.prompts.chunks import Chunk, TokenRun, Vectors, chunk_tokens, pad_chunk
from modules.prompts.comments import strip_comments
from modules.prompts.networks import ExtraNetwork
from modules.prompts.notices import PromptWarning
from modules.prompts.plan import PromptPlan, SubPrompt, parse_prompt
from modules.prompts.schedule import ScheduleEntry
from modules.prompts.styles import Style, StyleBook, apply_styles
from modules.prompts.tokens import PromptTokenizer, TokenCount, count_tokens
from modules.prompts.translation import (
    BadDictionaryError,
    Dictionary,
    Translation,
    translate,
)
from modules.prompts.wildcard_files import WildcardLibrary
from modules.prompts.wildcards import Expansion, expand, has_wildcards

__all__ = [
    "BREAK",
    "BadDictionaryError",
    "Chunk",
    "Dictionary",
    "Expansion",
    "ExtraNetwork",
    "PromptPlan",
    "PromptTokenizer",
    "PromptWarning",
    "ScheduleEntry",
    "Segment",
    "Style",
    "StyleBook",
    "SubPrompt",
    "TokenCount",
    "TokenRun",
    "Translation",
    "Vectors",
    "WildcardLibrary",
    "apply_styles",
    "chunk_tokens",
    "count_tokens",
    "expand",
    "has_wildcards",
    "pad_chunk",
    "parse_attention",
    "parse_prompt",
    "strip_comments",
    "translate",
]
