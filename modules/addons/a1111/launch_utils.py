"""A1111 moved the functions of ``launch`` here; extensions import them from both places."""

from __future__ import annotations

from modules.addons.a1111.launch import (
    args,
    check_run,
    check_run_python,
    commit_hash,
    data_path,
    dir_repos,
    git,
    git_clone,
    git_tag,
    index_url,
    is_installed,
    prepare_environment,
    python,
    repo_dir,
    requirements_met,
    run,
    run_pip,
    run_python,
    script_path,
)

__all__ = [
    "args",
    "check_run",
    "check_run_python",
    "commit_hash",
    "data_path",
    "dir_repos",
    "git",
    "git_clone",
    "git_tag",
    "index_url",
    "is_installed",
    "prepare_environment",
    "python",
    "repo_dir",
    "requirements_met",
    "run",
    "run_pip",
    "run_python",
    "script_path",
]
