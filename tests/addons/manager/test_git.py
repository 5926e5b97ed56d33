"""git does what is asked and nothing that a repository asks."""

from __future__ import annotations

import os
import socket

import pytest

from modules.addons.manager.address import Repository
from modules.addons.manager.git import Git, GitError
from tests.addons.manager.conftest import FILE_GIT


def test_a_clone_has_the_newest_commit_alone(upstream, tmp_path):
    newest = upstream.commit({"scripts/x.py": "value = 2\n"}, "second")

    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")

    state = FILE_GIT.state(tmp_path / "thing")
    assert (state.id, state.subject, state.branch) == (newest, "second", "main")
    assert (tmp_path / "thing" / "scripts" / "x.py").read_text() == "value = 2\n"


def test_another_branch(upstream, tmp_path):
    upstream.run("checkout", "--quiet", "-b", "next")
    upstream.commit({"scripts/x.py": "value = 9\n"})

    FILE_GIT.clone(upstream.repository(branch="next"), tmp_path / "thing")

    assert FILE_GIT.state(tmp_path / "thing").branch == "next"


def test_only_https_unless_the_test_says_otherwise(upstream, tmp_path):
    with pytest.raises(GitError, match="not allowed"):
        Git().clone(upstream.repository(), tmp_path / "thing")

    assert not (tmp_path / "thing").exists()


@pytest.mark.parametrize("url", ["ext::sh -c 'touch PWNED'", "--upload-pack=touch PWNED"])
def test_addresses_that_run_programs_run_none(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(GitError):
        Git().clone(Repository(url, "", "x"), tmp_path / "thing")

    assert os.listdir(tmp_path) == []


def test_hooks_links_and_submodules_are_not_followed(upstream, tmp_path):
    other = upstream.folder.parent / "inner"
    other.mkdir()
    upstream.run("-C", str(other), "init", "--quiet")
    upstream.run("-C", str(other), "commit", "--quiet", "--allow-empty", "-m", "x")
    upstream.run("submodule", "--quiet", "add", str(other), "sub")
    os.symlink("/etc/passwd", upstream.folder / "link")
    upstream.commit({"x": ""})

    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")

    assert not (tmp_path / "thing" / "link").is_symlink()
    assert list((tmp_path / "thing" / "sub").iterdir()) == []


def test_what_is_too_large_is_removed(upstream, tmp_path):
    upstream.commit({"big": "x" * 400_000})

    with pytest.raises(GitError, match="larger"):
        Git(protocols=("file",), most_bytes=200_000).clone(
            upstream.repository(), tmp_path / "thing"
        )

    assert not (tmp_path / "thing").exists()


def test_a_host_that_never_answers_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(GitError, match="took more than"):
            Git(protocols=("http",), most_seconds=0.1).clone(
                Repository(address, "", "x"), tmp_path / "thing"
            )

    assert not (tmp_path / "thing").exists()


def test_updates_are_fetched_first_and_taken_later(upstream, tmp_path):
    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")
    old = FILE_GIT.state(tmp_path / "thing").id
    new = upstream.commit({"scripts/x.py": "value = 3\n", "more.py": ""})
    (tmp_path / "thing" / "mine.txt").write_text("kept")

    fetched = FILE_GIT.fetch(tmp_path / "thing")
    assert (fetched, FILE_GIT.state(tmp_path / "thing").id) == (new, old)
    assert FILE_GIT.changed_files(tmp_path / "thing", old, new) == ["more.py", "scripts/x.py"]

    FILE_GIT.switch(tmp_path / "thing", new)
    assert FILE_GIT.state(tmp_path / "thing").id == new
    assert (tmp_path / "thing" / "mine.txt").read_text() == "kept"

    FILE_GIT.switch(tmp_path / "thing", old)
    assert (tmp_path / "thing" / "scripts" / "x.py").read_text() == "value = 1\n"


def test_changes_made_by_hand_are_not_overwritten(upstream, tmp_path):
    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")
    (tmp_path / "thing" / "scripts" / "x.py").write_text("mine\n")
    upstream.commit({"scripts/x.py": "value = 3\n"})

    with pytest.raises(GitError):
        FILE_GIT.switch(tmp_path / "thing", FILE_GIT.fetch(tmp_path / "thing"))

    assert (tmp_path / "thing" / "scripts" / "x.py").read_text() == "mine\n"


@pytest.mark.parametrize("commit", ["HEAD", "--hard", "main", "x" * 40, ""])
def test_only_whole_commit_ids_are_taken(upstream, tmp_path, commit):
    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")

    with pytest.raises(GitError, match="no commit"):
        FILE_GIT.switch(tmp_path / "thing", commit)


def test_a_folder_that_is_no_repository_has_no_state(tmp_path):
    assert FILE_GIT.state(tmp_path) is None


def test_the_address_is_told_without_a_password(upstream, tmp_path):
    FILE_GIT.clone(upstream.repository(), tmp_path / "thing")
    config = tmp_path / "thing" / ".git" / "config"
    config.write_text(config.read_text().replace("file://", "https://me:secret@example.com"))

    assert "secret" not in FILE_GIT.remote(tmp_path / "thing")
