"""Extensions through the doors: REST of a whole server, and the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from modules.addons import probe
from modules.addons.manager import command, compose
from modules.settings.flags import parse_flags
from modules.web.app import create_app
from modules.web.compose import build_context
from tests.addons.manager.conftest import FILE_GIT

PATH = "/easel/v1/extensions"
URL = "https://example.com/a/thing"


class Served(TestClient):
    """A server whose addresses all lead to one folder on this machine."""

    def __init__(self, data, *flags, client=("127.0.0.1", 40000)):
        self.data = data
        wanted = ["--data-dir", str(data), "--nowebui", "--no-hashing", *flags]
        self.context = build_context(
            parse_flags(wanted), desk=lambda context: compose.build_desk(context, FILE_GIT)
        )
        super().__init__(create_app(self.context), base_url="http://127.0.0.1:7860", client=client)

    def lead_to(self, upstream, environment):
        self.upstream = upstream
        redirect(self.context.extensions, upstream, environment)
        return self

    def forget_all(self):
        """As a start with an empty folder."""
        desk = self.context.extensions
        for folder in (desk.manager.folder, desk.kept.folder):
            shutil.rmtree(folder, ignore_errors=True)
        desk.switches.disable([])
        desk.switches.disable_all("none")
        desk.restart_due(False)
        desk._begun = desk._now()

    def ask(self, path, **body):
        return self.post(f"{PATH}/{path}", json=body)

    def look(self):
        return self.ask("look", url=URL).json()

    def install(self, **more):
        return self.ask("install", token=self.look()["token"], install=True, **more)

    def rows(self):
        return {one["name"]: one for one in self.get(PATH).json()["extensions"]}

    def notices(self):
        return {one["id"] for one in self.context.notices.to_json()}

    def close(self):
        self.context.jobs.stop()
        self.context.lock.release()
        super().close()


def redirect(desk, upstream, environment):
    manager = desk.manager
    manager.address = lambda url, folder, branch: upstream.repository(folder or "thing", branch)
    manager.check_host = lambda url: None
    manager.packages = replace(environment, root=manager.packages.root)


@pytest.fixture
def make(tmp_path, upstream, environment):
    made = []

    def start(*flags, **more):
        made.append(Served(tmp_path / "data", *flags, **more).lead_to(upstream, environment))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for all tests that need no flags of their own."""
    made = Served(tmp_path_factory.mktemp("doors") / "data")
    yield made
    made.close()


@pytest.fixture
def served(shared, upstream, environment):
    shared.forget_all()
    return shared.lead_to(upstream, environment)


def audit(served):
    lines = (served.data / "log" / "audit.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


# ---- REST


def test_looking_shows_all_and_changes_nothing(served, upstream):
    upstream.commit({"install.py": "import os\nos.system('x')\n", "requirements.txt": "plain\n"})

    found = served.look()

    assert found["files"] == ["install.py", "requirements.txt", "scripts/x.py"]
    assert found["installer"]
    assert found["requirements"] == ["plain"]
    assert {one["kind"] for one in found["findings"]} == {"calls", "install"}
    assert served.rows() == {}
    plan = served.ask("packages", token=found["token"]).json()
    assert plan["changes"] == [
        {"name": "helper_x", "before": "", "after": "0.5"},
        {"name": "plain", "before": "", "after": "2.0"},
    ]


def test_installing_needs_consent_and_a_restart(served):
    token = served.look()["token"]

    refused = served.ask("install", token=token)
    assert refused.status_code == 422
    assert refused.json()["field"] == "install"
    assert not (served.data / "extensions" / "thing").exists()

    assert served.ask("install", token=token, install=True).json()["name"] == "thing"
    assert (served.data / "extensions" / "thing" / "scripts" / "x.py").is_file()
    assert "extensions:restart" in served.notices()
    assert served.get(PATH).json()["restart"]
    (row,) = served.get("/sdapi/v1/extensions").json()
    assert (row["name"], row["enabled"], row["branch"]) == ("thing", True, "main")
    assert len(row["commit_hash"]) == 40


def test_the_installer_runs_only_with_consent_of_its_own(served, upstream, tmp_path):
    mark = tmp_path / "ran"
    upstream.commit({"install.py": f"open({str(mark)!r}, 'w').close()\n"})
    assert served.install().status_code == 200
    assert not mark.exists()
    assert served.ask("installed/thing/remove").status_code == 200
    assert served.install(installer=True).status_code == 200
    assert mark.exists()


def test_off_and_on_again_needs_no_restart(served):
    served.install()
    assert served.ask("installed/thing/switch", on=False).json() == {"name": "thing", "on": False}
    row = served.rows()["thing"]
    assert (row["on"], row["off"]) == (False, "switched off")
    assert "thing" in served.context.options["disabled_extensions"]
    assert "extensions:restart" not in served.notices()  # as it was at the start: not loaded
    served.ask("installed/thing/switch", on=True)
    assert "extensions:restart" in served.notices()
    assert served.ask("off", off="all").status_code == 200
    row = served.rows()["thing"]
    assert (row["switched"], row["off"]) == (True, "all extensions are switched off")
    assert served.ask("off", off="most").status_code == 422


def test_one_that_does_not_load_says_why_until_it_is_switched_on_again(served):
    served.install()
    mark = probe.fingerprint(served.data / "extensions" / "thing")
    record = served.data / "cache" / "addons" / probe.FILE
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"thing": {"mark": mark, "reason": "it ended the program"}}))

    row = served.rows()["thing"]
    assert (row["on"], row["off"]) == (False, "it ended the program")
    assert not row["switched"]

    served.ask("installed/thing/switch", on=True)
    assert served.rows()["thing"]["on"]


def test_an_update_is_shown_first(served, upstream):
    served.install()
    assert served.ask("installed/thing/check").json() == {"newer": False}
    newest = upstream.commit({"scripts/x.py": "value = 2\n", "scripts/y.py": "value = 3\n"})

    found = served.ask("installed/thing/check").json()

    assert found["newer"]
    assert found["changed"] == ["scripts/x.py", "scripts/y.py"]
    place = served.data / "extensions" / "thing" / "scripts" / "x.py"
    assert place.read_text() == "value = 1\n"
    assert served.ask("installed/thing/update", token=found["token"]).status_code == 422
    done = served.ask("installed/thing/update", token=found["token"], install=True)
    assert done.status_code == 200
    assert place.read_text() == "value = 2\n"
    assert served.rows()["thing"]["commit"] == newest


def test_what_was_looked_at_for_one_updates_no_other(served):
    served.install()
    token = served.ask("look", url=URL, folder="other").json()["token"]
    answer = served.ask("installed/thing/update", token=token, install=True)
    assert (answer.status_code, answer.json()["field"]) == (422, "token")


def test_a_state_is_kept_and_gone_back_to(served, upstream):
    served.install()
    first = served.rows()["thing"]["commit"]
    file = served.ask("states", name="before ../it").json()["file"]
    state = json.loads((served.data / "config_states" / file).read_text())
    assert state["extensions"]["thing"]["commit_hash"] == first
    assert state["extensions"]["thing"]["enabled"]
    newest = upstream.commit({"scripts/x.py": "value = 2\n"})
    token = served.ask("installed/thing/check").json()["token"]
    served.ask("installed/thing/update", token=token, install=True)
    served.ask("installed/thing/switch", on=False)

    plan = served.ask(f"states/{file}/look").json()
    assert plan["commits"] == [{"name": "thing", "old": newest, "new": first}]
    assert plan["switches"] == [{"name": "thing", "on": True}]
    assert served.ask(f"states/{file}/restore").status_code == 200

    row = served.rows()["thing"]
    assert (row["commit"], row["on"]) == (first, True)
    served.ask("installed/thing/remove")
    missing = served.ask(f"states/{file}/look").json()["missing"]
    assert [one["name"] for one in missing] == ["thing"]
    assert served.delete(f"{PATH}/states/{file}").status_code == 200
    assert served.get(f"{PATH}/states").json() == {"states": []}


@pytest.mark.parametrize("name", ["..%2Fconfig.json", "config.json", ".hidden.json", "x"])
def test_a_state_is_a_file_of_its_folder(served, name):
    (served.data / "config.json").write_text("{}")
    assert served.delete(f"{PATH}/states/{name}").status_code in (404, 422)
    assert (served.data / "config.json").exists()


def test_a_broken_state_is_named_and_changes_nothing(served):
    folder = served.data / "config_states"
    folder.mkdir()
    for number, text in enumerate(["{", "[]", '{"extensions": {"a": 1}}', '{"extensions": 3}']):
        (folder / f"s{number}.json").write_text(text)
        assert served.ask(f"states/s{number}.json/restore").status_code == 422
    assert all(
        "holds no state" in one["error"] for one in served.get(f"{PATH}/states").json()["states"]
    )


def test_a_server_that_others_reach_refuses_even_this_machine(make):
    served = make("--listen", "--gradio-auth", "ann:secret-enough", "--port", "7999")
    served.auth = ("ann", "secret-enough")
    answer = served.ask("look", url=URL)
    assert answer.status_code == 403
    assert "Other machines can reach" in answer.json()["errors"]
    assert "Other machines can reach" in served.get(PATH).json()["forbidden"]
    served.cookies.clear()
    served.auth = ("ann", "wrong")
    assert served.get(PATH).status_code == 401
    events = [(one["event"], one.get("flags")) for one in audit(served)]
    assert ("start", ["--listen"]) in events
    assert ("login failed", None) in events
    assert "secret" not in (served.data / "log" / "audit.jsonl").read_text()


def test_a_flag_opens_it(make):
    flags = ("--listen", "--gradio-auth", "ann:secret-enough", "--enable-insecure-extension-access")
    served = make(*flags, client=("192.0.2.7", 40000))
    served.auth = ("ann", "secret-enough")
    assert served.ask("look", url=URL).status_code == 200


def test_frozen_settings_freeze_extensions(make):
    assert make("--freeze-settings").ask("look", url=URL).status_code == 403


def test_the_routes_for_settings_switch_no_extension(served):
    answer = served.post("/sdapi/v1/options", json={"disabled_extensions": ["thing"]})
    assert (answer.status_code, answer.json()["field"]) == (422, "disabled_extensions")
    kept = served.context.options["disabled_extensions"]
    assert served.post("/sdapi/v1/options", json={"disabled_extensions": kept}).status_code == 200
    assert served.context.options["disabled_extensions"] == kept


def test_safe_mode_switches_for_the_starts_to_come(make):
    served = make()
    served.install()
    served.context.options.set_many({"samples_format": "webp"})
    served.close()
    safe = make("--safe-mode")
    assert safe.rows()["thing"]["off"] == "all extensions are switched off"
    assert safe.get(PATH).json()["fixed"] == "--safe-mode"
    assert safe.ask("installed/thing/switch", on=False).status_code == 200
    kept = json.loads((safe.data / "config.json").read_text())
    assert "thing" in kept["disabled_extensions"]
    assert kept["samples_format"] == "webp"


def test_odd_requests_get_sentences(served):
    assert served.ask("install", token="x", install=True).status_code == 422
    assert served.ask("installed/none/switch", on=True).status_code == 422
    assert served.ask("installed/none/remove").status_code == 422
    assert served.ask("index", url="http://127.0.0.1/x.json").status_code == 422
    assert served.ask("index", url="https://127.0.0.1/x.json").status_code == 422
    assert served.ask("look", url="x" * 5000).status_code == 422
    assert served.ask("look").status_code == 422
    served.upstream.commit({"scripts/x.py": "import ldm.modules.attention\n"})
    refused = served.install()
    assert refused.status_code == 409
    assert "cannot work in Easel" in refused.json()["errors"]


def test_without_a_desk_there_are_no_extensions(tmp_path):
    context = build_context(parse_flags(["--data-dir", str(tmp_path), "--nowebui"]))
    client = TestClient(create_app(context), base_url="http://127.0.0.1:7860")
    assert client.get("/sdapi/v1/extensions").json() == []
    assert client.get(PATH).status_code == 501
    context.lock.release()


def test_the_curated_list_is_in_order(served):
    found = served.ask("index").json()["extensions"]
    assert len(found) == len({one["url"].lower() for one in found}) >= 50
    assert all(one["url"].startswith("https://github.com/") for one in found)
    assert {one["works"] for one in found} <= {"expected", "partly", "no"}
    assert all(one["why"] for one in found if one["works"] != "expected")


# ---- the command line


@pytest.fixture
def line(tmp_path, upstream, environment, capsys):
    def run(*words):
        code = command.main(
            ["--data-dir", str(tmp_path / "data"), *words],
            FILE_GIT,
            lambda desk: redirect(desk, upstream, environment),
        )
        told = capsys.readouterr()
        return SimpleNamespace(code=code, out=told.out, err=told.err)

    return run


def test_the_command_line_looks_installs_switches_and_removes(line, tmp_path, upstream):
    assert "No extensions in" in line("list").out
    looked = line("look", URL)
    assert looked.code == 0
    assert "1 files" in looked.out
    assert line("install", URL).code == 1  # nobody there to ask: nothing is done
    assert "No extensions in" in line("list").out
    assert line("install", URL, "--yes").code == 0
    assert line("list").out.startswith("on   thing  ")
    assert line("off", "thing").code == 0
    assert "switched off" in line("list").out
    config = json.loads((tmp_path / "data" / "config.json").read_text())
    assert "thing" in config["disabled_extensions"]
    assert line("on", "thing").code == 0
    assert "newest" in line("update", "thing").out
    upstream.commit({"scripts/x.py": "value = 2\n"})
    assert line("update", "thing", "--yes").code == 0
    assert (tmp_path / "data/extensions/thing/scripts/x.py").read_text() == "value = 2\n"
    assert line("remove", "thing").code == 1
    assert line("remove", "thing", "--yes").code == 0
    assert json.loads(line("list", "--json").out)["extensions"] == []
    failed = line("off", "thing")
    assert (failed.code, failed.err) == (1, "name: there is no extension of this name.\n")


def test_the_command_line_leaves_a_running_server_alone(line, make):
    make()
    refused = line("list")
    assert refused.code == 1
    assert "Easel is running" in refused.err


def test_what_a_repository_says_does_not_reach_the_terminal(line, upstream):
    upstream.commit({"scripts/x.py": "1\n"}, "new \x1b[2J\x1b]0;title\x07 things")
    out = line("look", URL).out
    assert "\x1b" not in out
    assert "\x07" not in out
