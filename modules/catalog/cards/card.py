"""One card: a model file with everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from modules.catalog.cards.facts import CardFacts
from modules.catalog.cards.pages import Page
from modules.catalog.cards.walk import Entry
from modules.catalog.checkpoints import CheckpointInfo


@dataclass(frozen=True)
class Card:
    """One model file with everything that is known of it."""

    page: Page
    entry: Entry
    facts: CardFacts
    known: bool
    """Whether the facts have been read; if not, they are empty."""
    checkpoint: CheckpointInfo | None
    search: str = field(repr=False)
    """Everything that a search looks at, in lower case."""

    @classmethod
    def of(
        cls, page: Page, entry: Entry, facts: CardFacts | None, info: CheckpointInfo | None
    ) -> Card:
        """Put together what is known; no `facts` when they have not been read."""
        text = _search_text(entry, facts, info)
        return cls(page, entry, facts or NOTHING, facts is not None, info, text)

    @property
    def title(self) -> str:
        """A checkpoint's title, else the name."""
        return self.checkpoint.title if self.checkpoint is not None else self.entry.name

    @property
    def family(self) -> str:
        """Key of the model family, or empty."""
        if self.checkpoint is not None and not self.facts.user.sd_version:
            return self.checkpoint.family or ""
        return self.facts.family

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty for a good one."""
        return self.checkpoint.problem if self.checkpoint is not None else self.facts.problem


NOTHING = CardFacts()
"""Of a file that nobody has looked into."""


def _search_text(entry: Entry, facts: CardFacts | None, info: CheckpointInfo | None) -> str:
    parts = [entry.name, entry.path.name]
    if info is not None:
        parts += [info.sha256 or "", info.family or "", info.variant]
    if facts is not None:
        user = facts.user
        parts += [facts.alias, facts.title, facts.author, facts.description, facts.base_model]
        parts += [*facts.words, *facts.tags, user.activation_text, user.notes]
    return "\n".join(part for part in parts if part).lower()
