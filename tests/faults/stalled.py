"""A reader that connects, asks, and never reads; its small receive buffer fills at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.server import Server
from tests.support.sse import EventStream

RECEIVE_BUFFER = 4096


class Stalled:
    """The connection; nothing reads it until `wake` makes an ordinary stream of it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    @property
    def held(self) -> bool:
        """Whether bytes wait that were never read."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    async def wake(self) -> EventStream:
        """Begin to read."""
        reader, writer = await asyncio.open_connection(sock=self.connection.dup())
        stream = EventStream(reader, writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        stream.status = int(head[0].split()[1])
        stream.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        return stream


@asynccontextmanager
async def stalled_reader(server: Server, path: str, cursor: str = "") -> AsyncIterator[Stalled]:
    """Ask for a stream and read nothing of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.setblocking(False)
    with connection:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", server.port))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nLast-Event-ID: {cursor}\r\n\r\n"
        await loop.sock_sendall(connection, request.encode())
        yield Stalled(connection)
