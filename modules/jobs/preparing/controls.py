"""What the settings forbid: terms in prompts, and requests that switch a control off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modules.catalog.safety import find_safety_checker
from modules.prompts.term_files import TermLibrary
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.settings.paths import Paths

SAFETY = ("off", "blur", "block")
"""The safety checker's settings, each stricter than the one before."""
ONLY_ON = ("watermark_enabled", "content_credentials")
"""A request may switch these on, and never off."""
FIXED = ("disabled_term_lists", "watermark_text", "watermark_method")
"""What a request cannot say otherwise."""


def check_overrides(stored: Mapping[str, Any], effective: Mapping[str, Any]) -> None:
    """A request's own settings may be stricter than those in force, and no looser.

    Raises:
        RequestError: they are.
    """
    for key in (*ONLY_ON, *FIXED, "safety_checker"):
        before, now = stored.get(key), effective.get(key)
        if before == now or (key in ONLY_ON and now):
            continue
        if key == "safety_checker" and SAFETY.index(str(now)) > SAFETY.index(str(before)):
            continue
        field = f"override_settings.{key}"
        raise RequestError(field, now, "a request cannot loosen it; change it in the settings.")


def check_terms(
    library: TermLibrary,
    request: GenerationRequest,
    prompts: Iterable[str],
    options: Mapping[str, Any],
) -> None:
    """Refuse a job whose prompts hold a term of a list that is applied; negative ones may.

    Args:
        prompts: every positive prompt after styles and wildcards, translated and not.

    Raises:
        RequestError: which list it is.
    """
    detailer = request.detailer.prompt if request.detailer is not None else ""
    steps = max(request.steps, request.hr_second_pass_steps)
    try:
        hit = library.search([*prompts, detailer], options.get("disabled_term_lists") or (), steps)
    except OSError as error:
        name = error.args[0]
        sentence = f"the term list {name!r} cannot be read, and what it forbids is unknown."
        raise RequestError("prompt", "…", sentence) from None
    if hit is not None:
        raise RequestError(
            "prompt", hit.words, f"{hit.words!r} is on the term list {hit.list!r} of this server."
        )


def settle_safety(paths: Paths, options: Mapping[str, Any]) -> dict[str, str]:
    """Where the safety checker lies, for ``PreparedJob.resources``; nothing when it is off.

    Raises:
        RequestError: it is switched on and not there: unchecked pictures would be no answer.
    """
    if options.get("safety_checker", "off") == "off":
        return {}
    return {"safety_checker": str(find_safety_checker(paths))}
