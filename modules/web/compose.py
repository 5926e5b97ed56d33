"""Builds the running program's parts from the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modules.catalog import Catalog, vae_at
from modules.jobs.backends.local import LocalBackend
from modules.jobs.backends.watchdog import WatchLimits
from modules.jobs.compose import DataFolderLock, build_jobs
from modules.prompts import StyleBook, WildcardLibrary
from modules.requests.limits import TEST_LIMITS
from modules.requests.plans import PlannedScript
from modules.settings.audit import AuditLog
from modules.settings.flags import Flags
from modules.settings.notices import Notice, NoticeBoard
from modules.settings.paths import Paths
from modules.settings.start_record import StartRecord
from modules.settings.store import OptionStore
from modules.settings.tables import build_table
from modules.settings.version import VERSION
from modules.web.audit import note_settings, note_start
from modules.web.context import AppContext
from modules.web.exposure import is_open
from modules.web.extension_desk import ExtensionDesk
from modules.web.plugins import FindPlugins
from modules.web.safe_mode import safe_mode_notice, safely

BuildDesk = Callable[[AppContext], ExtensionDesk]
"""Makes what manages extensions, once everything else is there."""


def build_context(
    flags: Flags,
    starts: StartRecord | None = None,
    scripts: Sequence[PlannedScript] = (),
    desk: BuildDesk | None = None,
    find_plugins: FindPlugins | None = None,
) -> AppContext:
    """Everything but the web application; nothing is started yet.

    ``starts`` counts this start, and makes it a safe one if those before did not finish.
    ``scripts`` make one job of many units; ``desk`` makes what manages extensions,
    ``find_plugins`` finds their code.

    Raises:
        DataFolderInUse: another process works with the data folder.
        OSError: a folder or the database cannot be made.
        RequestError: ``--vae-path`` names no VAE.
    """
    paths = Paths.from_flags(flags)
    paths.ensure()
    # Before any file is opened: a damaged one is set aside, which only its owner may do.
    lock = DataFolderLock(paths)
    try:
        if starts is not None:
            starts.begin()
        context = _build(safely(flags, starts), paths, lock, starts, scripts, find_plugins)
        if desk is not None:
            context.extensions = desk(context)
        return context
    except BaseException:
        lock.release()
        raise


def _build(
    flags: Flags,
    paths: Paths,
    lock: DataFolderLock,
    starts: StartRecord | None,
    scripts: Sequence[PlannedScript],
    find_plugins: FindPlugins | None,
) -> AppContext:
    notices = NoticeBoard()
    options = OptionStore(
        paths.config_file,
        build_table(),
        use_file=not flags.safe_mode,
        damaged=notices.damaged,
    )
    if flags.safe_mode:
        notices.add(safe_mode_notice(starts))
        options.remarks.clear()  # they say the same
    for number, remark in enumerate(options.remarks):
        notices.add(Notice(f"settings:{number}", remark))
    catalog = Catalog(
        paths,
        options,
        default_checkpoint=flags.ckpt,
        default_vae=vae_at(flags.vae_path) if flags.vae_path else None,
        hashing=not flags.no_hashing,
        damaged=notices.damaged,
    )
    styles = StyleBook(paths.styles_file, notices.damaged)
    wildcards = WildcardLibrary(paths.wildcards)
    plugins = find_plugins(flags, paths, options, notices) if find_plugins else None
    backend = LocalBackend(
        paths,
        flags,
        options.as_dict(),
        limits=lambda: WatchLimits.allowing(options["engine_stall_seconds"]),
        plugins=plugins.engine_modules if plugins else (),
    )
    jobs = build_jobs(
        paths,
        options,
        catalog,
        styles,
        wildcards,
        backend,
        version=f"easel {VERSION}",
        write_params=not flags.no_prompt_history,
        ceiling=TEST_LIMITS if flags.test_mode else None,
        confined=is_open(flags),
        notices=notices,
        scripts=scripts,
        extension_scripts=plugins.scripts if plugins else None,
    )
    options.subscribe(
        lambda changes: jobs.fanout.publish(
            {"type": "options", "changed": {key: new for key, (_, new) in changes.items()}}
        )
    )
    audit = AuditLog(paths.log / "audit.jsonl")
    note_start(audit, flags)
    note_settings(audit, options)
    notices.subscribe(
        lambda: jobs.fanout.publish({"type": "notices", "notices": notices.to_json()})
    )
    return AppContext(
        flags=flags,
        paths=paths,
        options=options,
        catalog=catalog,
        styles=styles,
        wildcards=wildcards,
        jobs=jobs,
        version=VERSION,
        lock=lock,
        notices=notices,
        audit=audit,
        starts=starts,
        plugins=plugins,
    )
