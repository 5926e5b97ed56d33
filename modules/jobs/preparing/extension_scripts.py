"""Scripts of extensions that a request names: taken out of it, their arguments made whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest


class ExtensionScript(Protocol):
    """One script of an extension in one tab."""

    @property
    def title(self) -> str:
        """As people read it."""
        ...

    @property
    def defaults(self) -> Sequence[Any]:
        """The values of its controls, as JSON has them."""
        ...


class ExtensionScripts(Protocol):
    """The scripts of all extensions that are loaded."""

    def find(self, title: str, kind: str, alwayson: bool) -> ExtensionScript | None:
        """One of them; the case of ``title`` does not matter."""
        ...

    def always(self, kind: str) -> Iterable[ExtensionScript]:
        """Those that take part in every job of a kind."""
        ...


def settle_extension_scripts(
    asked: GenerationRequest, known: ExtensionScripts
) -> tuple[GenerationRequest, dict[str, Any]]:
    """The request without the scripts of extensions, and what the engine is told of them.

    Returns ``selected`` (a title or None) and ``args`` (title to values) beside the request.

    Raises:
        RequestError: arguments that are no list, or more of them than a script has.
    """
    args = {script.title: list(script.defaults) for script in known.always(asked.kind)}
    changes: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for name, value in asked.alwayson_scripts.items():
        script = known.find(name, asked.kind, alwayson=True)
        if script is None:
            left[name] = value
            continue
        given = value.get("args") if isinstance(value, Mapping) else value
        args[script.title] = _filled(script, given, "alwayson_scripts")
    if len(left) < len(asked.alwayson_scripts):
        changes["alwayson_scripts"] = left
    selected = None
    if asked.script_name and asked.script_name != "None":
        script = known.find(asked.script_name, asked.kind, alwayson=False)
        if script is not None:
            selected = script.title
            args[selected] = _filled(script, asked.script_args, "script_args")
            changes |= {"script_name": None, "script_args": []}
    plain = asked.model_copy(update=changes) if changes else asked
    return plain, {"selected": selected, "args": args}


def _filled(script: ExtensionScript, given: Any, field: str) -> list[Any]:
    """The arguments, with the controls' own values for those that are missing."""
    if given is None:
        given = []
    if not isinstance(given, list):
        raise RequestError(field, given, f"{script.title}: args is a list.")
    defaults = list(script.defaults)
    if len(given) > len(defaults):
        raise RequestError(
            field,
            len(given),
            f"{script.title} takes {len(defaults)} arguments; {len(given)} were given.",
        )
    return [*given, *defaults[len(given) :]]
