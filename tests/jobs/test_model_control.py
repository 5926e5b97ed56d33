"""Loading checkpoints between jobs: cancelled, failed, and put away."""

from __future__ import annotations

import threading

import pytest

from modules.jobs.models import LoadCancelled
from modules.requests import events
from tests.jobs.conftest import Painter
from tests.jobs.test_service import until


class SlowPainter(Painter):
    """Takes its time over a checkpoint until somebody cancels."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = threading.Event()

    def request(self, cmd: str, *, timeout: float = 60.0, **arguments: object) -> events.Reply:
        if cmd != "load":
            return super().request(cmd, timeout=timeout, **arguments)
        self._tell(events.ModelLoading("other", 0.1))
        assert self.cancelled.wait(20)
        self._tell(events.ModelReady("former", "former", path="/former"))
        return events.Reply(id=1, ok=False, payload={"error": "cancelled.", "cancelled": True})

    def cancel_load(self) -> bool:
        self.cancelled.set()
        return True


def test_an_interrupt_without_a_job_ends_the_loading_of_a_checkpoint(make_service) -> None:
    painter = SlowPainter()
    service = make_service(painter)
    assert not service.interrupt(), "nothing is loading"
    loading = service.between_jobs(service.models.load_chosen)
    until(lambda: service.engine.model.state == "loading")
    assert not service.interrupt("another job")
    assert service.interrupt()
    with pytest.raises(LoadCancelled, match="was cancelled"):
        loading.result(20)
    assert service.engine.model.state == "ready"
    assert service.engine.loaded.path == "/former"
    for _ in range(5):
        assert service.models.may_try_again(), "a cancelled load is no failure"
