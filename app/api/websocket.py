"""The WebSocket: the native API on one connection, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from litestar import asgi
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.types import Receive, Scope, Send
from websockets.frames import CloseCode

from app.api.feeds import ControlFrames
from app.api.forms import LINES
from app.api.node import Node
from app.api.problems import tell
from app.api.requests import parse
from app.api.socket_requests import (
    SocketRequest,
    Subscribe,
    Unsubscribe,
    finished,
    message_limit,
    name_of,
    obey,
    read_request,
)
from app.api.socket_wire import SOCKET_PATH, Gone, ServerSocket, SocketWire
from app.api.stream import Farewell, Feed, Stream
from app.api.streams import check_name, open_feed
from app.codecs import lines
from app.errors import Invalid, NotFound, TooMany
from app.tail import Batch, Listener

_CODES: dict[Farewell, CloseCode] = {"drain": CloseCode.GOING_AWAY, "overloaded": CloseCode.TRY_AGAIN_LATER}
_UPGRADE = {"upgrade": "websocket", "sec-websocket-version": "13"}


@asgi(SOCKET_PATH, copy_scope=False)
async def open_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Open a WebSocket."""
    if scope["type"] == ScopeType.WEBSOCKET:
        await Socket(scope["litestar_app"].state.node, scope)(scope, receive, send)
    elif scope["method"] == "GET":
        raise HTTPException(status_code=426, headers=_UPGRADE)
    else:
        raise MethodNotAllowedException(headers={"allow": "GET"})


class Socket(Stream):
    """A client's WebSocket: the streams that it has subscribed to, and its requests, one at a time.

    The loop and the pass write the streams as on any connection. A request that adds or takes away a stream has both
    stand still for so long.
    """

    wire: SocketWire

    def __init__(self, node: Node, scope: Scope) -> None:
        self._own = _SocketFeed(node)
        super().__init__(node.streams, self._own)
        self._node = node
        self._key = next((value for name, value in scope["headers"] if name == b"sec-websocket-key"), b"").decode()
        self._names: dict[Feed, str] = {}
        """The streams that are subscribed to."""
        self._turn = asyncio.Lock()
        """Held by whoever looks at the feeds, or changes them."""

    def _plain_wire(self, receive: Receive, send: Send) -> ServerSocket:
        return ServerSocket(receive, send)

    async def _start(self) -> None:
        await self.wire.accept(self._key, message_limit(self._node.settings))

    async def _listen(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                await super()._listen()
                reading.cancel()
        except* Gone:
            pass

    async def _ping(self) -> None:
        async with self._turn:
            await super()._ping()

    async def _look(self) -> bool:
        async with self._turn:
            return await super()._look()

    async def _say_bye(self, over: Mapping[Feed, Farewell]) -> None:
        await super()._say_bye(over)
        if reason := over.get(self._own):
            self.wire.code = _CODES[reason]

    def _leave(self, feed: Feed) -> None:
        super()._leave(feed)
        self._names.pop(feed, None)

    # Requests

    async def _read(self) -> None:
        """Answer one request after the other. The next one is not read before the answer to this one is taken."""
        while True:
            self._own.busy = False
            if self._node.running.draining.is_set():
                self.woken.set()  # it may be over now
            message = await self.wire.receive()
            self._own.busy = True
            name = None
            try:
                value = await parse(message)
                name = name_of(value)
                await self._answer(read_request(value))
            except Gone:
                raise
            except Exception as error:  # noqa: BLE001 - told as HTTP does, a mistake of ours too
                await self.wire.write(_reply("error", name, tell(error)))

    async def _answer(self, asked: SocketRequest) -> None:
        match asked:
            case Subscribe():
                await self._subscribe(asked)
            case Unsubscribe():
                await self._unsubscribe(asked)
            case _:
                # A socket that is closed meanwhile leaves nothing half done.
                answer = await finished(obey(self._node, asked))
                await self.wire.write(_reply("answer", asked.request, answer))

    async def _subscribe(self, asked: Subscribe) -> None:
        check_name(asked.stream, "stream")
        async with self._standing_still():
            if asked.stream in self._names.values():
                raise Invalid("This stream is subscribed to already.", "stream")
            feed = await open_feed(self._node, asked.stream, asked.cursor or None, LINES)
            if self._streams.open >= self._streams.limit:
                feed.close()
                raise TooMany(f"{self._streams.limit} streams are open, which is the limit.")
            self._streams.open += 1
            self.feeds.append(feed)
            self._names[feed] = asked.stream
            self._watch(feed)
            try:
                opening = await feed.opening()
            except BaseException:
                self._leave(feed)
                raise
            await self.wire.write(_reply("answer", asked.request, {"body": {"stream": asked.stream}}) + opening)

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        async with self._standing_still():
            feed = next((feed for feed, name in self._names.items() if name == asked.stream), None)
            if feed is None:
                raise NotFound("This stream is not subscribed to.")
            self._leave(feed)
            await self.wire.write(_reply("answer", asked.request, {"body": {"stream": asked.stream}}))

    @asynccontextmanager
    async def _standing_still(self) -> AsyncIterator[None]:
        async with self._turn:
            self.resting = False
            try:
                yield
            finally:
                self.woken.set()


class _SocketFeed(ControlFrames):
    """What a socket sends that is of no stream: a ping, and a bye. It is over when the server drains."""

    def __init__(self, node: Node) -> None:
        super().__init__("", named=False, form=LINES)
        self.busy = False
        """Whether a request is under way, whose answer comes before the end."""
        self._running = node.running
        self.listeners: dict[Listener, None] = node.broadcast.tail.listeners
        """The channel's, for its tail stays as long as the server does, and little is said there."""

    async def opening(self) -> bytes:
        return b""

    async def poll(self) -> Iterable[bytes] | None:
        return None

    def ready(self, batch: Batch) -> bytes | None:  # noqa: ARG002 - the signature of all feeds
        return b""

    def glance(self) -> bytes | None:
        return None if self._running.draining.is_set() else b""

    def ping(self) -> bytes:
        return lines.control("ping", {})

    def farewell(self) -> Farewell | None:
        return "drain" if self._running.draining.is_set() and not self.busy else None

    def close(self) -> None:
        pass


def _reply(type: str, request: str | int | None, data: Mapping[str, Any]) -> bytes:
    return lines.control(type, data if request is None else {"request": request, **data})
