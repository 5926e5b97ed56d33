"""Checkpoints go when nobody has used them for a while, and no earlier."""

from __future__ import annotations

import threading

from modules.jobs.idle import IdleClock, IdleUnload


def looks(clock: IdleClock, *moments: tuple[float, bool, str | None], minutes: float) -> list[bool]:
    return [clock.due(now, minutes=minutes, busy=busy, model=model) for now, busy, model in moments]


def test_after_so_many_idle_minutes_and_once_only() -> None:
    found = looks(
        IdleClock(0.0),
        (10, False, "a"),
        (600, False, "a"),
        (609, False, "a"),
        (610, False, "a"),
        (615, False, None),
        (5000, False, None),
        minutes=10,
    )
    assert found == [False, False, False, True, False, False]


def test_work_and_another_model_begin_the_count_again() -> None:
    found = looks(
        IdleClock(0.0),
        (0, False, "a"),
        (50, True, "a"),
        (100, False, "a"),
        (105, False, "b"),
        (164, False, "b"),
        (165, False, "b"),
        minutes=1,
    )
    assert found == [False, False, False, False, False, True]


def test_nothing_is_due_when_it_is_switched_off() -> None:
    assert looks(IdleClock(0.0), (0, False, "a"), (1e9, False, "a"), minutes=0) == [False, False]


def test_the_thread_unloads_when_it_is_time() -> None:
    loaded: list[str] = ["a"]
    gone = threading.Event()

    def unload() -> None:
        loaded.clear()
        gone.set()

    watch = IdleUnload(
        minutes=lambda: 0.05 / 60,
        busy=lambda: False,
        model=lambda: loaded[0] if loaded else None,
        unload=unload,
        look=0.01,
    )
    watch.start()
    try:
        assert gone.wait(20)
    finally:
        watch.stop()
