"""A connection on which a test writes bytes of its own, where clients would refuse to."""

from __future__ import annotations

import asyncio
import socket
from typing import Self

import httpx

from tests.api.watched import WatchedServer


class Raw:
    """An open connection: `send` bytes, read one `answer` after another."""

    def __init__(self, server: WatchedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.host = f"Host: 127.0.0.1:{server.port}\r\n".encode()

    @classmethod
    async def open(cls, server: WatchedServer, *, receive_buffer: int = 0) -> Self:
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", server.port))
        return cls(server, *await asyncio.open_connection(sock=connection, limit=2**20))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, line: str, *headers: str, body: bytes = b"") -> None:
        """Send a request with a proper Host."""
        lines = "".join(f"{header}\r\n" for header in headers)
        await self.send(f"{line} HTTP/1.1\r\n".encode() + self.host + lines.encode("latin-1") + b"\r\n" + body)

    def half_close(self) -> None:
        """Say that nothing more is sent."""
        self.writer.write_eof()

    async def answer(self, method: str = "GET") -> httpx.Response:
        """Read one answer; its body is of a length that it says."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split()[1])
            headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
            length = int(dict(headers).get("content-length", 0)) if method != "HEAD" else 0
            content = await self.reader.readexactly(length)
        return httpx.Response(status, headers=headers, content=content, request=httpx.Request(method, "http://raw/"))

    async def rest(self) -> bytes:
        """Read to the end of the connection."""
        async with asyncio.timeout(20):
            return await self.reader.read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
