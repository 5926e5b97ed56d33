"""What the page is told about the engine's model while upscalers come and go."""

from __future__ import annotations

import pytest

from modules.jobs.engine_watch import EngineWatch
from modules.requests import events

READY = events.ModelReady("model", "model.safetensors [0123456789]", "0123456789", "sd1")


def watch() -> tuple[EngineWatch, list[dict]]:
    told: list[dict] = []
    follower = EngineWatch(told.append)
    follower.take(READY)
    told.clear()
    return follower, told


@pytest.mark.parametrize(
    "event",
    [
        events.Step("job", 0, 1, 1, 9),
        events.Working("job", "R-ESRGAN 4x+", 1, 9),
        events.ImageDone(job="job"),
        events.Done("job"),
        events.Failed("job", "input", "There is no such file."),
    ],
)
def test_an_upscaler_that_was_loaded_leaves_the_model_ready(event: events.Event) -> None:
    follower, told = watch()
    follower.take(events.ModelLoading("R-ESRGAN 4x+", 0.5))
    assert follower.model.state == "loading"
    follower.take(event)
    assert follower.model.state == "ready"
    assert follower.model.title == READY.title
    assert [message["state"] for message in told] == ["loading", "ready"]


def test_a_model_that_failed_stays_failed_when_its_job_ends() -> None:
    follower, _ = watch()
    follower.take(events.ModelLoading("other.safetensors", 0.5))
    follower.take(events.ModelFailed("other.safetensors", "other.safetensors: is cut short"))
    follower.take(events.Failed("job", "model", "other.safetensors: is cut short"))
    assert follower.model.state == "failed"
    assert follower.loaded.title == READY.title


def test_steps_of_a_job_say_nothing_new_about_the_model() -> None:
    follower, told = watch()
    follower.take(events.Step("job", 0, 1, 1, 9))
    assert told == []


def test_it_is_told_which_models_are_in_memory_and_when_none_is() -> None:
    follower, told = watch()
    ready = events.ModelReady("other", "other", path="/other", resident=["model", "other"])
    follower.take(ready, "/what was asked for")
    assert follower.loaded.path == "/other", "after a cancelled load the former one is ready again"
    follower.take(events.ModelLoading("third", 0.5))
    assert told[-1]["resident"] == ["model", "other"]
    follower.take(events.ModelGone())
    assert (follower.loaded.state, follower.loaded.path) == ("none", None)
    assert told[-1]["state"] == "none" and told[-1]["resident"] == []
