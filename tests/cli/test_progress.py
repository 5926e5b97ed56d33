"""The line that `launch.py txt2img` shows."""

from __future__ import annotations

import io

from modules.cli.progress import ProgressView, describe
from modules.jobs.progress import ProgressSnapshot

RUNNING = ProgressSnapshot(
    job="a", state="running", progress=0.25, eta=8.2, step=5, steps=20, iterations=1
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_has_the_step_and_the_time_left():
    assert describe(RUNNING, 1, 1, "") == "[######                  ]  25% step 5/20, 8 s left"


def test_several_prompts_are_counted():
    assert describe(RUNNING, 2, 3, "").startswith("prompt 2/3 [")


def test_before_the_first_step_it_tells_what_the_engine_does():
    waiting = ProgressSnapshot(job="a", state="queued")
    assert describe(waiting, 1, 1, "loading easel-starter") == "loading easel-starter"


def test_a_terminal_sees_one_line_that_goes_away():
    stream = Terminal()
    view = ProgressView(stream, quiet=False)
    view.show(RUNNING, 1, 1, "")
    view.note("done")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\rdone\n")


def test_quiet_shows_no_progress_but_keeps_notes():
    stream = io.StringIO()
    view = ProgressView(stream, quiet=True)
    view.show(RUNNING, 1, 1, "")
    view.note("a warning")
    assert stream.getvalue() == "a warning\n"
