"""The documents say what is true: links lead somewhere, flags, groups and routes exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modules.cli.arguments import build_parser
from modules.settings.flags import parse_flags

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)", text)
    broken = [
        link for link in links if "://" not in link and not (path.parent / link).resolve().exists()
    ]
    assert not broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_ours_that_is_named_exists(path):
    named = re.findall(
        r"`((?:modules|tests|tools|configs|benchmarks|docs)/[\w/.-]+)`", path.read_text("utf-8")
    )
    later = {"modules/addons", "modules/engine/postprocess"}
    assert not [name for name in named if name not in later and not (ROOT / name).exists()]


def section(document: str, heading: str) -> str:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def flags_of(table: str) -> set[str]:
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `--")]
    return {word for row in rows for word in re.findall(r"--[\w-]+", row)}


def test_the_server_flags_in_the_documents_exist(capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert flags_of(section("command-line.md", "serve")) <= known


def test_the_txt2img_flags_and_the_documents_agree():
    listed = flags_of(section("command-line.md", "txt2img"))
    real = {
        word
        for action in build_parser()._actions
        for word in action.option_strings
        if action.help != "==SUPPRESS==" and word.startswith("--")
    }
    assert real - listed <= {"--help", "--negative-prompt", "--clip-skip"}
    assert listed <= real


def test_the_bench_groups_in_the_documents_exist():
    pytest.importorskip("benchmarks.__main__")
    from benchmarks.__main__ import GROUPS, ON_REQUEST

    listed = set(re.findall(r"^\| `(\w+)` \|", section("command-line.md", "bench"), re.MULTILINE))
    assert listed == set(GROUPS | ON_REQUEST)


def test_the_routes_in_the_documents_exist(tmp_path):
    from modules.web.app import ROUTERS
    from modules.web.compose import build_context

    context = build_context(parse_flags(["--data-dir", str(tmp_path)]))
    try:
        paths = {route.path for make in ROUTERS for route in make(context).routes}
    finally:
        context.jobs.store.close()
    known = {re.sub(r"{\w+(:path)?}", "{}", path) for path in paths}
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:GET|POST|PUT|DELETE)[`, ]* ?`?(/[\w/{}.-]+)", text))
    assert len(named) > 20
    assert {re.sub(r"{\w+}", "{}", path) for path in named} <= known
