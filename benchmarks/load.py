"""The load: connections that count what comes and parse nothing, the same for every server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import cast

END = b"0\r\n\r\n"
"""The last bytes of a chunked answer."""
IN_FLIGHT = 250
"""How many connections may be opening at a time: fewer than any server's backlog, which would drop the rest."""
PATIENCE = 60.0


class Count:
    """What all connections of one measurement have seen of one marker, and a wish for how many."""

    def __init__(self, marker: bytes) -> None:
        self.marker = marker
        self.total = 0
        self.last = 0.0
        """When the last one came (monotonic)."""
        self._goal: int | None = None
        self._reached = asyncio.Event()

    def add(self, number: int) -> None:
        self.total += number
        self.last = time.monotonic()
        if self._goal is not None and self.total >= self._goal:
            self._reached.set()

    async def reaches(self, goal: int, within: float = PATIENCE) -> None:
        """Wait until so many have come. Raises `TimeoutError` that says how far it got."""
        self._goal = goal
        self._reached.clear()
        if self.total >= goal:
            return
        try:
            async with asyncio.timeout(within):
                await self._reached.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.total} of {goal} events came within {within:.0f} s") from None


class Connection(asyncio.Protocol):
    """A client: it sends requests, and counts a marker in what comes back.

    `kept` holds all bytes, for a check, and `times` the monotonic time and count of every read, where they are asked
    for. `on_first` and `on_end` are called at an answer's first marker and at its end.
    """

    def __init__(self, count: Count, *, keep: bool = False, timed: bool = False) -> None:
        self.count = count
        self.seen = 0
        self.kept: list[bytes] | None = [] if keep else None
        self.times: list[tuple[float, int]] | None = [] if timed else None
        self.opened = asyncio.get_running_loop().create_future()
        self.on_first: Callable[[], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._overlap = max(len(count.marker) - 1, len(END))
        self._end = b""
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.opened.done():
            self.opened.set_result(None)
        if self.on_end:
            self.on_end()

    def send(self, request: bytes) -> None:
        """Send a request."""
        assert self._transport
        self._waits = True
        self._transport.write(request)

    def close(self) -> None:
        self.on_end = None
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        marker, overlap = self.count.marker, self._overlap
        seam = self._end + data[:overlap]
        number = data.count(marker)
        if self._end:
            # What lies across the seam, without what lies on either side of it.
            number += seam.count(marker) - self._end.count(marker) - data[:overlap].count(marker)
        self._end = data[-overlap:] if len(data) >= overlap else seam[-overlap:]
        if number:
            self.seen += number
            self.count.add(number)
            if self._waits and self.on_first:
                self._waits = False
                self.on_first()
        if self.kept is not None:
            self.kept.append(data)
        if self.times is not None:
            self.times.append((time.monotonic(), self.seen))
        if not self.opened.done():
            self.opened.set_result(None)
        if self.on_end and self._end.endswith(END):
            self.on_end()


async def connect(port: int, connections: Iterable[Connection], requests: Iterable[bytes] | None = None) -> None:
    """Connect all of them, a few hundred at a time, and wait until each has been answered where it sends a request."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(connection: Connection, request: bytes | None) -> None:
        async with room:
            await loop.create_connection(lambda: connection, "127.0.0.1", port)
            if request is not None:
                connection.send(request)
                await connection.opened

    pairs = (
        ((connection, None) for connection in connections)
        if requests is None
        else zip(connections, requests, strict=False)
    )
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        for connection, request in pairs:
            tasks.create_task(one(connection, request))


async def subscribe(port: int, path_request: bytes, count: Count, number: int, **more: bool) -> list[Connection]:
    """Open so many streams of one path."""
    connections = [Connection(count, **more) for _ in range(number)]
    await connect(port, connections, (path_request for _ in connections))
    return connections
