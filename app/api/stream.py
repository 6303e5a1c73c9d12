"""Writes streams to sockets: our own ASGI response. One loop serves every stream; a `Feed` says what it sends."""

from __future__ import annotations

import asyncio
import fcntl
import random
import sys
import termios
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import anyio
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from app.codecs import sse
from app.errors import NotFound, NotStoring
from app.events import Record
from app.subscription import BEHIND, Subscription
from app.tail import Batch
from app.tails import Tails

PING_SECONDS = 15.0
STALL_SECONDS = 30.0
"""A peer that takes no byte for so long is gone, or pretends to be there."""
SEND_BYTES = 256 * 1024
"""About how much is handed to a socket at a time."""
MAX_UNSENT_BYTES = 64 * 1024
"""A connection with more than this unsent is left to its own loop, which waits for it."""
RETRY_MILLISECONDS = (1000, 3000)
"""Drawn per stream, so that a thousand clients that were cut off together do not return together."""
TRANSPORT = "tickertape.transport"
"""The ASGI extension by which our server offers a connection's transport."""

EVENT_STREAM = "text/event-stream; charset=utf-8"
_HEADERS = ((b"cache-control", b"no-store, no-transform"), (b"x-accel-buffering", b"no"))


class Streams:
    """How many streams are open, and how many may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0


class Unfinished(Exception):
    """A stream has to end early, and its dialect has no word for that: the connection is cut instead."""


class Feed(Protocol):
    """What one stream sends beside and around its events; bytes may be empty."""

    content_type: str
    shared: bool
    """Whether its events are sent as their native frames, all of them, so that the pass may do it."""
    subscription: Subscription
    finished: bool
    """Whether what was encoded last is the last thing of the stream."""

    async def opening(self) -> bytes:
        """Return what is sent first."""

    def encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        """Yield the frames of records, in pieces of about `SEND_BYTES`."""

    def notice(self) -> bytes:
        """Return the control frames that are due."""

    def ping(self) -> bytes:
        """Return what keeps a quiet stream open."""

    async def again(self) -> bytes:
        """Return what is sent where the next events are too many or gone, after moving the subscription."""

    def bye(self, reason: str) -> bytes:
        """Return what is sent before a clean end. Raises `Unfinished` where that would pass for the whole."""

    def farewell(self) -> bytes | None:
        """Return the last thing to send when the stream is over at its head; None while it goes on."""


class Stream:
    """The ASGI response of a stream. It holds the tail by itself, and leaves nothing behind when it returns."""

    def __init__(
        self, tails: Tails, streams: Streams, feed: Feed, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        tails.share(feed.subscription.tail)
        self._tails = tails
        self._streams = streams
        self._feed = feed
        self._status = status
        self._headers = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream until it is over or the client is gone."""
        self._streams.open += 1
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_when_gone, receive, tasks.cancel_scope)
                await self._write(_Socket(scope, send))
                tasks.cancel_scope.cancel()
        finally:
            self._streams.open -= 1
            self._tails.release(self._feed.subscription.tail)

    async def _write(self, socket: _Socket) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        await socket.start(self._status, [(b"content-type", self._feed.content_type.encode()), *_HEADERS, *headers])
        try:
            await self._write_all(socket)
        except Unfinished:
            await socket.abort()
        await socket.end()

    async def _write_all(self, socket: _Socket) -> None:
        if self._streams.open > self._streams.limit:
            await socket.write(self._feed.bye("overloaded"))
        else:
            try:
                await self._write_feed(socket)
            except (NotFound, NotStoring):
                # The response has started: what can still be said is said in the stream, and the client comes back.
                await socket.write(self._feed.bye("deleted" if self._feed.subscription.tail.deleted else "overloaded"))

    async def _write_feed(self, socket: _Socket) -> None:
        feed, subscription = self._feed, self._feed.subscription
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + PING_SECONDS
        await socket.write(await feed.opening())
        while True:
            changed = subscription.tail.changed  # armed before every look: see `Subscription`
            await socket.write(feed.notice())
            if loop.time() >= ping_at:
                await socket.write(feed.ping())
                ping_at = loop.time() + PING_SECONDS
            records = await subscription.poll()
            if records is BEHIND:
                await socket.write(await feed.again())
            elif records:
                for piece in feed.encode(records):
                    await socket.write(piece)
                if feed.finished:
                    return None
            # Nothing awaits between the read that found the head and this look, so nothing can be left unsent.
            elif (farewell := feed.farewell()) is not None:
                return await socket.write(farewell)
            else:
                await self._rest(socket, changed, ping_at)

    async def _rest(self, socket: _Socket, changed: asyncio.Event, deadline: float) -> None:
        """Wait at the head until there is something to do; in the pass where that is possible."""
        if not self._feed.shared or socket.transport is None or changed.is_set():
            return await _wait(changed, deadline)
        # Nothing has changed since the read, and nothing awaits from here on: the subscription is at the head.
        listener = Listening(socket.transport, self._feed.subscription)
        listeners = self._feed.subscription.tail.listeners
        listeners[listener] = None
        try:
            await _wait(listener.woken, deadline)
        finally:
            del listeners[listener]


class Listening:
    """A connection in the pass: it writes the HTTP chunk that is made once for all of them."""

    __slots__ = ("_subscription", "_transport", "woken")

    def __init__(self, transport: asyncio.WriteTransport, subscription: Subscription) -> None:
        self._transport = transport
        self._subscription = subscription
        self.woken = asyncio.Event()

    def take(self, batch: Batch) -> None:
        """Write a batch at once, where the subscription stands right before it and the connection has room."""
        subscription, transport = self._subscription, self._transport
        head = subscription.tail.head
        blocked = transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT_BYTES
        if blocked or subscription.after + len(batch.records) != head:
            self.woken.set()
            return
        if batch.encoded is None:
            batch.encoded = _chunk(sse.join(subscription.tail.epoch, batch.records))
        transport.write(batch.encoded)
        subscription.after = head
        if batch.may_end:
            self.woken.set()

    def look(self) -> None:
        """Go back to the loop."""
        self.woken.set()


class _Socket:
    """The sending side of one connection: it aborts a peer that takes nothing."""

    def __init__(self, scope: Scope, send: Send) -> None:
        extensions: Mapping[str, Any] = scope.get("extensions") or {}
        self.transport: asyncio.WriteTransport | None = extensions.get(TRANSPORT)
        self._send = send

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._put({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes) -> None:
        if body:
            await self._put({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def abort(self) -> None:
        """Cut the connection, so that nobody takes what was sent for the whole."""
        if self.transport:
            self.transport.abort()
            await asyncio.get_running_loop().create_future()  # until the disconnect cancels us

    async def _put(self, message: HTTPResponseStartEvent | HTTPResponseBodyEvent) -> None:
        if self.transport is None or not self.transport.get_write_buffer_size():
            return await self._send(message)
        while True:
            unsent = _unsent(self.transport)
            try:
                # Our server waits before it writes, so a send that times out has written nothing.
                async with asyncio.timeout(STALL_SECONDS):
                    return await self._send(message)
            except TimeoutError:
                if _unsent(self.transport) >= unsent:
                    await self.abort()


def _unsent(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes the peer has not taken: ours, and those that the kernel holds for it.

    A slow reader empties the kernel's buffer long before ours begins to shrink.
    """
    held = bytearray(4)
    if (connection := transport.get_extra_info("socket")) is not None:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, held)
    return transport.get_write_buffer_size() + int.from_bytes(held, sys.byteorder)


def _chunk(body: bytes) -> bytes:
    """Return a piece of a chunked HTTP/1.1 body, as uvicorn writes it."""
    return b"%x\r\n%b\r\n" % (len(body), body)


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _wait(changed: asyncio.Event, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await changed.wait()
    except TimeoutError:
        pass


def draw_retry() -> int:
    """Return a time to wait before a reconnect, in milliseconds."""
    return random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - spreads clients, guards nothing
