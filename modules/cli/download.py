"""`launch.py download`: fetch model files into the folders of their kinds."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from modules.catalog.downloads import KINDS, Download, DownloadManager, DownloadOrder
from modules.catalog.downloads.manager import DONE, FAILED, RUNNING
from modules.catalog.hashes import HashCache
from modules.requests.errors import RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table

FAILURE, USAGE, STOPPED = 1, 2, 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py download`; flags it does not know may belong to the server."""
    parser = argparse.ArgumentParser(
        prog="launch.py download",
        allow_abbrev=False,
        description="Fetch model files. An address is that of a file, or of a model's page on "
        "Hugging Face or CivitAI. --data-dir, --models-dir and the other folder flags of "
        "`launch.py serve` work too. Access tokens are those kept by the page, or HF_TOKEN and "
        "CIVITAI_TOKEN. The paths of the files go to stdout. A download that was broken off goes "
        "on where it stopped.",
    )
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument(
        "--kind",
        choices=[kind.key for kind in KINDS],
        default="",
        help="default: what it looks like",
    )
    parser.add_argument("--folder", default="", metavar="NAME", help="below the kind's folder")
    parser.add_argument("--name", default="", metavar="FILE", help="another name for the file")
    parser.add_argument("--sha256", default="", metavar="HEX", help="compare the file's hash")
    parser.add_argument("--look", action="store_true", help="only say what the address leads to")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    return parser


def main(arguments: list[str]) -> int:
    """Fetch every address, one after the other; the exit code: 0, 1, 2 for wrong flags, 130."""
    asked, rest = build_parser().parse_known_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if len(asked.addresses) > 1 and (asked.name or asked.sha256):
        return _said("--name and --sha256 are for one address.", USAGE)
    manager = _manager(rest)
    try:
        return max(_one(manager, address, asked) for address in asked.addresses)
    except KeyboardInterrupt:
        return _said("\nStopped. The same command goes on where this one stopped.", STOPPED)
    finally:
        manager.stop()


def _manager(rest: list[str]) -> DownloadManager:
    paths = Paths.from_flags(parse_flags(rest))
    paths.ensure()
    options = OptionStore(paths.config_file, build_table())
    return DownloadManager(
        paths,
        HashCache(paths.cache / "hashes.json"),
        allow_private=lambda: bool(options.get("download_private_addresses")),
        remembers=False,
    )


def _one(manager: DownloadManager, address: str, asked: argparse.Namespace) -> int:
    try:
        if asked.look:
            return _look(manager, address)
        order = DownloadOrder(address, asked.kind, asked.folder, asked.name, asked.sha256)
        download = manager.start(order)
    except RequestError as error:
        return _said(error.sentence, USAGE)
    ended = manager.wait(download.id, _progress(asked.quiet))
    if not asked.quiet:
        sys.stderr.write("\n")
    if ended.state == FAILED:
        return _said(ended.error, FAILURE)
    sys.stdout.write(f"{ended.target}\n")
    return 0 if ended.state == DONE else FAILURE


def _look(manager: DownloadManager, address: str) -> int:
    source = manager.inspect(address)
    for choice in source.choices:
        size = f" ({choice.size / 1e6:.0f} MB)" if choice.size else ""
        sys.stdout.write(f"{choice.address}{size}\n")
    if source.url:
        sys.stdout.write(f"{source.url}\n")
        facts = (source.file, source.kind, source.licence, source.sha256)
        sys.stderr.write(" · ".join(fact for fact in facts if fact) + "\n")
    return 0


def _progress(quiet: bool) -> Callable[[Download], None]:
    def show(download: Download) -> None:
        if quiet or download.state != RUNNING:
            return
        whole = f" of {download.size / 1e6:.1f}" if download.size else ""
        left = download.to_json()["eta"]
        rest = f", {left:.0f} s left" if left else ""
        line = f"{download.received / 1e6:.1f}{whole} MB, {download.speed / 1e6:.1f} MB/s{rest}"
        sys.stderr.write(f"\r{download.file}: {line}\x1b[K")
        sys.stderr.flush()

    return show


def _said(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code
