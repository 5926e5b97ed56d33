"""A1111's ``styles``: the named prompt styles."""

from __future__ import annotations

from typing import Any, NamedTuple

from modules.addons import host
from modules.prompts import StyleBook
from modules.prompts.styles import apply_styles, merge_style


class PromptStyle(NamedTuple):
    """One style."""

    name: str
    prompt: str | None
    negative_prompt: str | None
    path: str | None = None


def merge_prompts(style_prompt: str, prompt: str) -> str:
    """A style's text around or behind a prompt."""
    return merge_style(style_prompt, prompt)


def apply_styles_to_prompt(prompt: str, styles: list[str]) -> str:
    """A prompt with the texts of several styles."""
    for style in styles:
        prompt = merge_style(style, prompt)
    return prompt


class StyleDatabase:
    """All styles, read from the program's own book."""

    def __init__(self, book: StyleBook) -> None:
        self._book = book
        self.no_style = PromptStyle("None", "", "", None)
        self.paths = [str(host.get().paths.styles_file)]
        self.default_path = self.paths[0]
        self.path = self.paths[0]

    @property
    def styles(self) -> dict[str, PromptStyle]:
        """Name → style."""
        return {
            one.name: PromptStyle(one.name, one.prompt, one.negative_prompt, self.path)
            for one in self._book
        }

    def reload(self) -> None:
        """The book is read as it changes."""

    def _one(self, name: str) -> PromptStyle:
        return self.styles.get(name, self.no_style)

    def get_style_prompts(self, styles: list[str]) -> list[str]:
        """Their positive texts."""
        return [self._one(name).prompt or "" for name in styles]

    def get_negative_style_prompts(self, styles: list[str]) -> list[str]:
        """Their negative texts."""
        return [self._one(name).negative_prompt or "" for name in styles]

    def apply_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        """A prompt with styles."""
        return apply_styles(prompt, "", styles, self._book)[0]

    def apply_negative_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        """A negative prompt with styles."""
        return apply_styles("", prompt, styles, self._book)[1]

    def save_styles(self, path: Any = None) -> None:
        """The page writes styles."""

    def extract_styles_from_prompt(
        self, prompt: str, negative_prompt: str
    ) -> tuple[list[str], str, str]:
        """Nothing is taken out here."""
        return [], prompt, negative_prompt
