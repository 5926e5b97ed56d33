"""A hundred clients for a minute while pictures are made: who waits how long, and does anything
break?

60 ask for the progress twice a second, as A1111's page and scripts do; 15 read lists, settings,
jobs and finished pictures; 10 open the page with its scripts; 10 listen to the live channel; 5 have
pictures made and wait for them. The clients run in a process of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.plan import ROOT, Plan
from benchmarks.server import serving

SECONDS = 60.0
CLIENTS = {"progress": 60, "readers": 15, "pages": 10, "listeners": 10, "painters": 5}
READ = (
    "/sdapi/v1/options",
    "/sdapi/v1/samplers",
    "/sdapi/v1/sd-models",
    "/sdapi/v1/memory",
    "/easel/v1/jobs",
    "/easel/v1/state",
    "/easel/v1/settings",
    "/internal/ping",
)
PICTURE = {"prompt": "a red apple", "steps": 30, "width": 128, "height": 128, "save_images": True}


@dataclass
class Tally:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    progress_while_working: list[float] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    """Connections that ended otherwise than with an answer."""
    messages: int = 0


def measure(plan: Plan) -> dict[str, object]:
    """A minute of it."""
    return load(plan, SECONDS)


def load(plan: Plan, seconds: float) -> dict[str, object]:
    """Start a server and let the clients at it for so many seconds."""
    with serving(plan.data / "load", plan, "--test-mode") as server:
        command = [sys.executable, "-m", "benchmarks.load", str(server.port), str(seconds)]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(finished.stdout)
    return found


async def clients(port: int, seconds: float, counts: Mapping[str, int] = CLIENTS) -> Tally:
    """All of them at once; ``counts`` says how many of each kind."""
    tally, end = Tally(), time.monotonic() + seconds
    kinds: dict[str, Callable[[int, float, Tally, random.Random], Awaitable[None]]] = {
        "progress": _ask_progress,
        "readers": _read,
        "pages": _open_page,
        "listeners": _listen,
        "painters": _paint,
    }
    numbers = itertools.count()
    everybody = [
        kinds[kind](port, end, tally, random.Random(next(numbers)))
        for kind, count in counts.items()
        for _ in range(count)
    ]
    await asyncio.gather(*everybody)
    return tally


async def _ask_progress(port: int, end: float, tally: Tally, chance: random.Random) -> None:
    async def ask(line: Line) -> None:
        begun = time.perf_counter()
        answer = await line.ask("GET", "/sdapi/v1/progress?skip_current_image=true")
        if answer["state"]["job"]:
            tally.progress_while_working.append(time.perf_counter() - begun)

    await _again_and_again(port, end, tally, chance, "progress", 0.5, ask)


async def _read(port: int, end: float, tally: Tally, chance: random.Random) -> None:
    async def ask(line: Line) -> None:
        await line.ask("GET", chance.choice(READ))
        jobs = await line.ask("GET", "/easel/v1/jobs?limit=1&state=done")
        if jobs["jobs"]:
            job = await line.ask("GET", f"/easel/v1/jobs/{jobs['jobs'][0]['id']}")
            for image in job["images"]:
                await line.ask("GET", f"{image['url']}/thumb")

    await _again_and_again(port, end, tally, chance, "readers", 0.5, ask)


async def _open_page(port: int, end: float, tally: Tally, chance: random.Random) -> None:
    seen: set[str] = set()

    async def ask(line: Line) -> None:
        page = await line.ask("GET", "/")
        parts = {
            path.replace("&amp;", "&") for path in re.findall(r'(?:src|href)="(/[^"]+)"', page)
        }
        for path in sorted(parts - seen):  # a browser keeps what it has
            await line.ask("GET", path)
        seen.update(parts)
        await line.ask("GET", "/easel/page/state")

    await _again_and_again(port, end, tally, chance, "pages", 5.0, ask)


async def _paint(port: int, end: float, tally: Tally, chance: random.Random) -> None:
    async def ask(line: Line) -> None:
        await line.ask("POST", "/sdapi/v1/txt2img", {**PICTURE, "seed": chance.randrange(10**6)})

    await _again_and_again(port, end, tally, chance, "painters", 0.1, ask)


async def _listen(port: int, end: float, tally: Tally, chance: random.Random) -> None:
    from websockets.asyncio.client import connect

    try:
        async with connect(f"ws://127.0.0.1:{port}/live/ws", max_size=2**24) as socket:
            while time.monotonic() < end:
                await asyncio.wait_for(socket.recv(), 30)
                tally.messages += 1
    except Exception as error:
        tally.broken[f"live: {type(error).__name__}"] += 1


class Line:
    """One kept connection of a client."""

    def __init__(self, port: int, kind: str, tally: Tally) -> None:
        self._port, self._kind, self._tally = port, kind, tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer, as JSON where it is; its time and status are counted."""
        begun = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(answer.split(" ", 2)[1])
        fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:-2])
        content = await _content(reader, fields)
        self._tally.statuses[status] += 1
        self._tally.seconds.setdefault(self._kind, []).append(time.perf_counter() - begun)
        if fields.get("connection") == "close":
            await self.close()
        is_json = fields.get("content-type", "").startswith("application/json")
        return json.loads(content) if is_json else content.decode("utf-8", "replace")

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _content(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    content = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return content


async def _again_and_again(
    port: int,
    end: float,
    tally: Tally,
    chance: random.Random,
    kind: str,
    pause: float,
    ask: Callable[[Line], Awaitable[None]],
) -> None:
    await asyncio.sleep(chance.uniform(0, 1.0))
    line = Line(port, kind, tally)
    while time.monotonic() < end:
        try:
            await ask(line)
        except (OSError, EOFError, ValueError, KeyError) as error:
            tally.broken[f"{kind}: {type(error).__name__}"] += 1
            await line.close()
        await asyncio.sleep(pause * chance.uniform(0.5, 1.5))
    await line.close()


def report(tally: Tally) -> dict[str, object]:
    """The figures."""
    working = tally.progress_while_working
    return {
        "load_clients": sum(CLIENTS.values()),
        "load_requests": sum(tally.statuses.values()),
        "load_5xx": sum(count for status, count in tally.statuses.items() if status >= 500),
        "load_statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
        "load_broken_connections": dict(tally.broken),
        "load_live_messages": tally.messages,
        "load_progress_while_working": len(working),
        "load_progress_p50_ms": _rank(working, 0.50),
        "load_progress_p99_ms": _rank(working, 0.99),
        "load_progress_max_ms": _rank(working, 1.0),
        "load_p99_ms": {kind: _rank(found, 0.99) for kind, found in tally.seconds.items()},
    }


def _rank(seconds: list[float], share: float) -> float | None:
    """A percentile, in milliseconds."""
    if not seconds:
        return None
    return round(1000 * sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)], 1)


if __name__ == "__main__":
    found = asyncio.run(clients(int(sys.argv[1]), float(sys.argv[2])))
    sys.stdout.write(json.dumps(report(found)))
