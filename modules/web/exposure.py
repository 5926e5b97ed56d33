"""Who can reach this server, worked out from the command line before it starts."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import ssl

from modules.settings.flags import Flags
from modules.web.gate.gate import GateConfig
from modules.web.gate.hosts import HostList
from modules.web.gate.login import BadLogin, Login, parse_users, read_users
from modules.web.gate.origins import OriginRule


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


def gate_config(flags: Flags) -> GateConfig:
    """The gate's rules; open to the network without a login, a start-up token is made.

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
    token = secrets.token_urlsafe(18) if is_open(flags) and not page_users else None
    return GateConfig(
        hosts=_hosts(flags),
        origins=origins,
        login=Login(page_users, api_users, token, cookie_name=f"easel_session_{flags.port}"),
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


def _hosts(flags: Flags) -> HostList:
    if not is_open(flags):
        return HostList.build([flags.server_name or ""], any_address=False)
    name = socket.gethostname()
    bound = flags.server_name if flags.server_name not in (None, "0.0.0.0", "::") else ""
    return HostList.build([bound or "", name, f"{name}.local", socket.getfqdn()], any_address=True)


def first_url(flags: Flags, gate: GateConfig, port: int) -> str:
    """The address to open in a browser, with the start-up token if there is one."""
    address = bind_address(flags)
    host = "127.0.0.1" if address in ("0.0.0.0", "localhost") else address
    host = "[::1]" if address == "::" else f"[{host}]" if ":" in host else host
    scheme = "https" if flags.tls_certfile else "http"
    query = f"?token={gate.login.token}" if gate.login.token else ""
    return f"{scheme}://{host}:{port}{subpath(flags)}/{query}"
