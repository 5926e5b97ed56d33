"""From the address in a browser to the file behind it: Hugging Face, CivitAI, GitHub, any file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit, urlunsplit

from modules.catalog.cards.facts import clean, plain
from modules.catalog.downloads.kinds import KINDS, SUFFIXES, guess_kind
from modules.catalog.downloads.tokens import TokenStore
from modules.requests.addresses import checked_url
from modules.requests.errors import RequestError

if TYPE_CHECKING:
    import httpx

    from modules.catalog.guarded_http import AddressRules

FIELD = "address"
ALLOWED = "allowed: the http:// or https:// address of a file, or of a model's page."
MAX_ANSWER = 8 * 1024 * 1024
MAX_CHOICES = 200
HUGGING_FACE = "https://huggingface.co"
CIVITAI_API = "https://civitai.com/api/v1"
CIVITAI = ("civitai.com", "www.civitai.com", "civitai.green", "civitai.red")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")


@dataclass(frozen=True)
class Choice:
    """One file of a page that offers several."""

    address: str
    file: str
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """What an address leads to."""

    url: str
    """The file itself; empty when a choice has to be made first."""
    file: str
    kind: str = "checkpoint"
    size: int | None = None
    sha256: str | None = None
    page: str = ""
    """Where people read about it."""
    title: str = ""
    licence: str = ""
    words: tuple[str, ...] = ()
    description: str = ""
    choices: tuple[Choice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return asdict(self)


def resolve(address: str, rules: AddressRules, tokens: TokenStore) -> Source:
    """Find the file behind an address.

    Raises:
        RequestError: it is no address of a file or model, or is not allowed.
        OffLine: the page's site cannot be reached.
    """
    from modules.catalog.guarded_http import check_address

    parts = checked_url(address, FIELD, ALLOWED)
    host = (parts.hostname or "").lower()
    check_address(address.strip(), rules)
    if host in ("huggingface.co", "www.huggingface.co", "hf.co"):
        return _hugging_face(parts, rules, tokens)
    if host in CIVITAI:
        return _civitai(parts, rules, tokens)
    if host == "github.com":
        parts = parts._replace(path=re.sub(r"^(/[^/]+/[^/]+)/blob/", r"\1/raw/", parts.path))
    return _plain(parts, rules, tokens)


class OffLine(RequestError):  # noqa: N818 - reads as what happened
    """A site cannot be reached from here."""


def _ask(url: str, rules: AddressRules, tokens: TokenStore) -> Any:
    """The JSON of a site's own API.

    Raises:
        OffLine: it cannot be reached.
        RequestError: it answered with an error or with something else.
    """
    import httpx

    from modules.catalog.guarded_http import open_client

    host = urlsplit(url).hostname or ""
    try:
        with (
            open_client(rules) as client,
            client.stream("GET", url, headers=tokens.headers_for(url)) as answer,
        ):
            if answer.status_code != 200:
                raise RequestError(FIELD, url, _status(answer.status_code, host))
            body = _limited(answer)
    except httpx.HTTPError as error:
        raise OffLine(FIELD, url, offline(host)) from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(FIELD, url, f"{host} gave an answer that is not understood.") from None


def offline(host: str) -> str:
    """What to say when a site cannot be reached."""
    return (
        f"{host} cannot be reached: this machine is offline, or the site is blocked here. "
        "Download the file elsewhere and put it into the folder of its kind."
    )


def _status(status: int, host: str) -> str:
    if status in (401, 403):
        return f"{host} asks for an access token for this (answer {status})."
    if status == 404:
        return f"{host} knows no such model."
    return f"{host} answered {status}."


def _limited(answer: httpx.Response) -> bytes:
    body = b""
    for block in answer.iter_bytes():
        body += block
        if len(body) > MAX_ANSWER:
            raise RequestError(FIELD, str(answer.url), "the answer is too large.")
    return body


# ---- Hugging Face


def _hugging_face(parts: SplitResult, rules: AddressRules, tokens: TokenStore) -> Source:
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if len(steps) < 2 or steps[0] in ("datasets", "spaces", "collections", "papers", "docs"):
        raise RequestError(FIELD, urlunsplit(parts), "it is no model's page on Hugging Face.")
    repository = "/".join(steps[:2])
    page = f"{HUGGING_FACE}/{quote(repository)}"
    if len(steps) > 4 and steps[2] in ("blob", "resolve", "raw"):
        revision, inner = steps[3], "/".join(steps[4:])
        source = _hf_file(repository, revision, inner)
        return _hf_facts(source, repository, revision, rules, tokens)
    revision = steps[3] if len(steps) > 3 and steps[2] == "tree" else "main"
    below = "/".join(steps[4:]) if len(steps) > 4 else ""
    content = _ask(_hf_api(repository, revision), rules, tokens)
    files = [file for file in _hf_listed(content) if not below or file[0].startswith(below + "/")]
    if not files:
        raise RequestError(FIELD, page, "this repository holds no single file that can be used.")
    choices = tuple(
        Choice(_hf_url(repository, revision, inner, "blob"), inner, size)
        for inner, size, _ in files[:MAX_CHOICES]
    )
    facts = {"page": page, "title": repository, "licence": _hf_licence(content)}
    if len(files) > 1:
        return Source("", "", choices=choices, **facts)
    inner, size, sha256 = files[0]
    source = _hf_file(repository, revision, inner)
    return replace(source, **facts, size=size, sha256=sha256, kind=guess_kind(inner, size))


def _hf_url(repository: str, revision: str, inner: str, way: str) -> str:
    return f"{HUGGING_FACE}/{quote(repository)}/{way}/{quote(revision, safe='')}/{quote(inner)}"


def _hf_api(repository: str, revision: str) -> str:
    return (
        f"{HUGGING_FACE}/api/models/{quote(repository)}/revision/"
        f"{quote(revision, safe='')}?blobs=true"
    )


def _hf_file(repository: str, revision: str, inner: str) -> Source:
    name = inner.rpartition("/")[2]
    return Source(
        url=_hf_url(repository, revision, inner, "resolve"),
        file=name,
        kind=guess_kind(f"{repository}/{inner}"),
        page=f"{HUGGING_FACE}/{quote(repository)}",
        title=repository,
    )


def _hf_facts(
    source: Source, repository: str, revision: str, rules: AddressRules, tokens: TokenStore
) -> Source:
    """Size, hash and licence, when the site tells them; the address works without."""
    try:
        content = _ask(_hf_api(repository, revision), rules, tokens)
    except RequestError:
        return source
    inner = unquote(source.url.split("/resolve/", 1)[1].partition("/")[2])
    for name, size, sha256 in _hf_listed(content):
        if name == inner:
            kind = guess_kind(f"{repository}/{inner}", size)
            source = replace(source, size=size, sha256=sha256, kind=kind)
    return replace(source, licence=_hf_licence(content))


def _hf_listed(content: Any) -> list[tuple[str, int | None, str | None]]:
    """Weights of a repository that are whole in one file: name, size and sha256."""
    listed = content.get("siblings") if isinstance(content, dict) else None
    found = []
    for entry in listed if isinstance(listed, list) else ():
        name = entry.get("rfilename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.lower().endswith(SUFFIXES) or _SHARD.search(name):
            continue
        lfs = entry.get("lfs") if isinstance(entry.get("lfs"), dict) else {}
        found.append((name, _count(entry.get("size")), _digest(lfs.get("sha256"))))
    return sorted(found, key=lambda file: (file[0].count("/"), file[0].lower()))


def _hf_licence(content: Any) -> str:
    card = content.get("cardData") if isinstance(content, dict) else None
    card = card if isinstance(card, dict) else {}
    named = card.get("license_name") if card.get("license") == "other" else None
    return clean(named or card.get("license"), 200)


# ---- CivitAI


def _civitai(parts: SplitResult, rules: AddressRules, tokens: TokenStore) -> Source:
    version = _civitai_version(parts)
    model = re.match(r"/(?:api/v1/)?models/(\d+)", parts.path)
    if version is None and model is None:
        raise RequestError(FIELD, urlunsplit(parts), "it is no model's page on CivitAI.")
    if version is None and model is not None:
        content = _ask(f"{CIVITAI_API}/models/{model[1]}", rules, tokens)
        versions = content.get("modelVersions") if isinstance(content, dict) else None
        newest = versions[0] if isinstance(versions, list) and versions else None
        if not isinstance(newest, dict):
            raise RequestError(FIELD, urlunsplit(parts), "this model has no files.")
        return _civitai_file(newest, content)
    try:
        content = _ask(f"{CIVITAI_API}/model-versions/{version}", rules, tokens)
    except RequestError:
        if "/download/" not in parts.path:
            raise
        return _plain(parts, rules, tokens)
    model_part = content.get("model") if isinstance(content, dict) else None
    return _civitai_file(content, model_part if isinstance(model_part, dict) else {})


def _civitai_version(parts: SplitResult) -> str | None:
    asked = parse_qs(parts.query).get("modelVersionId", [""])[0]
    if re.fullmatch(r"\d{1,12}", asked):
        return asked
    found = re.search(r"/(?:download/models|model-versions)/(\d{1,12})", parts.path)
    return found[1] if found else None


def _civitai_file(version: Any, model: Mapping[str, Any]) -> Source:
    files = version.get("files") if isinstance(version, dict) else None
    files = [file for file in files or () if isinstance(file, dict) and file.get("downloadUrl")]
    files = [file for file in files if str(file.get("name", "")).lower().endswith(SUFFIXES)]
    if not files:
        raise RequestError(FIELD, "civitai.com", "this model has no file that can be used.")
    best = next((file for file in files if file.get("primary") is True), files[0])
    number = version.get("modelId") or model.get("id")
    hashes = best.get("hashes")
    return Source(
        url=_civitai_url(str(best["downloadUrl"])),
        file=str(best["name"]),
        kind=_civitai_kind(str(best.get("type") or ""), str(model.get("type") or "")),
        sha256=_digest(hashes.get("SHA256")) if isinstance(hashes, dict) else None,
        page=f"https://civitai.com/models/{number}" if isinstance(number, int) else "",
        title=clean(model.get("name") or version.get("name"), 200),
        words=tuple(
            word
            for word in (clean(word, 300) for word in version.get("trainedWords") or ())
            if word
        )[:24],
        description=plain(version.get("description") or model.get("description"), 2000),
        choices=tuple(
            Choice(_civitai_url(str(file["downloadUrl"])), str(file["name"]))
            for file in files[:MAX_CHOICES]
            if file is not best
        ),
    )


def _civitai_url(url: str) -> str:
    parts = checked_url(url, FIELD, ALLOWED)
    if (parts.hostname or "").lower() not in CIVITAI:
        raise RequestError(FIELD, url, "CivitAI named a file on another site.")
    return url


def _civitai_kind(file_type: str, model_type: str) -> str:
    for kind in KINDS:
        if file_type in kind.civitai:
            return kind.key
    for kind in KINDS:
        if model_type in kind.civitai:
            return kind.key
    return "checkpoint"


# ---- any other address


def _plain(parts: SplitResult, rules: AddressRules, tokens: TokenStore) -> Source:
    """A file by its address; when that does not end like one, the server is asked for its name."""
    url = urlunsplit(parts)
    name = unquote(parts.path).rpartition("/")[2]
    if name.lower().endswith(SUFFIXES):
        return Source(url=url, file=name, kind=guess_kind(name), page=url)
    name = _name_from_server(url, rules, tokens)
    if not name.lower().endswith(SUFFIXES):
        raise RequestError(
            FIELD, url, f"what it leads to is no model file ({', '.join(SUFFIXES)})."
        )
    return Source(url=url, file=name, kind=guess_kind(name), page=url)


def _name_from_server(url: str, rules: AddressRules, tokens: TokenStore) -> str:
    import httpx

    from modules.catalog.guarded_http import open_client

    host = urlsplit(url).hostname or ""
    headers = {**tokens.headers_for(url), "Range": "bytes=0-0"}
    try:
        with open_client(rules) as client, client.stream("GET", url, headers=headers) as answer:
            if answer.status_code not in (200, 206):
                raise RequestError(FIELD, url, _status(answer.status_code, host))
            told = answer.headers.get("Content-Disposition", "")
            end = unquote(urlsplit(str(answer.url)).path).rpartition("/")[2]
    except httpx.HTTPError as error:
        raise OffLine(FIELD, url, offline(host)) from error
    encoded = re.search(r"filename\*=(?:UTF-8|utf-8)''([^;]+)", told)
    quoted = re.search(r'filename="([^"]+)"|filename=([^;\s]+)', told)
    if encoded:
        return unquote(encoded[1])
    return (quoted[1] or quoted[2]) if quoted else end


def _digest(text: Any) -> str | None:
    return text.lower() if isinstance(text, str) and _SHA256.fullmatch(text) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
