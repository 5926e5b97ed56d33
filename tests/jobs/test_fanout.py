"""Watchers hear every state; a slow one hears the newest of each kind."""

from __future__ import annotations

from modules.jobs.fanout import MAX_WARNINGS, Fanout


def bodies(subscription):
    return [message.body for message in subscription.drain()]


def test_every_watcher_gets_every_message_and_is_woken():
    fanout, woken = Fanout(), []
    first = fanout.subscribe(lambda: woken.append(1))
    second = fanout.subscribe(lambda: woken.append(2))
    fanout.publish({"type": "queue", "jobs": []})
    assert bodies(first) == bodies(second) == [{"type": "queue", "jobs": []}]
    assert sorted(woken) == [1, 2]


def test_a_slow_watcher_gets_the_newest_progress_and_preview_only():
    fanout = Fanout()
    slow = fanout.subscribe(lambda: None)
    for step in range(1000):
        fanout.publish({"type": "progress", "job": "a", "step": step})
        fanout.publish({"type": "preview", "job": "a", "step": step}, b"x" * 1000)
    messages = slow.drain()
    assert [message.body["step"] for message in messages] == [999, 999]


def test_states_of_different_jobs_and_all_images_are_kept():
    fanout = Fanout()
    slow = fanout.subscribe(lambda: None)
    for number in range(30):
        fanout.publish({"type": "job", "job": {"id": str(number), "state": "running"}})
        fanout.publish({"type": "image", "job": "a", "image": {"id": str(number)}})
        fanout.publish({"type": "job", "job": {"id": str(number), "state": "done"}})
    found = bodies(slow)
    assert [b["job"]["state"] for b in found if b["type"] == "job"] == ["done"] * 30
    assert len([b for b in found if b["type"] == "image"]) == 30


def test_changed_settings_add_up():
    fanout = Fanout()
    slow = fanout.subscribe(lambda: None)
    fanout.publish({"type": "options", "changed": {"a": 1, "b": 1}})
    fanout.publish({"type": "options", "changed": {"b": 2}})
    assert bodies(slow) == [{"type": "options", "changed": {"a": 1, "b": 2}}]


def test_a_mailbox_stays_small_however_many_warnings_come():
    fanout = Fanout()
    slow = fanout.subscribe(lambda: None)
    for number in range(MAX_WARNINGS * 3):
        fanout.publish({"type": "warning", "job": None, "message": str(number)})
    found = bodies(slow)
    assert len(found) == MAX_WARNINGS
    assert found[-1]["message"] == str(MAX_WARNINGS * 3 - 1)


def test_a_closed_mailbox_gets_nothing_more():
    fanout = Fanout()
    gone = fanout.subscribe(lambda: None)
    gone.close()
    fanout.publish({"type": "queue"})
    assert gone.drain() == []
    assert fanout.count == 0
