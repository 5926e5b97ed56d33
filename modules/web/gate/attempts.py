"""Slows down whoever guesses passwords: every failure after the first few doubles the wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from modules.web.gate.addresses import is_this_machine, network

FREE_FAILURES = 5
"""Typing errors that cost nothing."""
LONGEST_WAIT = 900.0
FORGIVEN_AFTER = 3600.0
"""Seconds without a failure after which an address begins anew."""
MAX_ADDRESSES = 4096
MAX_FAILURES_PER_MINUTE = 120
"""Of all addresses together; beyond it all other machines wait: many addresses gain nothing."""


@dataclass
class _Record:
    failures: int = 0
    last: float = 0.0


@dataclass
class Attempts:
    """Failed logins by address."""

    now: Callable[[], float] = time.monotonic
    _records: OrderedDict[str, _Record] = field(default_factory=OrderedDict)
    _minute: tuple[float, int] = (0.0, 0)

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        now = self.now()
        begun, failures = self._minute
        crowded = failures >= MAX_FAILURES_PER_MINUTE and not is_this_machine(address)
        common = begun + 60.0 - now if crowded else 0.0
        record = self._records.get(network(address))
        if record is None or record.failures < FREE_FAILURES:
            return max(0.0, common)
        pause = min(LONGEST_WAIT, 2.0 ** (record.failures - FREE_FAILURES))
        return max(0.0, common, record.last + pause - now)

    def failed(self, address: str) -> int:
        """Note a failure; gives how many this address has had."""
        now, key = self.now(), network(address)
        record = self._records.pop(key, None)
        if record is None or now - record.last > FORGIVEN_AFTER:
            record = _Record()
        record.failures += 1
        record.last = now
        self._records[key] = record
        while len(self._records) > MAX_ADDRESSES:
            self._records.popitem(last=False)
        begun, failures = self._minute
        self._minute = (begun, failures + 1) if now - begun < 60.0 else (now, 1)
        return record.failures

    def succeeded(self, address: str) -> None:
        """Someone of this address knew the password."""
        self._records.pop(network(address), None)
