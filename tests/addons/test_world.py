"""The example extension is loaded as both processes load extensions, each in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BOTH = """
import json, sys, types
from pathlib import Path
from modules.addons.world import Plan, load_planned
from modules.addons.extension import find_extensions
from modules.settings.flags import Flags

cache, folder = Path(sys.argv[1]), Path(sys.argv[2])
Plan(tuple(find_extensions(folder)), Flags(data_dir=str(cache))).write(cache)
world = load_planned("engine", cache)
from modules.addons.a1111 import scripts, script_callbacks, shared
runner = scripts.scripts_txt2img
script = runner.script("easel EXAMPLE")
args = runner.flat_args(None, {"Easel example": [True]})
p = types.SimpleNamespace(script_args=args, all_prompts=["a cat"], extra_generation_params={})
runner.process(p)
print(json.dumps({
    "problems": [[one.extension, one.error] for one in world.problems],
    "args": args, "prompts": p.all_prompts, "told": p.extra_generation_params,
    "option": shared.opts.easel_example_greeting,
    "seconds": sorted(world.seconds),
    "flag": getattr(shared.cmd_opts, "bad_flag", None),
    "tabs": [tab[1:] for tab in script_callbacks.ui_tabs_callback()],
    "torch": "torch" in sys.modules,
}))
"""


def test_the_world_of_the_example(tmp_path):
    folder = tmp_path / "extensions"
    folder.mkdir()
    (folder / "easel-example").symlink_to(ROOT / "extensions" / "easel-example")
    bad = folder / "bad"
    (bad / "scripts").mkdir(parents=True)
    (bad / "preload.py").write_text(
        "def preload(parser):\n    parser.add_argument('--bad-flag', default=7)\n"
    )
    (bad / "scripts" / "a.py").write_text("import sys\nsys.exit(1)\n")
    (bad / "scripts" / "b.py").write_text(
        "from modules import scripts, script_callbacks, shared\n"
        "assert scripts.basedir().endswith('bad')\n"
        "class Bad(scripts.Script):\n"
        "    def title(self): return 'Bad'\n"
        "    def show(self, is_img2img): return scripts.AlwaysVisible\n"
        "    def ui(self, is_img2img): raise ValueError('no ui')\n"
        "    def process(self, p, *args): raise ValueError('no process')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", BOTH, str(tmp_path), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["prompts"] == ["a painting of a cat"]
    assert found["told"] == {"Example words": "a painting of"}
    assert found["args"] == [0, True, "a painting of"]
    assert found["option"] == "Hello"
    assert found["flag"] == 7
    assert found["tabs"] == [["Example", "easel_example"]]
    assert found["seconds"] == ["bad", "easel-example"]
    assert not found["torch"]
    assert ["bad", "it tried to end the program (exit code 1)"] in found["problems"]
    assert ["bad", "ValueError: no process"] in found["problems"]
    assert {name for name, _ in found["problems"]} == {"bad"}
