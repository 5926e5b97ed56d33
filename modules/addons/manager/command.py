"""``launch.py extension …``: the manager without a page, for machines that have none."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from modules.addons.manager.compose import desk_of
from modules.addons.manager.desk import ExtensionDesk
from modules.addons.manager.git import Git
from modules.jobs.compose import DataFolderInUse, DataFolderLock
from modules.requests.errors import RequestError
from modules.settings.audit import AuditLog
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table
from modules.web.extension_desk import Declined

Ask = Callable[[str], bool]


def main(
    arguments: Sequence[str],
    git: Git | None = None,
    prepare: Callable[[ExtensionDesk], None] = lambda desk: None,
) -> int:
    """Do what was asked; the exit code. ``git`` and ``prepare`` are for tests."""
    options = _parser().parse_args(arguments)
    flags = parse_flags(["--data-dir", options.data_dir] if options.data_dir else [])
    paths = Paths.from_flags(flags)
    try:
        paths.ensure()
        lock = DataFolderLock(paths)
    except DataFolderInUse:
        return _failed("Easel is running: use its tab Extensions, or stop it first.")
    except OSError as error:
        return _failed(str(error))
    try:
        store = OptionStore(paths.config_file, build_table())
        desk = desk_of(flags, paths, store, AuditLog(paths.log / "audit.jsonl"), git)
        prepare(desk)
        return int(options.run(desk, options))
    except RequestError as error:
        return _failed(error.sentence)
    except Declined as error:
        return _failed(str(error))
    finally:
        lock.release()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py extension", description="Look at, install and switch extensions."
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where config, models and extensions are")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words.capitalize() + ".")
        made.set_defaults(run=run)
        made.add_argument("--json", action="store_true", help="answer in JSON")
        return made

    command("list", _list, "list the extensions that are installed")
    for name, run, words in (
        ("look", _look, "fetch a repository and say what is in it; nothing of it is executed"),
        ("install", _install, "look at a repository, ask, and install it"),
    ):
        made = command(name, run, words)
        made.add_argument("url", help="https address of a git repository")
        made.add_argument("--folder", default="", help="name below extensions/")
        made.add_argument("--branch", default="", help="another than the repository's own")
        if name == "install":
            _consents(made)
    update = command("update", _update, "look at the newest version, ask, and take it")
    update.add_argument("name")
    _consents(update)
    remove = command("remove", _remove, "delete an extension with all that is in its folder")
    remove.add_argument("name")
    remove.add_argument("--packages", action="store_true", help="take its packages back, too")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    for name in ("on", "off"):
        switch = command(name, _switch, f"switch an extension {name}; acts at the next start")
        switch.add_argument("name")
        switch.set_defaults(on=name == "on")
    return parser


def _consents(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="I trust its maker: do not ask")
    parser.add_argument(
        "--yes-run",
        action="store_true",
        help="also install its packages and run its install.py without asking",
    )
    parser.add_argument(
        "--build", action="store_true", help="packages may be built from source, which runs code"
    )


# -- commands ----------------------------------------------------------------------------------


def _list(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    found = desk.overview()
    if options.json:
        return _json(found)
    for one in found["extensions"]:
        state = "on " if one["on"] else "off"
        why = f"  ({one['off']})" if one["off"] else ""
        _say(f"{state}  {one['folder']}  {one['commit'][:8] or '-'}  {one['url'] or '-'}{why}")
    if not found["extensions"]:
        _say(f"No extensions in {found['folder']}.")
    return 0


def _look(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    found = desk.look(options.url, options.folder, options.branch)
    if options.json:
        return _json(found)
    _show(found)
    return 1 if found["refused"] else 0


def _install(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    found = desk.look(options.url, options.folder, options.branch)
    agreed = _agreed(desk, found, options)
    if agreed is None:
        return 1
    done = desk.install(found["token"], agreed["packages"], agreed["installer"], options.build)
    return _told(options, done, f"{done['name']} was installed; it acts at the next start.")


def _update(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    found = desk.look_for_update(options.name)
    if not found["newer"]:
        return _told(options, found, f"{options.name} is the newest version.")
    _say("changes: " + ", ".join(found["changed"][:20]))
    agreed = _agreed(desk, found, options)
    if agreed is None:
        return 1
    done = desk.update(
        options.name, found["token"], agreed["packages"], agreed["installer"], options.build
    )
    return _told(options, done, f"{done['name']} was updated; it acts at the next start.")


def _remove(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    if not options.yes and not _ask(f"Delete {options.name} with all that is in its folder?"):
        return _failed("Nothing was done.")
    done = desk.remove(options.name, options.packages)
    return _told(options, done, f"{options.name} was removed.")


def _switch(desk: ExtensionDesk, options: argparse.Namespace) -> int:
    done = desk.switch(options.name, options.on)
    return _told(options, done, f"{options.name} is {'on' if options.on else 'off'}.")


# -- asking and telling ------------------------------------------------------------------------


def _agreed(
    desk: ExtensionDesk, found: dict[str, Any], options: argparse.Namespace
) -> dict[str, bool] | None:
    """What somebody agreed to; None when they did not."""
    if not options.json:
        _show(found)
    if found["refused"]:
        _failed(found["refused"])
        return None
    if not options.yes and not _ask(f"Trust its maker and take {found['commit'][:8]}?"):
        _failed("Nothing was done.")
        return None
    packages = bool(found["requirements"])
    if packages and not options.json:
        for one in desk.packages(found["token"], options.build)["changes"]:
            _say(f"  package {one['name']} {one['before'] or '(new)'} -> {one['after']}")
    packages = packages and (options.yes_run or _ask("Install these packages?"))
    installer = found["installer"] and (options.yes_run or _ask("Run its install.py?"))
    return {"packages": packages, "installer": installer}


def _show(found: dict[str, Any]) -> None:
    _say(f"{found['name']}: {found['url']}")
    _say(f"  commit {found['commit']} ({found['branch']}, {found['date']}) {found['subject']}")
    _say(f"  {found['file_count']} files, {found['size']} bytes")
    for line in found["requirements"]:
        _say(f"  asks for the package {line}")
    for one in found["findings"]:
        place = f"{one['file']}:{one['line']} " if one["file"] else ""
        _say(f"  {one['kind']}: {place}{one['sentence']}")
    if found["refused"]:
        _say(f"  {found['refused']}")


def _ask(question: str) -> bool:
    """Ask yes or no; without a person there, no."""
    if not sys.stdin.isatty():
        return False
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _told(options: argparse.Namespace, done: dict[str, Any], sentence: str) -> int:
    if options.json:
        return _json(done)
    _say(sentence)
    return 0


def _json(value: Any) -> int:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    return 0


def _say(line: str) -> None:
    # What a repository says may hold control characters, which a terminal would obey.
    sys.stdout.write("".join(one if one.isprintable() else "?" for one in line) + "\n")


def _failed(sentence: str) -> int:
    sys.stderr.write(sentence.rstrip(".") + ".\n")
    return 1
