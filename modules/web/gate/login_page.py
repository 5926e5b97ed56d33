"""The page that asks for a login: plain HTML without scripts, in the visitor's language."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

LOGIN_PATH = "/easel/login"
LOGOUT_PATH = "/easel/logout"
MAX_FORM_BYTES = 4096

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    # With "no-referrer", browsers would send the form with an Origin of "null".
    (b"referrer-policy", b"same-origin"),
)

_TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid;
  place-items: center; background: light-dark(#f5f5f7, #18181b); color: light-dark(#222, #eee) }
main { width: min(21rem, 88vw) }
h1 { font-size: 1.4rem; margin: 0 0 1rem }
label { display: block; margin: .8rem 0 .2rem }
input { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem .6rem;
  border: 1px solid #8886; border-radius: 6px; background: light-dark(#fff, #27272a);
  color: inherit }
button { font: inherit; margin-top: 1.2rem; width: 100%; padding: .55rem; border: 0;
  border-radius: 6px; background: #6d5ae6; color: #fff; cursor: pointer }
:focus-visible { outline: 2px solid #6d5ae6; outline-offset: 2px }
p { margin: .6rem 0 } [role=alert] { color: light-dark(#b00020, #ff8a80) }
"""


class Form(NamedTuple):
    """What someone typed; with a token alone, the user is empty."""

    user: str
    password: str


def read_form(body: bytes) -> Form:
    """The fields of a login form; missing ones are empty."""
    fields = parse_qs(body.decode("latin-1"), encoding="utf-8", errors="replace", max_num_fields=8)
    return Form(fields.get("username", [""])[0], fields.get("password", [""])[0])


def render(subpath: str, accept_language: str, *, named: bool, problem: str = "") -> bytes:
    """The page.

    Args:
        named: ask for a user as well; else for the token in the console.
        problem: key of the sentence that says what was wrong.
    """
    language = "zh-Hans" if accept_language.lower().startswith("zh") else "en"
    words = {key: escape(text) for key, text in _texts(language).items()}
    said = f'<p role="alert">{words[problem]}</p>' if problem else ""
    title, enter, who = words["login.title"], words["login.enter"], words["login.user"]
    secret = words["login.password" if named else "login.token"]
    where = words["login.token_hint"]
    hint = "" if named else f"<p>{where}</p>"
    user = (
        f'<label for="u">{who}</label>'
        '<input id="u" name="username" autocomplete="username" autofocus required>'
    )
    focus = "" if named else " autofocus"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Easel</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{title}</h1>{said}{hint}<form method="post" '
        f'action="{escape(subpath)}{LOGIN_PATH}">{user if named else ""}'
        f'<label for="p">{secret}</label><input id="p" name="password" type="password" '
        f'autocomplete="current-password" required{focus}>'
        f"<button>{enter}</button></form></main></body></html>"
    ).encode()


def bounce() -> bytes:
    """A page that asks for itself again, now as a visit from our own site.

    A browser keeps a strict cookie back when it follows a link from another site.
    """
    return (
        b'<!doctype html><html><head><meta charset="utf-8"><title>Easel</title>'
        b'<meta http-equiv="refresh" content="0"></head></html>'
    )


@cache
def _texts(language: str) -> dict[str, str]:
    content = json.loads((_TRANSLATIONS / f"{language}.json").read_text(encoding="utf-8"))
    return {key: text for key, text in content.items() if key.startswith("login.")}
