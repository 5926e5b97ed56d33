"""Extensions are installed, updated, switched and removed: all or nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modules.addons.manager import address, manager
from modules.addons.manager.git import GitError
from modules.addons.manager.manager import ExtensionError, ExtensionManager, Forbidden
from modules.addons.manager.packages import Packages
from modules.addons.manager.record import FILE, Records
from modules.addons.manager.staging import MOST, Staging
from modules.requests.errors import RequestError
from modules.settings.audit import AuditLog
from tests.addons.manager.conftest import FILE_GIT

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def made(tmp_path, upstream, environment, monkeypatch):
    """A manager whose addresses are folders on this machine."""
    disabled = []
    reason = [""]
    made = ExtensionManager(
        folder=tmp_path / "extensions",
        packages=Packages(ROOT, environment.python, environment.pip_options),
        staging=Staging(tmp_path / "cache" / "staging"),
        audit=AuditLog(tmp_path / "audit.jsonl"),
        forbidden=lambda: reason[0],
        switches=lambda: (tuple(disabled), "none"),
        disable=lambda names: disabled.__setitem__(slice(None), names),
        git=FILE_GIT,
    )

    def here(url, folder="", branch=""):
        return upstream.repository(folder or "thing", branch)

    monkeypatch.setattr(manager, "repository", here)
    made.disabled, made.reason = disabled, reason
    return made


def audit(made):
    return [json.loads(line)["event"] for line in made.audit.path.read_text().splitlines()]


def test_looking_executes_nothing_and_shows_all(made, upstream):
    upstream.commit({"install.py": "open('/tmp/never', 'w')", "requirements.txt": "requests\n"})

    staged = made.inspect("https://example.com/a/thing")

    assert staged.scan.files == ("install.py", "requirements.txt", "scripts/x.py")
    assert staged.scan.requirements == ("requests",)
    assert len(staged.commit.id) == 40
    assert made.extensions() == []


def test_what_was_looked_at_is_what_is_installed(made, upstream):
    staged = made.inspect("https://example.com/a/thing")
    upstream.commit({"scripts/x.py": "evil = 1\n"})

    extension = made.install(staged.token)

    assert extension.active
    assert (extension.folder / "scripts" / "x.py").read_text() == "value = 1\n"
    ((_, record, state),) = made.listed()
    assert record.commit == state.id == staged.commit.id
    assert audit(made) == ["extension installed"]


def test_a_token_works_once(made):
    staged = made.inspect("https://example.com/a/thing")
    made.install(staged.token)

    with pytest.raises(RequestError, match="look again"):
        made.install(staged.token)


@pytest.mark.full
def test_packages_are_installed_only_when_wanted(made, upstream):
    upstream.commit({"requirements.txt": "helper_x\n"})
    made.install(made.inspect("https://example.com/a").token, packages=False)
    assert "helper-x" not in made.packages.installed()
    made.remove("thing")

    made.install(made.inspect("https://example.com/a").token)

    assert made.records.get("thing").packages == (
        {"name": "helper-x", "before": "", "after": "0.5"},
    )
    made.remove("thing", packages=True)
    assert "helper-x" not in made.packages.installed()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"requirements.txt": "helper_x\nbroken\n"}, "broken"),
        ({"install.py": "raise ValueError('not today')"}, "not today"),
        ({"install.py": "import sys; sys.exit(3)"}, "install.py failed"),
        ({"scripts/x.py": "import ldm"}, "cannot work in Easel"),
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(made, upstream, files, sentence):
    upstream.commit(files)

    with pytest.raises(ExtensionError, match=sentence):
        made.install(made.inspect("https://example.com/a").token)

    assert made.extensions() == []
    assert Records(made.folder).all() == {}
    assert made.packages.installed().keys() == {"ours"}


def test_an_installer_runs_with_a1111s_names_and_its_own_folder(made, upstream):
    code = (
        "import launch, os\n"
        "from modules import launch_utils\n"
        "import beside\n"
        "assert launch.is_installed('ours') and not launch.is_installed('no_such_thing')\n"
        "assert os.environ['PIP_CONSTRAINT']\n"
        "open(os.path.join(os.path.dirname(__file__), 'ran'), 'w').write(beside.word)\n"
    )
    upstream.commit({"install.py": code, "beside.py": "word = 'yes'"})

    extension = made.install(made.inspect("https://example.com/a").token)

    assert (extension.folder / "ran").read_text() == "yes"
    assert made.records.get("thing").installer


def test_a_second_one_of_the_same_name_is_refused(made):
    made.install(made.inspect("https://example.com/a", "Thing").token)

    with pytest.raises(RequestError, match="already"):
        made.inspect("https://example.com/a", "thing")


def test_updates_are_shown_before_they_are_taken(made, upstream):
    made.install(made.inspect("https://example.com/a").token)
    assert made.look_for_update("thing") is None
    upstream.commit({"scripts/x.py": "value = 2\n", "new.txt": ""}, "better")

    update = made.look_for_update("thing")

    assert update.files == ("new.txt", "scripts/x.py")
    assert update.staged.commit.subject == "better"
    extension = made.extensions()[0]
    assert (extension.folder / "scripts" / "x.py").read_text() == "value = 1\n"
    made.update("thing", update.staged.token)
    assert (extension.folder / "scripts" / "x.py").read_text() == "value = 2\n"
    assert audit(made) == ["extension installed", "extension updated"]


def test_an_update_that_fails_keeps_the_old_version(made, upstream):
    made.install(made.inspect("https://example.com/a").token)
    extension = made.extensions()[0]
    (extension.folder / "scripts" / "x.py").write_text("mine = 1\n")
    upstream.commit({"scripts/x.py": "value = 2\n"})
    update = made.look_for_update("thing")

    with pytest.raises(ExtensionError, match="not updated"):
        made.update("thing", update.staged.token)

    assert (extension.folder / "scripts" / "x.py").read_text() == "mine = 1\n"


def test_switching_off_and_on_again_forgives(made):
    made.install(made.inspect("https://example.com/a", "Thing").token)
    made.records.change("thing", failures=2, reason="it broke two starts")
    assert made.extensions()[0].off == "it broke two starts"

    made.switch("thing", False)
    assert made.disabled == ["Thing"]
    made.switch("THING", True)

    assert made.disabled == []
    assert made.extensions()[0].active


def test_removing_takes_the_folder_and_the_record(made):
    made.install(made.inspect("https://example.com/a").token)

    made.remove("thing")

    assert [name for name in os.listdir(made.folder) if name != FILE] == []
    assert made.records.all() == {}


def test_what_comes_with_easel_is_not_removed(made):
    (made.folder / "ours").mkdir(parents=True)
    made.builtin = ("ours",)

    with pytest.raises(ExtensionError, match="switch it off"):
        made.remove("ours")


@pytest.mark.parametrize(
    "call",
    [
        lambda made: made.inspect("https://example.com/a"),
        lambda made: made.install("x"),
        lambda made: made.planned_packages("x"),
        lambda made: made.look_for_update("thing"),
        lambda made: made.update("thing", "x"),
        lambda made: made.switch("thing", True),
        lambda made: made.remove("thing"),
    ],
)
def test_a_server_that_others_reach_refuses_every_call(made, call):
    made.install(made.inspect("https://example.com/a").token)
    made.reason[0] = "The server is open to others."

    with pytest.raises(Forbidden):
        call(made)

    assert made.extensions()[0].active
    assert audit(made)[-1] == "extension change refused"


def test_only_a_few_repositories_are_kept_to_be_looked_at(made, tmp_path):
    tokens = [made.inspect("https://example.com/a").token for _ in range(MOST + 1)]

    with pytest.raises(RequestError):
        made.staging.take(tokens[0])
    assert len(os.listdir(tmp_path / "cache" / "staging")) == MOST


def test_an_unreachable_repository_is_told_and_leaves_nothing(made, upstream, tmp_path):
    upstream.run("checkout", "--quiet", "--orphan", "gone")

    with pytest.raises(ExtensionError, match="cannot be had"):
        made.inspect("https://example.com/a", branch="missing")

    assert os.listdir(tmp_path / "cache" / "staging") == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"failures": "x", "z": 1}}'])
def test_a_damaged_record_counts_as_none(tmp_path, text):
    (tmp_path / FILE).write_text(text)

    assert Records(tmp_path).get("b").url == ""
    Records(tmp_path).change("b", url="https://x")
    assert Records(tmp_path).get("b").url == "https://x"


def test_the_real_check_of_addresses_is_in_place():
    assert manager.repository is address.repository
    with pytest.raises(RequestError):
        manager.repository("file:///etc")
    assert issubclass(GitError, RuntimeError)
