"""``/live/ws``: a snapshot at once, then news as they happen; nothing is accepted from the client.

Text frames are JSON objects with a ``type``. A binary frame is a preview: four bytes with the
length of a JSON header (big endian), the header, then the encoded image.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from modules.jobs.fanout import Message, Subscription
from modules.web.context import AppContext

log = logging.getLogger("easel.live")

MAX_SOCKETS = 64
PING_LIMIT = 1024
SEND_SECONDS = 30.0
"""A client that takes nothing for this long is disconnected."""


def live_router(context: AppContext) -> APIRouter:
    """The WebSocket route."""
    router = APIRouter()
    open_sockets: set[WebSocket] = set()

    @router.websocket("/live/ws")
    async def live(socket: WebSocket) -> None:
        if len(open_sockets) >= MAX_SOCKETS:
            await socket.close(1013, "too many open pages")
            return
        await socket.accept()
        open_sockets.add(socket)
        try:
            await _serve(socket, context)
        finally:
            open_sockets.discard(socket)

    return router


async def _serve(socket: WebSocket, context: AppContext) -> None:
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed when the program ends
            loop.call_soon_threadsafe(news.set)

    # Subscribe before the snapshot is taken: something may be told twice, nothing is missed.
    subscription = context.jobs.subscribe(wake)
    reader = asyncio.create_task(_read(socket))
    writer = asyncio.create_task(_write(socket, context, subscription, news))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        subscription.close()
        for task in (reader, writer):
            task.cancel()
        for outcome in await asyncio.gather(reader, writer, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, _GONE):
                log.error("live channel: %r", outcome, exc_info=outcome)


_GONE = (WebSocketDisconnect, RuntimeError, OSError, asyncio.TimeoutError)


async def _read(socket: WebSocket) -> None:
    while True:
        text = await socket.receive_text()
        if len(text) > PING_LIMIT:
            await socket.close(1009)
            return
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(text)
            if isinstance(message, dict) and message.get("type") == "ping":
                await socket.send_text('{"type":"pong"}')


async def _write(
    socket: WebSocket, context: AppContext, subscription: Subscription, news: asyncio.Event
) -> None:
    snapshot = await asyncio.to_thread(state_json, context)
    await _send(socket, Message(snapshot))
    preview = current_preview(context)
    if preview is not None:
        await _send(socket, preview)
    while True:
        await news.wait()
        news.clear()
        for message in subscription.drain():
            await _send(socket, message)


async def _send(socket: WebSocket, message: Message) -> None:
    if message.blob is None:
        frame = socket.send_text(dump(message.body))
    else:
        header = dump(message.body).encode()
        frame = socket.send_bytes(struct.pack(">I", len(header)) + header + message.blob)
    await asyncio.wait_for(frame, SEND_SECONDS)


def dump(body: dict[str, Any]) -> str:
    """JSON that every browser reads: no NaN, half characters escaped."""
    return json.dumps(body, allow_nan=False, separators=(",", ":"))


def state_json(context: AppContext) -> dict[str, Any]:
    """All a page needs to draw itself: the queue, what runs, the model, the engine."""
    jobs = context.jobs
    snapshot = jobs.snapshot()
    running = None if snapshot.job is None else progress_json(snapshot)
    recent = jobs.recent(20)
    return {
        "type": "snapshot",
        "version": context.version,
        "boot": context.boot,
        "server_started": context.started,
        "paused": jobs.paused,
        "held": jobs.storage.to_json(),
        "queue": (queue := jobs.briefs()),
        "aside": jobs.paused_briefs(),
        "running": running,
        "progress": running,
        "recent": [jobs.describe(record) for record in recent[:1]],
        "jobs": queue + [jobs.brief(record) for record in reversed(recent)],
        "model": jobs.engine.model.to_json(),
        "engine": jobs.engine.engine_json(),
        "notices": context.notices.to_json(),
    }


def progress_json(snapshot: Any) -> dict[str, Any]:
    """A progress message's body without its type."""
    return {**snapshot.to_json(), "id": snapshot.job, "n_iter": snapshot.iterations}


def current_preview(context: AppContext) -> Message | None:
    """The newest preview of the running job, as a message."""
    snapshot = context.jobs.snapshot()
    if snapshot.preview is None:
        return None
    header = {
        "type": "preview",
        "job": snapshot.job,
        "step": snapshot.step,
        "preview_id": snapshot.preview_id,
        "mime": snapshot.preview_mime,
    }
    return Message(header, snapshot.preview)
