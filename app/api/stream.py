"""Writes streams to sockets: our own ASGI response. One loop serves every stream; a `Feed` says what it sends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from litestar.types import Receive, Scope, Send

from app.api.wire import TAKE_OVER, ServerWire, Wire
from app.errors import NotFound, NotStoring, TooMany
from app.tail import Batch, Listener

logger = logging.getLogger(__name__)

PING_SECONDS = 15.0

_HEADERS = ((b"cache-control", b"no-store, no-transform"), (b"x-accel-buffering", b"no"))

Farewell = Literal["deleted", "drain", "overloaded", "idle"]
"""Why a stream is over; `idle` is the one that was asked for, and needs no word."""


class Streams:
    """How many streams are open, long polls among them, and how many may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep the place of a stream for a call that waits. Raises `TooMany`."""
        if self.open >= self.limit:
            raise TooMany(f"{self.limit} streams are open, which is the limit.")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class Unfinished(Exception):
    """A stream has to end early, and its dialect has no word for that: the connection is cut instead."""


class Feed(Protocol):
    """What one stream sends; bytes may be empty."""

    content_type: str

    @property
    def listeners(self) -> dict[Listener, None]:
        """Where to listen for whatever makes `poll` or `farewell` worth another call."""

    async def opening(self) -> bytes:
        """Return what is sent first."""

    async def poll(self) -> Iterable[bytes] | None:
        """Return the next frames in pieces, and move behind them; None only at the head."""

    def ready(self, batch: Batch) -> bytes | None:
        """Return the shared chunk of a batch, and move behind it; None where `poll` must do it."""

    def glance(self) -> bytes | None:
        """Return a shared chunk that is due beside the events; None where `poll` and `farewell` must be asked."""

    def ping(self) -> bytes:
        """Return what keeps a quiet stream open."""

    def farewell(self) -> Farewell | None:
        """Return why the stream is over at its head; None while it goes on."""

    def bye(self, reason: Farewell) -> bytes:
        """Return what is sent before a clean end. Raises `Unfinished` where that would pass for the whole."""

    def close(self) -> None:
        """Let go of what the stream holds."""


class Stream:
    """The ASGI response of one stream, or of several on one connection. It owns their feeds."""

    def __init__(
        self, streams: Streams, *feeds: Feed, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.feeds = list(feeds)
        """Those that are not over."""
        self.resting = False
        """Whether everything is sent and nothing but a wake-up is waited for, so that the pass may write."""
        self.woken = asyncio.Event()
        self.wire: Wire
        self._streams = streams
        self._watches: dict[Feed, Watch] = {}
        self._status = status
        self._headers = headers or {}
        self._overloaded = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream until it is over or the client is gone.

        Under our own server the connection is taken over: this returns at once, and the stream goes on without the
        frames and the objects of a request.
        """
        self._streams.open += len(self.feeds)
        self._overloaded = self._streams.open > self._streams.limit
        extensions: Mapping[str, Any] = scope.get("extensions") or {}
        take_over = extensions.get(TAKE_OVER)
        if not take_over:
            try:
                self.wire = wire = self._plain_wire(receive, send)
                await wire.run(self._run())
            finally:
                self._close()
        elif taken := take_over():
            self.wire = taken
            # Not in a `finally` of the coroutine: one that is cancelled before its first step never gets there.
            taken.run(self._run()).add_done_callback(self._close)
        else:
            self._close()

    def _plain_wire(self, receive: Receive, send: Send) -> ServerWire:
        return ServerWire(receive, send)

    def _close(self, *_: Any) -> None:
        for feed in tuple(self.feeds):
            self._leave(feed)

    def _leave(self, feed: Feed) -> None:
        """Let go of a feed that is over, also where others go on."""
        self.feeds.remove(feed)
        if watch := self._watches.pop(feed, None):
            del feed.listeners[watch]
        feed.close()
        self._streams.open -= 1

    async def _run(self) -> None:
        await self._start()
        try:
            if self._overloaded:
                await self._say_bye(dict.fromkeys(self.feeds, "overloaded"))
            else:
                await self._listen()
        except Unfinished:
            await self.wire.abort()
        except Exception:
            logger.exception("a stream has failed")
            await self.wire.abort()  # or it would stay open, and silent
        await self.wire.end()

    async def _start(self) -> None:
        given = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        content_type = (b"content-type", self.feeds[0].content_type.encode())
        await self.wire.start(self._status, [content_type, *_HEADERS, *given])

    def _watch(self, feed: Feed) -> None:
        self._watches[feed] = watch = Watch(self, feed)
        feed.listeners[watch] = None

    async def _listen(self) -> None:
        for feed in self.feeds:
            self._watch(feed)
        try:
            await self._follow()
        except (NotFound, NotStoring):
            # The response has started: what can still be said is said in the stream, and the client comes back.
            await self._say_bye({feed: feed.farewell() or "overloaded" for feed in self.feeds})

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + PING_SECONDS
        await self.wire.write(b"".join([await feed.opening() for feed in self.feeds]))
        while self.feeds:
            self.woken.clear()  # before every look: a wake-up from here on is not lost
            if loop.time() >= ping_at:
                await self._ping()
                ping_at = loop.time() + PING_SECONDS
            if await self._look() and self.feeds:
                await self._rest(ping_at)

    async def _ping(self) -> None:
        await self.wire.write(b"".join([feed.ping() for feed in self.feeds]))

    async def _look(self) -> bool:
        """Send what is next on each stream, and let go of those that are over; says whether that was nothing."""
        over: dict[Feed, Farewell] = {}
        at_rest = True
        for feed in self.feeds:
            try:
                pieces = await feed.poll()
            except NotFound:
                pieces = None  # deleted under a reader who was behind: what was to come is gone, and it is over
                if not feed.farewell():
                    raise
            if pieces is not None:
                at_rest = False
                for piece in pieces:
                    await self.wire.write(piece)
            # Nothing awaits between the read that found the head and this look, so nothing can be left unsent.
            elif reason := feed.farewell():
                over[feed] = reason
        # Streams that drain stay as long as another one on their connection does.
        if len(over) < len(self.feeds):
            over = {feed: reason for feed, reason in over.items() if reason != "drain"}
        await self._say_bye(over)
        for feed in over:
            self._leave(feed)
        return at_rest

    async def _say_bye(self, over: Mapping[Feed, Farewell]) -> None:
        await self.wire.write(b"".join([feed.bye(reason) for feed, reason in over.items()]))

    async def _rest(self, deadline: float) -> None:
        self.resting = True
        try:
            async with asyncio.timeout_at(deadline):
                await self.woken.wait()
        except TimeoutError:
            pass
        finally:
            self.resting = False


class Watch:
    """A feed on a connection, in the pass: it writes the chunk that is made once for all of them."""

    __slots__ = ("_stream", "feed")

    def __init__(self, stream: Stream, feed: Feed) -> None:
        self.feed = feed
        self._stream = stream

    def take(self, batch: Batch) -> None:
        """Write a batch at once, or leave it to the loop."""
        stream = self._stream
        if stream.resting and stream.wire.has_room and (chunk := self.feed.ready(batch)) is not None:
            stream.wire.put(chunk)
            if not batch.may_end:
                return
        stream.woken.set()

    def look(self) -> None:
        """Write what is due beside the events at once, or go back to the loop."""
        stream = self._stream
        if stream.resting and stream.wire.has_room and (chunk := self.feed.glance()) is not None:
            stream.wire.put(chunk)
        else:
            stream.woken.set()
