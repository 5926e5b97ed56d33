"""Runs the server: one call from the command line to the last request."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import time
import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING

import uvicorn

from modules.jobs.compose import DataFolderInUse
from modules.requests.errors import RequestError
from modules.requests.plans import PlannedScript
from modules.settings.flags import Flags
from modules.settings.paths import Paths
from modules.settings.start_record import StartRecord
from modules.web.exposure import StartRefused, bind_address, check_tls, first_url, gate_config
from modules.web.gate import GateConfig
from modules.web.patience import MAX_CONNECTIONS, PatientProtocol

if TYPE_CHECKING:
    from modules.web.compose import BuildDesk
    from modules.web.plugins import FindPlugins

log = logging.getLogger("easel.web")

SHUTDOWN_SECONDS = 3
BACKLOG = 128
"""Connections that may wait while the program starts."""


def serve(
    flags: Flags,
    scripts: Sequence[PlannedScript] = (),
    desk: BuildDesk | None = None,
    find_plugins: FindPlugins | None = None,
) -> int:
    """Serve until the user ends it; returns the process's exit code."""
    begun = time.perf_counter()
    _set_up_logging(flags)
    for note in flags.notes:
        log.info("%s", note)
    try:
        gate = gate_config(flags)
        check_tls(flags)
        listener = _listen(flags)
    except StartRefused as error:
        return _refuse(str(error))
    from modules.web.compose import build_context

    try:
        context = build_context(
            flags, StartRecord(Paths.from_flags(flags)), scripts, desk, find_plugins
        )
    except (OSError, DataFolderInUse, RequestError) as error:
        listener.close()
        return _refuse(str(error))
    flags = context.flags
    context.jobs.start(load_first=not flags.skip_load_model_at_start)
    from modules.web.app import create_app
    from modules.web.safe_mode import start_again
    from modules.web.start_checks import check_in_background

    app = create_app(context, gate)
    context.catalog.hash_in_background(
        lambda info: context.jobs.fanout.publish({"type": "catalog"})
    )
    context.jobs.tidy()
    check_in_background(flags, context.notices)
    url = first_url(flags, gate, listener.getsockname()[1])
    _greet(url, time.perf_counter() - begun)
    _tell_tokens(flags, gate, listener.getsockname()[1])
    if _wants_browser(flags, context.options["auto_launch_browser"]):
        webbrowser.open(url)
    try:
        with contextlib.suppress(KeyboardInterrupt):  # passed on after everything has ended
            _run(app, flags, listener)
    finally:
        context.lock.release()
    if context.starts_again:
        start_again()
    return 0


def _run(app: object, flags: Flags, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=PatientProtocol,
        ws_max_size=64 * 1024,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=flags.timeout_keep_alive,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_keyfile=flags.tls_keyfile,
        ssl_certfile=flags.tls_certfile,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(flags: Flags) -> socket.socket:
    """Listen first: a busy port should be told before anything is loaded, and callers wait.

    Raises:
        StartRefused: the address cannot be used.
    """
    address = bind_address(flags)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, flags.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartRefused(
            f"The address {address}, port {flags.port} cannot be used ({error.strerror}); "
            "end the program that has it, or choose another with --port."
        ) from error
    listener.set_inheritable(False)
    return listener


def _greet(url: str, seconds: float) -> None:
    sys.stdout.write(f"Easel is ready in {seconds:.1f} s: {url}\n")
    sys.stdout.flush()


def _tell_tokens(flags: Flags, gate: GateConfig, port: int) -> None:
    """What to know when other machines can reach us and no login was chosen."""
    login = gate.login
    if login.links is None:
        return

    def tell_next(token: str) -> None:
        sys.stdout.write(
            f"The link was used; for another browser: {first_url(flags, gate, port)}\n"
        )
        sys.stdout.flush()

    login.links.announce = tell_next
    sys.stdout.write(
        "Other machines can reach this server and no login was chosen (--gradio-auth "
        "user:password), so the link above works once.\n"
        f"For programs, and for the login page: {login.token}\n"
    )
    sys.stdout.flush()


def _wants_browser(flags: Flags, setting: str) -> bool:
    """Whether a person sits in front of this machine and wants the page opened."""
    if flags.no_browser or flags.nowebui:
        return False
    if flags.autolaunch or setting == "Remote":
        return True
    local = not flags.listen and not flags.server_name
    return setting == "Local" and local and sys.stdout.isatty()


def _refuse(sentence: str) -> int:
    sys.stderr.write(sentence.rstrip(".") + ".\n")
    return 1


def _set_up_logging(flags: Flags) -> None:
    level = logging.getLevelName(str(flags.loglevel).upper())
    logging.basicConfig(
        level=level if isinstance(level, int) else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("httpx", "httpcore", "asyncio", "PIL", "markdown_it", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
