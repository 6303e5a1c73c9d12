"""A client of the WebSocket, the official one, and frames that it would refuse to send."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import struct
from collections import deque
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.api.raw import Raw
from tests.support.server import Server

HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
)

CUT = 1006
"""The code of an end without any."""


class Socket:
    """An open WebSocket: ask, and read one message after another; `heard` holds all of them so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._ahead: deque[dict[str, Any]] = deque()

    @classmethod
    async def open(cls, server: Server, **options: Any) -> Self:
        url = f"ws://127.0.0.1:{server.port}/ws"
        return cls(await connect(url, proxy=None, max_size=None, ping_interval=None, **options))

    async def next(self, within: float = 60.0) -> dict[str, Any]:
        """Return the next message. Raises `ConnectionClosed`."""
        if self._ahead:
            return self._ahead.popleft()
        async with asyncio.timeout(within):
            message = json.loads(await self.connection.recv())
        self.heard.append(message)
        return message

    async def until(self, type: str, **fields: Any) -> dict[str, Any]:
        """Return the next message like this, passing over others."""
        while True:
            message = await self.next()
            if message["type"] == type and fields.items() <= message.items():
                return message

    async def send(self, type: str, **fields: Any) -> int:
        """Send a request, and return what it is called."""
        number = next(self._numbers)
        await self.connection.send(json.dumps({"type": type, "request": number, **fields}))
        return number

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer, or the error; what comes before that is read afterwards."""
        number = await self.send(type, **fields)
        before: list[dict[str, Any]] = []
        while (message := await self.next()).get("request") != number:
            before.append(message)
        self._ahead.extendleft(reversed(before))
        return message

    async def do(self, type: str, **fields: Any) -> Any:
        """Send a request, and return the body of its answer."""
        answer = await self.ask(type, **fields)
        assert answer["type"] == "answer", answer
        return answer["body"]

    async def subscribe(self, stream: str, cursor: str | None = None) -> dict[str, Any]:
        """Subscribe, and return the stream's `hello`."""
        assert await self.do("subscribe", stream=stream, cursor=cursor) == {"stream": stream}
        return await self.until("hello", stream=stream)

    def events(self, stream: str) -> list[dict[str, Any]]:
        """Return the events of a stream so far."""
        heard = (message for message in self.heard if message.get("stream") == stream)
        return [message for message in heard if "id" in message and message["type"] != "snapshot"]

    async def closed(self) -> int:
        """Read to the end, and return the code that the server has closed it with."""
        while True:
            try:
                await self.next()
            except ConnectionClosed as end:
                return end.rcvd.code if end.rcvd else CUT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()


async def open_raw(server: Any, *, receive_buffer: int = 0) -> Raw:
    """Open a socket on which anything can be sent."""
    raw = await Raw.open(server, receive_buffer=receive_buffer)
    await raw.ask("GET /ws", *HANDSHAKE)
    head = await raw.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return raw


def frame(opcode: int, data: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    return Frame(Opcode(opcode), data, fin).serialize(mask=True)


def text(**fields: Any) -> bytes:
    """Return a request as a client sends it."""
    return frame(Opcode.TEXT, json.dumps(fields).encode())


async def read_code(raw: Raw) -> int:
    """Read to the end of the connection, and return the code of the close frame that stands there."""
    said = await raw.rest()
    at = said.rindex(b"\x88")
    return int(struct.unpack("!H", said[at + 2 : at + 4])[0])


def stream_of(asked: dict[str, Any]) -> str:
    return f"conversation/{asked['conversation']['id']}"


def ids(asked: dict[str, Any]) -> dict[str, str]:
    """Return how a request names the reply of an answer."""
    return {"conversation_id": asked["conversation"]["id"], "reply_id": asked["reply"]["id"]}
