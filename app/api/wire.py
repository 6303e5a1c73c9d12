"""One connection while it carries a stream: our own way to its transport, and the way through any ASGI server."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import anyio
from litestar.types import Receive, Send
from uvicorn.server import ServerState

STALL_SECONDS = 30.0
"""A peer that takes no byte for so long is gone, or pretends to be there."""
MAX_BEHIND_BYTES = 64 * 1024
"""How much a client may send behind the request that it has a stream for; nobody reads it."""
SLOWEST_BODY = 16 * 1024
"""How many bytes of a body, or of a message, have to come in a second, after the first ten."""
TAKE_OVER = "tickertape.take_over"
"""The ASGI extension by which our server hands a connection over: call it for a wire, None when it is gone."""
EXTRA_HEADERS = "tickertape.headers"
"""Beside it, the headers that the wire sends before those of the stream."""

Header = tuple[bytes, bytes]


class Wire(Protocol):
    """The sending side of one connection."""

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of the response."""

    async def write(self, body: bytes) -> None:
        """Send a piece of the body, and wait until there is room for the next one."""

    async def end(self) -> None:
        """Send the end of the response."""

    async def abort(self) -> None:
        """Cut the connection, so that nobody takes what was sent for the whole. Does not return."""

    @property
    def has_room(self) -> bool:
        """Whether `put` may be called."""

    def put(self, chunk: bytes) -> None:
        """Write a ready-made chunk of an HTTP/1.1 body at once: what the pass does."""


class TransportWire(asyncio.Protocol):
    """A connection that was taken over from the HTTP protocol, as an upgrade to WebSocket does.

    What reads and answers requests is gone while the stream lasts, and so is its memory; `read_on` makes it anew for
    the next request. It is None where there can be none: the stream then ends with the connection.
    """

    __slots__ = ("_behind", "_chunked", "_headers", "_read_on", "_room", "_server", "_task", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        server: ServerState,
        *,
        chunked: bool,
        read_on: Callable[[asyncio.Transport], None] | None,
        headers: Sequence[Header] = (),
    ) -> None:
        self._transport = transport
        self._server = server
        self._chunked = chunked
        self._read_on = read_on
        self._headers = headers
        self._behind = 0
        self._room: asyncio.Event | None = None
        """Set when the transport takes more; None while it does."""
        self._task: asyncio.Task[None] | None = None
        server.connections.add(self)  # type: ignore[arg-type]
        transport.set_protocol(self)
        transport.resume_reading()  # or a client that is gone would not be noticed

    def run(self, stream: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what writes to this connection; it is cancelled when the client is gone."""
        self._task = asyncio.get_running_loop().create_task(stream)
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._server.tasks.discard)
        return self._task

    # The sending side

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of the response."""
        framing = (b"transfer-encoding", b"chunked") if self._chunked else (b"connection", b"close")
        lines = [
            b"%b: %b\r\n" % header for header in (*self._server.default_headers, *self._headers, *headers, framing)
        ]
        await self._send(b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, HTTPStatus(status).phrase.encode(), b"".join(lines)))

    async def write(self, body: bytes) -> None:
        """Send a piece of the body, and wait until there is room for the next one."""
        if body:
            await self._send(make_chunk(body) if self._chunked else body)

    async def end(self) -> None:
        """Send the end of the response, and let the connection take the next request."""
        if self._chunked:
            await self._send(b"0\r\n\r\n")
        if self._read_on is None or self._behind or self._transport.is_closing():
            self._transport.close()
            return
        self._server.connections.discard(self)
        self._read_on(self._transport)

    async def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()
        await asyncio.get_running_loop().create_future()  # until `connection_lost` cancels us

    @property
    def has_room(self) -> bool:
        """Whether a chunk can be written at once; never where this version of HTTP has no chunks."""
        return self._room is None and self._chunked and not self._transport.is_closing()

    def put(self, chunk: bytes) -> None:
        """Write a ready-made chunk at once."""
        self._transport.write(chunk)

    async def _send(self, data: bytes) -> None:
        self._transport.write(data)
        while (room := self._room) is not None:
            unsent = count_unsent(self._transport)
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await room.wait()
            except TimeoutError:
                if count_unsent(self._transport) >= unsent:
                    await TransportWire.abort(self)  # who takes nothing takes no word of an end, either

    # What the transport calls

    def pause_writing(self) -> None:
        """Note that the transport holds enough."""
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        """Note that the transport takes more."""
        if self._room:
            self._room.set()
            self._room = None

    def data_received(self, data: bytes) -> None:
        """Read past what is sent behind the request."""
        self._behind += len(data)
        if self._behind > MAX_BEHIND_BYTES:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End the stream: nobody reads it."""
        self._server.connections.discard(self)
        if self._task:
            self._task.cancel()

    def shutdown(self) -> None:
        """Cut what has not ended in its time; uvicorn asks every connection for it at its end."""
        self._transport.abort()


class ServerWire:
    """A connection as any ASGI server offers it: without the pass, and without an eye on peers that take nothing."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def run(self, stream: Coroutine[Any, Any, None]) -> None:
        """Run what writes to this connection; it is cancelled when the client is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_gone, tasks.cancel_scope)
            await stream
            tasks.cancel_scope.cancel()

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of the response."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes) -> None:
        """Send a piece of the body, and wait until there is room for the next one."""
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """Send the end of the response."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def abort(self) -> None:
        """Fail: servers cut the connection of an application that fails in mid-response."""
        raise ConnectionAbortedError("The stream had to end before its reply.")

    has_room = False

    def put(self, chunk: bytes) -> None:
        """Never called: chunks are the server's affair."""
        raise NotImplementedError

    async def _cancel_when_gone(self, scope: anyio.CancelScope) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


def count_unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the peer has not taken: ours, and those that the kernel holds for it.

    A slow reader empties the kernel's buffer long before ours begins to shrink.
    """
    held = bytearray(4)
    if (connection := transport.get_extra_info("socket")) is not None:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, held)
    return transport.get_write_buffer_size() + int.from_bytes(held, sys.byteorder)


def make_chunk(body: bytes) -> bytes:
    """Return a piece of a chunked HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(body), body)
