"""Who can reach this server, worked out from the command line before it starts."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import ssl
from urllib.parse import urlsplit

from modules.settings.flags import Flags
from modules.web.gate.gate import GateConfig
from modules.web.gate.hosts import HostList
from modules.web.gate.login import BadLogin, Links, Login, parse_users, read_users
from modules.web.gate.origins import OriginRule
from modules.web.gate.sessions import Sessions


class StartRefused(RuntimeError):  # noqa: N818 - reads as what happened
    """The server must not start like this; the message is one sentence for the user."""


def bind_address(flags: Flags) -> str:
    """The address to listen on."""
    return flags.server_name or ("0.0.0.0" if flags.listen else "127.0.0.1")


def subpath(flags: Flags) -> str:
    """``--subpath`` with one slash before it and none behind; empty without one."""
    inner = (flags.subpath or "").strip("/")
    return f"/{inner}" if inner else ""


def is_open(flags: Flags) -> bool:
    """Whether other machines can reach the server."""
    address = bind_address(flags)
    if address == "localhost":
        return False
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


def asks_for_login(flags: Flags) -> bool:
    """Whether the page is behind a login."""
    return bool(is_open(flags) or flags.gradio_auth or flags.gradio_auth_path)


def gate_config(flags: Flags) -> GateConfig:
    """The gate's rules; open to the network without a login, tokens are made.

    Raises:
        StartRefused: the flags cannot be served safely.
    """
    if flags.share:
        raise StartRefused(
            "--share is refused: a public tunnel would show your pictures to strangers; "
            "use an SSH tunnel, or --listen with --gradio-auth user:password."
        )
    if flags.ray is not None:
        raise StartRefused(
            "--ray is refused: the cluster engine is not part of this version; leave it out."
        )
    try:
        page_users = {
            **read_users(flags.gradio_auth_path),
            **parse_users(flags.gradio_auth, "--gradio-auth"),
        }
        api_users = parse_users(flags.api_auth, "--api-auth")
        origins = OriginRule.build(flags.cors_allow_origins, flags.cors_allow_origins_regex)
    except (BadLogin, ValueError) as error:
        raise StartRefused(str(error)) from error
    unguarded = is_open(flags) and not page_users
    login = Login(
        page_users,
        api_users,
        token=secrets.token_urlsafe(18) if unguarded else None,
        links=Links() if unguarded else None,
        sessions=Sessions(f"easel_session_{flags.port}"),
    )
    return GateConfig(
        hosts=_hosts(flags, origins if login.any else OriginRule()),
        origins=origins,
        login=login,
        subpath=subpath(flags),
    )


def check_tls(flags: Flags) -> None:
    """See that the certificate and its key can be used.

    Raises:
        StartRefused: one is missing, cannot be read, or they do not belong together.
    """
    certificate, key = flags.tls_certfile, flags.tls_keyfile
    if not certificate and not key:
        return
    if not certificate or not key:
        raise StartRefused("--tls-certfile and --tls-keyfile go together: give both or none.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise StartRefused(
            f"--tls-certfile {certificate} with --tls-keyfile {key} cannot be used ({error})."
        ) from error


def _hosts(flags: Flags, origins: OriginRule) -> HostList:
    """The names we answer to; with a login also those of a proxy, which are allowed origins."""
    proxies = [_host_of(origin) for origin in origins.allowed]
    if not is_open(flags):
        return HostList.build([flags.server_name or "", *proxies], any_address=False)
    name = socket.gethostname()
    bound = flags.server_name if flags.server_name not in (None, "0.0.0.0", "::") else ""
    names = [bound or "", name, f"{name}.local", socket.getfqdn(), *proxies]
    return HostList.build(names, any_address=True)


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def first_url(flags: Flags, gate: GateConfig, port: int) -> str:
    """The address to open in a browser, with the one-time token if there is one."""
    address = bind_address(flags)
    host = "127.0.0.1" if address in ("0.0.0.0", "localhost") else address
    host = "[::1]" if address == "::" else f"[{host}]" if ":" in host else host
    scheme = "https" if flags.tls_certfile else "http"
    links = gate.login.links
    query = f"?token={links.current}" if links is not None else ""
    return f"{scheme}://{host}:{port}{subpath(flags)}/{query}"
