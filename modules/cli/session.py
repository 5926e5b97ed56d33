"""The parts of the program without its web: settings, catalog, and a queue of this run alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from modules.addons.scripts.registry import PLANNED
from modules.catalog import Catalog, CheckpointInfo
from modules.jobs.backends.local import LocalBackend
from modules.jobs.batch import JobRequest
from modules.jobs.compose import build_jobs
from modules.jobs.service import JobService
from modules.prompts import StyleBook, WildcardLibrary
from modules.requests.errors import RequestError
from modules.settings.flags import Flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table
from modules.settings.version import VERSION


@dataclass
class Session:
    """A job service with its own engine process and its own queue in a temporary folder.

    A server with the same data folder may run at the same time: neither sees the other's jobs.
    """

    catalog: Catalog
    options: OptionStore
    jobs: JobService
    _folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def open(cls, flags: Flags, checkpoint: str | None) -> Session:
        """Put the parts together; nothing runs before ``start``.

        Args:
            checkpoint: path, title, name or hash; None for the one that the settings name.

        Raises:
            OSError: a folder cannot be made.
        """
        paths = Paths.from_flags(flags)
        paths.ensure()
        options = OptionStore(paths.config_file, build_table())
        catalog = Catalog(
            paths,
            options,
            default_checkpoint=_as_path(checkpoint) or flags.ckpt,
            hashing=not flags.no_hashing,
        )
        folder = tempfile.TemporaryDirectory(prefix="easel-cli-")
        jobs = build_jobs(
            paths,
            options,
            catalog,
            StyleBook(paths.styles_file),
            WildcardLibrary(paths.wildcards),
            LocalBackend(paths, flags, options.as_dict()),
            version=f"easel {VERSION}",
            database=Path(folder.name) / "queue.sqlite",
            write_params=False,
            holds=False,
            scripts=PLANNED,
        )
        return cls(catalog, options, jobs, folder)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.jobs.stop()
        self._folder.cleanup()

    def start(self, requests: Sequence[JobRequest]) -> None:
        """Start the engine, unless one of the requests could not be carried out anyway.

        Raises:
            RequestError: names the field, the value and what is allowed.
        """
        for request in requests:
            self.check(request)
        self.jobs.start(load_first=False)

    def check(self, request: JobRequest) -> None:
        """Refuse what could not be carried out.

        Raises:
            RequestError: names the field, the value and what is allowed.
        """
        self.jobs.preparer.prepare(request, "check", "cli")

    def checkpoint(self, asked: str | None) -> CheckpointInfo:
        """The checkpoint to use, with its hash, which the infotext names.

        Raises:
            RequestError: there is no such checkpoint, or none at all.
        """
        if asked:
            return self.catalog.with_hash(self.catalog.find_checkpoint(_as_path(asked) or asked))
        info = self.catalog.default_checkpoint()
        if info is None:
            raise RequestError(
                "--ckpt",
                None,
                f"there is no checkpoint in {self.catalog.paths.checkpoints}; put one there.",
            )
        return self.catalog.with_hash(info)

    def model(self, asked: str) -> str:
        """A model's name as a request has it; it may be a path outside the model folders."""
        path = _as_path(asked)
        if path is None:
            return asked
        self.catalog.include(Path(path))
        return path

    def suggestions(self, info: CheckpointInfo) -> dict[str, Any]:
        """Request fields that the checkpoint's sidecar suggests."""
        return self.catalog.default_parameters(info)


def _as_path(asked: str | None) -> str | None:
    """An existing file or folder as an absolute path; None for anything else."""
    if not asked:
        return None
    path = Path(asked).expanduser()
    return str(path.resolve()) if path.exists() else None
