"""Puts the job service together from an installation's parts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from modules.catalog import Catalog
from modules.jobs.admission import QueueLimits
from modules.jobs.backends.base import Backend
from modules.jobs.inputs import InputStore
from modules.jobs.planned import Planner
from modules.jobs.prepare import Preparer
from modules.jobs.preparing.extension_scripts import ExtensionScripts
from modules.jobs.results import ResultKeeper
from modules.jobs.service import JobService
from modules.jobs.store import DatabaseUnusable, JobStore
from modules.prompts import StyleBook, WildcardLibrary
from modules.prompts.term_files import FOLDER as TERM_LISTS
from modules.prompts.term_files import TermLibrary
from modules.requests.limits import Limits
from modules.requests.plans import PlannedScript
from modules.settings.notices import NoticeBoard
from modules.settings.paths import Paths
from modules.settings.store import OptionStore


class DataFolderInUse(RuntimeError):  # noqa: N818 - reads as what happened
    """Another process works with the same data folder."""


class DataFolderLock:
    """Keeps a second server away from the same queue; the system frees it even after a kill."""

    def __init__(self, paths: Paths) -> None:
        """Take the lock.

        Raises:
            DataFolderInUse: another process has it.
            DatabaseUnusable: the lock's file cannot be opened or written.
        """
        path = paths.data / "easel.lock"
        try:
            self._connection = _locked(path)
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise DatabaseUnusable(path, error) from error
            raise DataFolderInUse(
                f"Another Easel is running with the data folder {paths.data}; "
                "stop it, or choose another folder with --data-dir."
            ) from error

    def release(self) -> None:
        """Let the next one in."""
        self._connection.close()


def _locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.2, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=MEMORY")  # a full disk is no reason not to start
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def build_jobs(
    paths: Paths,
    options: OptionStore,
    catalog: Catalog,
    styles: StyleBook,
    wildcards: WildcardLibrary,
    backend: Backend,
    *,
    version: str = "",
    limits: QueueLimits | None = None,
    database: Path | None = None,
    write_params: bool = True,
    ceiling: Limits | None = None,
    confined: bool = False,
    notices: NoticeBoard | None = None,
    scripts: Sequence[PlannedScript] = (),
    holds: bool = True,
    extension_scripts: ExtensionScripts | None = None,
) -> JobService:
    """The service over its database; ``start()`` begins the work.

    ``limits`` bound the queue and ``ceiling`` each job, whatever the settings allow; ``confined``
    lets nobody choose a folder outside the outputs; ``notices`` hears what people should know;
    ``scripts`` can be chosen by name and make one job of many; without ``holds`` the queue
    does not wait for a disk that refuses; ``extension_scripts`` are those of extensions.
    """
    notices = notices or NoticeBoard()
    store = JobStore(database or paths.database, notices.damaged)
    keeper = ResultKeeper(
        paths,
        store,
        version,
        write_params,
        folders=lambda: {
            key: value for key, value in options.as_dict().items() if key.startswith("outdir_")
        },
    )
    terms = TermLibrary(paths.data / TERM_LISTS)
    inputs = InputStore(paths)
    planner = Planner(scripts, catalog, inputs, styles=lambda: [style.name for style in styles])
    preparer = Preparer(
        options,
        catalog,
        styles,
        wildcards,
        inputs,
        ceiling,
        confined,
        terms,
        planner,
        extension_scripts,
    )
    return JobService(store, preparer, backend, keeper, limits, notices, holds)
