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


@pytest.mark.parametrize("inside", ["scripts", "modules/web", "extensions/x/scripts", ".venv", "."])
@pytest.mark.parametrize("confined", [False, True])
def test_results_never_go_among_the_programs_own_files(paths, inside, confined):
    with pytest.raises(RequestError):
        check_output_folder(paths, "outdir_samples", str(paths.root / inside), confined=confined)


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
