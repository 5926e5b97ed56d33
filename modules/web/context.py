"""The parts of the running program that routes and pages use."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modules.catalog import Catalog
from modules.catalog.downloads import DownloadManager
from modules.jobs.compose import DataFolderLock
from modules.jobs.service import JobService
from modules.prompts import PromptTokenizer, StyleBook, WildcardLibrary
from modules.prompts.t5_tokens import T5Tokenizer
from modules.settings.audit import AuditLog
from modules.settings.flags import Flags
from modules.settings.notices import NoticeBoard
from modules.settings.paths import Paths
from modules.settings.start_record import StartRecord
from modules.settings.store import OptionStore
from modules.web.extension_desk import ExtensionDesk
from modules.web.plugins import Plugins

if TYPE_CHECKING:
    from modules.web.selftest import SelfTest


@dataclass
class AppContext:
    """Everything a door needs, made once at start by ``modules.web.compose``."""

    flags: Flags
    paths: Paths
    options: OptionStore
    catalog: Catalog
    styles: StyleBook
    wildcards: WildcardLibrary
    jobs: JobService
    version: str
    lock: DataFolderLock
    """Held as long as the program works with the data folder."""
    notices: NoticeBoard
    """What the banner of the page says."""
    audit: AuditLog
    """What somebody may later want to know: starts, logins that failed, extensions."""
    starts: StartRecord | None = None
    """To be told when the start has finished."""
    starts_again: bool = False
    """The program shall begin anew when it has ended."""
    extensions: ExtensionDesk | None = None
    """Manages extensions, where the program was started with any."""
    plugins: Plugins | None = None
    """The code of extensions, where any is on."""
    started: float = field(default_factory=time.time)
    boot: str = field(default_factory=lambda: secrets.token_hex(8))
    """Different for each server process, so that a page notices a restart."""

    @cached_property
    def downloads(self) -> DownloadManager:
        """The downloads of model files."""
        from modules.web.downloading import build_downloads

        return build_downloads(self)

    @cached_property
    def selftest(self) -> SelfTest:
        """The table of what works here."""
        from modules.web.selftest import SelfTest

        return SelfTest(self.paths, self.flags, self.jobs.fanout.publish)

    @cached_property
    def tokenizer(self) -> PromptTokenizer | None:
        """CLIP's tokenizer for the token counter; None when its files are not there."""
        for folder in self._tokenizer_folders():
            try:
                return PromptTokenizer.from_folder(folder)
            except (FileNotFoundError, ValueError, OSError):
                continue
        return None

    @cached_property
    def t5_tokenizer(self) -> T5Tokenizer | None:
        """T5's tokenizer for the same; None when its file is not there."""
        try:
            folder = self.paths.configs / "tokenizers" / "t5"
            return T5Tokenizer(PromptTokenizer.from_folder(folder))
        except (FileNotFoundError, ValueError, OSError):
            return None

    def _tokenizer_folders(self) -> list[Path]:
        found = [self.paths.configs / "tokenizers" / "clip" / "vocab.json"]
        found += sorted(self.paths.configs.rglob("merges.txt"))
        return [path.parent for path in found]
