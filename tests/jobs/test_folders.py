"""Where results may go."""

from __future__ import annotations

import pytest

from modules.jobs.folders import check_output_folder
from modules.requests.errors import RequestError
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths


@pytest.fixture
def paths(tmp_path):
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))


PROTECTED = [
    "scripts",
    "Modules",
    "modules/web",
    "extensions/x/scripts",
    ".venv",
    ".",
    "x/../tools",
]


@pytest.mark.parametrize("inside", PROTECTED)
@pytest.mark.parametrize("confined", [False, True])
def test_results_never_go_among_the_programs_own_files(paths, inside, confined):
    with pytest.raises(RequestError):
        check_output_folder(paths, "outdir_samples", str(paths.root / inside), confined=confined)


def test_every_folder_that_came_with_the_program_is_protected(paths):
    folders = [entry.name for entry in paths.root.iterdir() if (entry / "__init__.py").is_file()]
    assert "modules" in folders
    for name in folders:
        with pytest.raises(RequestError):
            check_output_folder(paths, "outdir_samples", str(paths.root / name))


def test_a_folder_of_ones_own_beside_them_is_allowed(paths):
    # `launch.py txt2img --outdir pictures`, given in the program's folder.
    check_output_folder(paths, "outdir_samples", str(paths.root / "pictures"))
    with pytest.raises(RequestError):
        check_output_folder(paths, "outdir_samples", str(paths.root / "pictures"), confined=True)


def test_a_person_at_this_machine_chooses_any_folder_elsewhere(paths, tmp_path):
    for folder in ("outputs/mine", str(tmp_path / "pictures"), ""):
        check_output_folder(paths, "outdir_samples", folder)


def test_people_at_other_machines_choose_folders_among_the_outputs_only(paths, tmp_path):
    link = paths.outputs / "link"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path)
    for folder in ("outputs/mine", str(paths.outputs), ""):
        check_output_folder(paths, "outdir_samples", folder, confined=True)
    for folder in ("..", "outputs/../..", "outputs/link/x", str(tmp_path), "~", "/etc", "\0"):
        with pytest.raises(RequestError):
            check_output_folder(paths, "outdir_samples", folder, confined=True)
