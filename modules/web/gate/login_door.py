"""What happens at the door when there is a login: the form, the link, the cookie, the guessing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from modules.web.gate import login_page
from modules.web.gate.attempts import Attempts
from modules.web.gate.login import Login, Proof, is_api
from modules.web.gate.origins import SAFE_METHODS
from modules.web.gate.place import local_path
from modules.web.gate.refusal import RawHeaders, Refused

log = logging.getLogger("easel.gate")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


@dataclass(frozen=True)
class Answer:
    """A whole answer of the gate's own."""

    status: int
    headers: RawHeaders
    body: bytes = b""


@dataclass
class LoginDoor:
    """Asks for the login where one is needed."""

    login: Login
    subpath: str = ""
    attempts: Attempts = field(default_factory=Attempts)
    failed: Callable[[str, int], None] = lambda address, number: None
    """Hears of every wrong login: from where, and how many there were."""

    async def ask(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> Answer | RawHeaders:
        """Headers for the answer of a request that may pass; else the answer itself.

        Raises:
            Refused: it may not pass.
        """
        path = local_path(scope)
        if path == login_page.LOGIN_PATH and self.login.any:
            return await self._form(scope, headers, receive)
        if path == login_page.LOGOUT_PATH and scope["method"] == "POST":
            return self._log_out(scope, headers)
        if not self.login.needs(path):
            return ()
        linked = self._link(scope, headers, path)
        if linked is not None:
            return linked
        return self._check(scope, headers, path)

    def admit_socket(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """The same for a WebSocket's handshake.

        Raises:
            Refused: the login is missing or wrong.
        """
        path = local_path(scope)
        if not self.login.needs(path):
            return
        address = peer(scope)
        if self.login.sessions.is_valid(headers.get("cookie", "")):
            return
        self._may_try(address, headers)
        proof = self.login.credentials(path, headers)
        self._count(address, proof)
        if proof is not Proof.CREDENTIALS:
            raise Refused(401, "A login is needed.")

    def _check(self, scope: Scope, headers: Mapping[str, str], path: str) -> Answer | RawHeaders:
        if self.login.sessions.is_valid(headers.get("cookie", "")):
            if scope["method"] not in SAFE_METHODS and not _says_where_from(headers):
                raise Refused(403, "Refused: a request with a cookie must name its origin.")
            return ()
        address = peer(scope)
        self._may_try(address, headers)
        proof = self.login.credentials(path, headers)
        self._count(address, proof)
        if proof is Proof.CREDENTIALS:
            return self._session(scope) if self._opens_the_page(headers) else ()
        if proof is Proof.NONE and _visits(scope, headers) and not is_api(path):
            if headers.get("sec-fetch-site") == "cross-site":
                return Answer(200, login_page.HEADERS, login_page.bounce())
            return self._page(headers)
        raise Refused(401, "Incorrect username or password", _challenge(path, scope, headers))

    def _link(self, scope: Scope, headers: Mapping[str, str], path: str) -> Answer | None:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        links = self.login.links
        if not given or links is None or scope["method"] != "GET":
            return None
        if self.login.sessions.is_valid(headers.get("cookie", "")):
            return self._to(path)
        address = peer(scope)
        self._may_try(address, {"authorization": "link"})
        if links.redeem(given):
            self.attempts.succeeded(address)
            return self._to(path, self._session(scope))
        self._count(address, Proof.WRONG)
        return self._page(headers, "login.used")

    async def _form(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return self._to("/")
        if not _says_where_from(headers):
            raise Refused(403, "Refused: the form must be sent from the login page.")
        address = peer(scope)
        body = await _read(receive)
        if self.attempts.wait(address) > 0:
            return self._page(headers, "login.wait", 429, self._retry(address))
        try:
            given = login_page.read_form(body)
        except ValueError:
            raise Refused(400, "The login form cannot be read.") from None
        right = self.login.knows(given.user, given.password)
        self._count(address, Proof.CREDENTIALS if right else Proof.WRONG)
        return self._to("/", self._session(scope)) if right else self._page(headers, "login.wrong")

    def _log_out(self, scope: Scope, headers: Mapping[str, str]) -> Answer:
        gone = self.login.sessions.end(headers.get("cookie", ""), scope["scheme"] == "https")
        return self._to("/", ((b"set-cookie", gone.encode()),))

    def _may_try(self, address: str, headers: Mapping[str, str]) -> None:
        if "authorization" in headers and self.attempts.wait(address) > 0:
            raise Refused(429, "Too many wrong logins. Try again later.", self._retry(address))

    def _count(self, address: str, proof: Proof) -> None:
        if proof is Proof.CREDENTIALS:
            self.attempts.succeeded(address)
        elif proof is Proof.WRONG:
            failures = self.attempts.failed(address)
            log.warning("a wrong login from %s (number %d)", address, failures)
            self.failed(address, failures)

    def _retry(self, address: str) -> RawHeaders:
        return ((b"retry-after", str(int(self.attempts.wait(address)) + 1).encode()),)

    def _opens_the_page(self, headers: Mapping[str, str]) -> bool:
        """Whether credentials are those of the page, not of the API alone, and a browser's."""
        basic = headers.get("authorization", "")[:6].lower() == "basic "
        return basic and self.login.credentials("/", headers) is Proof.CREDENTIALS

    def _session(self, scope: Scope) -> RawHeaders:
        cookie = self.login.sessions.begin(scope["scheme"] == "https")
        return ((b"set-cookie", cookie.encode()),)

    def _page(
        self,
        headers: Mapping[str, str],
        problem: str = "",
        status: int = 401,
        extra: RawHeaders = (),
    ) -> Answer:
        language = headers.get("accept-language", "")
        named = bool(self.login.page_users)
        body = login_page.render(self.subpath, language, named=named, problem=problem)
        return Answer(status, (*login_page.HEADERS, *extra), body)

    def _to(self, path: str, extra: RawHeaders = ()) -> Answer:
        # One leading slash only: "//host" would lead to another machine.
        target = f"{self.subpath}/{path.lstrip('/')}".lstrip("/")
        location = b"/" + target.encode("ascii", "ignore").replace(b"\\", b"")
        return Answer(303, ((b"location", location), (b"cache-control", b"no-store"), *extra))


def peer(scope: Scope) -> str:
    """The address of whoever is at the other end of the connection."""
    client = scope.get("client")
    return str(client[0]) if client else "127.0.0.1"


def _visits(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a person's browser asks for a page to look at."""
    return scope["method"] == "GET" and "text/html" in headers.get("accept", "")


def _says_where_from(headers: Mapping[str, str]) -> bool:
    """Whether a browser vouches for the sender; that it is ourselves was checked before."""
    return "origin" in headers or headers.get("sec-fetch-site") == "same-origin"


def _challenge(path: str, scope: Scope, headers: Mapping[str, str]) -> RawHeaders:
    """Ask programs for Basic; a script of our page would make its browser open a dialog."""
    script = "sec-fetch-mode" in headers or headers.get("user-agent", "").startswith("Mozilla/")
    if script and not (is_api(path) and _visits(scope, headers)):
        return ()
    realm = b'Basic realm="Easel API"' if is_api(path) else b'Basic realm="Easel"'
    return ((b"www-authenticate", realm),)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "The login form did not arrive.")
        body += message.get("body") or b""
        if len(body) > login_page.MAX_FORM_BYTES:
            raise Refused(413, "The login form is too large.")
        if not message.get("more_body"):
            return body
