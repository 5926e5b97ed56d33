"""Packages for extensions: planned, installed beside Easel's own, and taken back."""

from __future__ import annotations

import pytest

from modules.addons.manager.packages import Change, PackageError, plain_requirements
from modules.requests.errors import RequestError


@pytest.mark.full
def test_a_plan_changes_nothing_and_an_installation_is_what_was_planned(environment):
    planned = environment.plan(["plain==1.0"])

    assert planned == [Change("helper_x", "", "0.5"), Change("plain", "", "1.0")]
    assert "plain" not in environment.installed()
    done = environment.install(["plain==1.0"])
    assert {one.name for one in done} == {"plain", "helper-x"}

    more = environment.install(["plain>=2"])
    assert more == [Change("plain", "1.0", "2.0")]
    environment.roll_back(more)
    assert environment.installed()["plain"] == "1.0"
    environment.roll_back(done)
    assert environment.installed().keys() == {"ours"}


@pytest.mark.parametrize(
    "wanted",
    [
        ["plain", "greedy"],
        pytest.param(["ours==2.0"], marks=pytest.mark.full),
    ],
)
def test_easels_own_packages_stay_and_nothing_half_done_remains(environment, wanted):
    before = environment.installed()

    with pytest.raises(PackageError):
        environment.install(wanted)

    assert environment.installed() == before


@pytest.mark.full
def test_what_no_index_has_is_told_in_one_line(environment):
    with pytest.raises(PackageError, match="no_such_package") as error:
        environment.plan(["no_such_package"])

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--index-url https://evil.example/simple",
        "-r other.txt",
        "git+https://github.com/a/b",
        "thing @ https://evil.example/x.whl",
        "./local",
        "/etc/passwd",
        "a; rm -rf /",
        "x" * 5 + " y",
    ],
)
def test_lines_that_are_more_than_names_are_refused(line):
    with pytest.raises(RequestError, match="not installed for an extension"):
        plain_requirements([line])


def test_comments_and_blank_lines_are_no_requirements():
    assert plain_requirements(["# x", "", "requests>=2 # for y"]) == ["requests>=2"]


def test_the_constraints_name_what_easel_came_with(environment):
    assert environment.constraints() == "ours==1.0\n"
