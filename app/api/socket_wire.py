"""One WebSocket: what is read and written on it, and how that goes through any ASGI server."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from litestar.types import Receive, Send
from websockets.frames import CloseCode

from app.api.wire import ServerWire, Wire

SOCKET_PATH = "/ws"


class Gone(Exception):
    """The client has left."""


class SocketWire(Wire, Protocol):
    """A wire on which messages come in, too. A body is lines here, and each is sent as a message of its own."""

    code: int
    """What it is closed with at its end."""

    async def accept(self, key: str, max_bytes: int) -> None:
        """Answer the handshake that brought this key; messages may have so many bytes."""

    async def receive(self) -> bytes:
        """Return the next message, a text in UTF-8. Whatever else comes closes the socket. Raises `Gone`."""


class ServerSocket(ServerWire):
    """A WebSocket as any ASGI server offers it: without the pass, and without an eye on peers that take nothing."""

    def __init__(self, receive: Receive, send: Send) -> None:
        super().__init__(receive, send)
        self.code: int = CloseCode.INTERNAL_ERROR
        self._max_bytes = 0

    async def run(self, stream: Coroutine[Any, Any, None]) -> None:
        """Run what writes to this socket; by reading on it, it notices when the client is gone."""
        with suppress(OSError):  # how servers tell whoever sends to a client that is gone
            await stream

    async def accept(self, key: str, max_bytes: int) -> None:  # noqa: ARG002 - the server knows the key
        """Answer the handshake."""
        self._max_bytes = max_bytes
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def write(self, body: bytes) -> None:
        """Send lines."""
        for line in body.splitlines():
            await self._send({"type": "websocket.send", "bytes": None, "text": line.decode()})

    async def receive(self) -> bytes:
        """Return the next message."""
        message: Any = await self._receive()
        if message["type"] != "websocket.receive":
            raise Gone
        text = message.get("text")
        if text is None:
            await self._close(CloseCode.UNSUPPORTED_DATA)
            raise Gone
        if len(data := text.encode()) > self._max_bytes:
            await self._close(CloseCode.MESSAGE_TOO_BIG)
            raise Gone
        return bytes(data)

    async def end(self) -> None:
        """Close the socket."""
        await self._close(self.code)

    async def abort(self) -> None:
        """Close the socket with what says that this was no proper end."""
        await self._close(CloseCode.INTERNAL_ERROR)
        raise Gone

    async def _close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": None})
