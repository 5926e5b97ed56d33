"""Scripts of extensions in a request: taken out of it, their arguments made whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from modules.jobs.preparing.extension_scripts import settle_extension_scripts
from modules.requests.errors import RequestError
from tests.jobs.conftest import ask


@dataclass(frozen=True)
class Entry:
    title: str
    defaults: tuple = ()
    alwayson: bool = True


class Table:
    entries = (Entry("Detail", (True, 0.5)), Entry("Wild", ("x",)), Entry("Grid", (3,), False))

    def find(self, title, kind, alwayson):
        for one in self.entries:
            if one.title.lower() == title.strip().lower() and one.alwayson == alwayson:
                return one
        return None

    def always(self, kind):
        return [one for one in self.entries if one.alwayson]


def settled(**fields):
    return settle_extension_scripts(ask(**fields), Table())


def test_scripts_that_are_always_on_take_part_with_their_own_values():
    request, told = settled()
    assert told == {"selected": None, "args": {"Detail": [True, 0.5], "Wild": ["x"]}}
    assert request.alwayson_scripts == {}


def test_given_arguments_come_first_and_the_rest_is_filled():
    asked = {"detail": {"args": [False]}, "Soft Inpainting": {"args": []}}
    request, told = settled(alwayson_scripts=asked)
    assert told["args"]["Detail"] == [False, 0.5]
    assert list(request.alwayson_scripts) == ["Soft Inpainting"]


def test_a_selected_script_leaves_the_request():
    request, told = settled(script_name="GRID", script_args=[7])
    assert request.script_name is None
    assert request.script_args == []
    assert (told["selected"], told["args"]["Grid"]) == ("Grid", [7])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"alwayson_scripts": {"Wild": {"args": "x"}}}, "alwayson_scripts"),
        ({"alwayson_scripts": {"Wild": {"args": [1, 2]}}}, "alwayson_scripts"),
        ({"script_name": "Grid", "script_args": [1, 2]}, "script_args"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(fields, field):
    with pytest.raises(RequestError) as refused:
        settled(**fields)
    assert refused.value.field == field


def test_a_job_carries_them_and_a_name_that_nobody_knows_is_refused(make_service):
    plain = make_service(start=False).preparer
    assert "scripts" not in plain.prepare(ask(), "id", "ui").resources
    preparer = replace(plain, extension_scripts=Table())
    job = preparer.prepare(ask(script_name="Grid"), "id", "ui")
    assert job.resources["scripts"]["selected"] == "Grid"
    assert job.request["script_name"] is None
    with pytest.raises(RequestError, match="not found"):
        preparer.prepare(ask(script_name="Nothing"), "id", "ui")
