"""A1111's ``shared.state``: what runs at the moment, and the wishes to stop it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any


class State:
    """Plain fields: extensions write them, the program keeps them in step with its job.

    ``on_interrupt``, ``on_stop`` and ``on_skip`` are called when an extension wishes so.
    """

    def __init__(self) -> None:
        self.skipped = False
        self.interrupted = False
        self.stopping_generation = False
        self.job = ""
        self.job_no = 0
        self.job_count = 0
        self.processing_has_refined_job_count = False
        self.job_timestamp = "0"
        self.sampling_step = 0
        self.sampling_steps = 0
        self.current_latent: Any = None
        self.current_image: Any = None
        self.current_image_sampling_step = 0
        self.id_live_preview = 0
        self.textinfo: str | None = None
        self.time_start: float | None = None
        self.server_start: float | None = time.time()
        self.server_command: str | None = None
        self.oom = False
        self.need_restart = False
        self.on_interrupt: Callable[[], Any] | None = None
        self.on_stop: Callable[[], Any] | None = None
        self.on_skip: Callable[[], Any] | None = None

    def skip(self) -> None:
        """Leave the current picture."""
        self.skipped = True
        if self.on_skip:
            self.on_skip()

    def interrupt(self) -> None:
        """End the job; finished pictures stay."""
        self.interrupted = True
        if self.on_interrupt:
            self.on_interrupt()

    def stop_generating(self) -> None:
        """End the job after the current picture."""
        self.stopping_generation = True
        if self.on_stop:
            self.on_stop()

    def nextjob(self) -> None:
        """The next part of the job begins."""
        self.job_no += 1
        self.sampling_step = 0
        self.current_image_sampling_step = 0

    def begin(self, job: str = "(unknown)") -> None:
        """A job begins."""
        self.sampling_step = 0
        self.time_start = time.time()
        self.job_count = -1
        self.processing_has_refined_job_count = False
        self.job_no = 0
        self.job_timestamp = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
        self.current_latent = None
        self.current_image = None
        self.current_image_sampling_step = 0
        self.id_live_preview = 0
        self.skipped = False
        self.interrupted = False
        self.stopping_generation = False
        self.textinfo = None
        self.job = job

    def end(self) -> None:
        """The job is over."""
        self.job = ""
        self.job_count = 0

    def dict(self) -> dict[str, Any]:
        """As ``/sdapi/v1/progress`` tells it."""
        return {
            "skipped": self.skipped,
            "interrupted": self.interrupted,
            "stopping_generation": self.stopping_generation,
            "job": self.job,
            "job_count": self.job_count,
            "job_timestamp": self.job_timestamp,
            "job_no": self.job_no,
            "sampling_step": self.sampling_step,
            "sampling_steps": self.sampling_steps,
        }

    def set_current_image(self) -> None:
        """Previews are made by the program."""

    def do_set_current_image(self) -> None:
        """Previews are made by the program."""

    def assign_current_image(self, image: Any) -> None:
        """Show a picture as the preview."""
        self.current_image = image
        self.id_live_preview += 1

    def request_restart(self) -> None:
        """Restarting is the user's."""

    def wait_for_server_command(self, timeout: float | None = None) -> str | None:
        """There are none."""
        return None
