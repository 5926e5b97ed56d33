"""News for everyone who watches: each has a small mailbox that keeps the newest of each kind.

A slow watcher never holds up the worker and never misses a state: messages about the same thing
replace each other in the mailbox, so its size is bounded by the number of things, not by time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_WARNINGS = 100


@dataclass(frozen=True)
class Message:
    """One piece of news; ``blob`` is set for previews only."""

    body: dict[str, Any]
    blob: bytes | None = None


class Subscription:
    """One watcher's mailbox."""

    def __init__(self, wake: Callable[[], None], on_close: Callable[[Subscription], None]) -> None:
        self._wake = wake
        self._on_close = on_close
        self._lock = threading.Lock()
        self._pending: dict[Any, Message] = {}
        self._serial = 0

    def put(self, message: Message) -> None:
        """Deliver; called by the service on any thread."""
        with self._lock:
            key = self._key(message.body)
            replaced = self._pending.pop(key, None)
            if replaced is not None and message.body["type"] == "options":
                merged = {**replaced.body["changed"], **message.body["changed"]}
                message = Message({**message.body, "changed": merged})
            self._pending[key] = message
        self._wake()

    def _key(self, body: dict[str, Any]) -> Any:
        kind = body["type"]
        if kind == "image":
            return kind, body["job"], body["image"]["id"]
        if kind == "job":
            return kind, body["job"]["id"]
        if kind == "warning":
            self._serial = (self._serial + 1) % MAX_WARNINGS
            return kind, self._serial
        return kind

    def drain(self) -> list[Message]:
        """Take everything that is waiting, in order."""
        with self._lock:
            messages = list(self._pending.values())
            self._pending.clear()
        return messages

    def close(self) -> None:
        """Stop receiving."""
        self._on_close(self)


class Fanout:
    """Hands each message to all watchers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """A new mailbox; ``wake()`` is called, on any thread, whenever something arrives."""
        subscription = Subscription(wake, self._remove)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def publish(self, body: dict[str, Any], blob: bytes | None = None) -> None:
        """Send news to every watcher."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        message = Message(body, blob)
        for subscription in subscriptions:
            subscription.put(message)

    @property
    def count(self) -> int:
        """How many are watching."""
        with self._lock:
            return len(self._subscriptions)
