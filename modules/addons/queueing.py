"""``process_images`` in the server, from a tab's button say: a job in the queue like all others."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111 import shared
from modules.addons.a1111.processed import Processed
from modules.addons.asking import reference_of, request_of
from modules.gallery import open_image
from modules.jobs.describe import ordered_images
from modules.jobs.records import DONE, INTERRUPTED
from modules.jobs.service import JobService

CLIENT = "extension"


class QueuedImages:
    """Generates through the queue and waits for it."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    def __call__(self, p: Any) -> Processed:
        """Generate what ``p`` describes.

        Raises:
            RequestError: a field cannot be used.
            RuntimeError: the job failed.
        """
        jobs = self._jobs
        request = request_of(
            p, lambda one: reference_of(one, lambda data: jobs.keep_input(data).ref)
        )
        wanted = not (p.do_not_save_samples or request.do_not_save_samples)
        job = jobs.submit(request, CLIENT, save=wanted)
        state = shared.state
        state.begin("extension")
        state.on_interrupt = lambda: jobs.interrupt(job)
        try:
            record = jobs.wait(job)
        finally:
            state.end()
        if record.state not in (DONE, INTERRUPTED):
            raise RuntimeError(record.error or "the job failed")
        found = [one for one in ordered_images(record) if one.kind == "image"]
        images = []
        for one in found:
            images.append(open_image(jobs.keeper.bytes_of(one)))
        prepared = record.prepared
        p.all_prompts, p.all_negative_prompts = (
            list(prepared["all_prompts"]),
            list(prepared["all_negative_prompts"]),
        )
        p.all_seeds, p.all_subseeds = list(prepared["all_seeds"]), list(prepared["all_subseeds"])
        texts = [one.infotext for one in found]
        return Processed(
            p,
            images,
            seed=p.all_seeds[0],
            info=texts[0] if texts else "",
            subseed=p.all_subseeds[0],
            infotexts=texts,
        )
