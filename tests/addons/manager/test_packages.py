"""Packages for extensions: planned, installed beside Easel's own, and taken back."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from modules.addons.manager.packages import Change, PackageError, Packages, plain_requirements
from modules.requests.errors import RequestError


def wheel(folder, name, version, needs=()):
    """A package of one line, as an index would give it."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An environment with one package of Easel's own, and an index of a few others."""
    folder = tmp_path_factory.mktemp("packages")
    index = folder / "index"
    index.mkdir()
    wheel(index, "ours", "1.0")
    wheel(index, "ours", "2.0")
    wheel(index, "plain", "1.0", ["helper_x"])
    wheel(index, "plain", "2.0", ["helper_x"])
    wheel(index, "helper_x", "0.5")
    wheel(index, "greedy", "1.0", ["ours>=2"])
    (folder / "requirements.txt").write_text("ours==1.0 # pinned\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    found = Packages(folder, python, ("--no-index", "--find-links", str(index)))
    found._run("install", "--quiet", *found.pip_options, "ours==1.0")
    return found


@pytest.mark.full
def test_a_plan_changes_nothing_and_an_installation_is_what_was_planned(made):
    planned = made.plan(["plain==1.0"])

    assert planned == [Change("helper_x", "", "0.5"), Change("plain", "", "1.0")]
    assert "plain" not in made.installed()
    done = made.install(["plain==1.0"])
    assert {one.name for one in done} == {"plain", "helper-x"}

    more = made.install(["plain>=2"])
    assert more == [Change("plain", "1.0", "2.0")]
    made.roll_back(more)
    assert made.installed()["plain"] == "1.0"
    made.roll_back(done)
    assert made.installed().keys() == {"ours"}


@pytest.mark.parametrize(
    "wanted",
    [
        ["plain", "greedy"],
        pytest.param(["ours==2.0"], marks=pytest.mark.full),
    ],
)
def test_easels_own_packages_stay_and_nothing_half_done_remains(made, wanted):
    before = made.installed()

    with pytest.raises(PackageError):
        made.install(wanted)

    assert made.installed() == before


def test_what_no_index_has_is_told_in_one_line(made):
    with pytest.raises(PackageError, match="no_such_package") as error:
        made.plan(["no_such_package"])

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


def test_the_constraints_name_what_easel_came_with(made):
    assert made.constraints() == "ours==1.0\n"
