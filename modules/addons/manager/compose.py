"""Puts the manager together for a running server, and for the command line."""

from __future__ import annotations

from modules.addons import probe
from modules.addons.manager.desk import ExtensionDesk
from modules.addons.manager.git import Git
from modules.addons.manager.index import Index
from modules.addons.manager.manager import ExtensionManager
from modules.addons.manager.packages import Packages
from modules.addons.manager.staging import Staging
from modules.addons.manager.states import States
from modules.addons.switches import Switches
from modules.settings.audit import AuditLog
from modules.settings.flags import Flags
from modules.settings.notices import Notice
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.web.context import AppContext
from modules.web.exposure import is_open

BUILTIN = ("easel-example",)
"""Folder names of the extensions that come with Easel."""
NOTICE = "extensions:restart"


def build_desk(context: AppContext, git: Git | None = None) -> ExtensionDesk:
    """The desk of a server; ``git`` replaces the way to repositories, for tests."""
    desk = desk_of(context.flags, context.paths, context.options, context.audit, git)

    def tell(due: bool) -> None:
        if not due:
            context.notices.remove(NOTICE)
            return
        text = "Extensions were changed; that acts when Easel is started again."
        context.notices.add(
            Notice(NOTICE, text, "extensions_restart", kind="info", action="restart")
        )

    desk.restart_due = tell
    return desk


def desk_of(
    flags: Flags, paths: Paths, options: OptionStore, audit: AuditLog, git: Git | None = None
) -> ExtensionDesk:
    """The desk of any process that owns the data folder."""
    from modules.catalog.guarded_http import AddressRules, check_address

    switches = Switches(flags, options)
    staging = Staging(paths.cache / "extensions")
    staging.clear()

    def allow_private() -> bool:
        return bool(options.get("download_private_addresses"))

    manager = ExtensionManager(
        folder=paths.extensions,
        packages=Packages(paths.root),
        staging=staging,
        audit=audit,
        forbidden=lambda: forbidden(flags),
        switches=switches.read,
        disable=switches.disable,
        check_host=lambda url: check_address(url, AddressRules(allow_private())),
        builtin=BUILTIN,
        faults=lambda extensions: probe.faults(extensions, paths),
        try_again=lambda name: probe.forget(name, paths),
        git=git or Git(),
    )
    index = Index(manager.forbidden, allow_private)
    return ExtensionDesk(manager, switches, States(paths.data / "config_states", manager), index)


def forbidden(flags: Flags) -> str:
    """Why nothing may be changed in this way of running Easel; empty when it may."""
    if flags.freeze_settings:
        return "Extensions are not changed here (--freeze-settings)."
    if is_open(flags) and not flags.enable_insecure_extension_access:
        return (
            "Other machines can reach this server, so extensions cannot be changed: start Easel "
            "without --listen and --server-name, or with --enable-insecure-extension-access."
        )
    return ""
