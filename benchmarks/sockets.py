"""One stream to many subscribers, as an event stream and over WebSockets: by turns, in one process; only ours can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

from benchmarks.checks import same
from benchmarks.fan_out import EVENTS, SAID, TEXT, publish_at_a_pace, say
from benchmarks.load import Connection, Count, connect, subscribe
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from benchmarks.usage import Usage

SUBSCRIBE = b'{"type":"subscribe","stream":"broadcast"}'
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
MASKED = b"\x81" + bytes((0x80 | len(SUBSCRIBE),)) + bytes(4) + SUBSCRIBE
"""The request in a frame, whose mask of zeros leaves it as it is."""
FIRST = 20


@dataclass(frozen=True)
class Way:
    """How to subscribe, and what stands once in each event."""

    opened: bytes
    event: bytes


STREAM = Way(EVENTS, b"\nid: ")
SOCKET = Way(UPGRADE + MASKED, b'{"id":"')


async def by_turns(server: Server, sizes: Sizes) -> dict[str, float]:
    """Publish messages at a fixed rate to subscribers of either kind, each kind twice."""
    await _check(server)
    taken: dict[Way, list[float]] = {STREAM: [], SOCKET: []}
    for way in (STREAM, SOCKET, SOCKET, STREAM):
        taken[way].append(await _tell(server, sizes, way))
    socket, stream = mean(taken[SOCKET]), mean(taken[STREAM])
    return {"us_per_event": socket, "us_per_event_of_streams": stream, "ratio": socket / stream}


async def _tell(server: Server, sizes: Sizes, way: Way) -> float:
    """Return the microseconds of CPU that an event takes for each of many subscribers."""
    count = Count(way.event)
    subscribers = await subscribe(server.port, way.opened, count, sizes.subscribers)
    await asyncio.sleep(sizes.settle_seconds)
    publisher = Connection(Count(SAID))
    await connect(server.port, [publisher])
    goal = sizes.paced_messages * sizes.subscribers
    with Usage(server) as usage:
        await publish_at_a_pace(publisher, sizes.paced_messages, sizes.messages_per_second)
        await count.reaches(goal)
    for connection in [*subscribers, publisher]:
        connection.close()
    return usage.cpu / goal * 1e6


async def _check(server: Server) -> None:
    """Prove that a WebSocket gets every message whole and in order, and that each is counted once."""
    count = Count(SOCKET.event)
    [watcher] = await subscribe(server.port, SOCKET.opened, count, 1, keep=True)
    texts = [TEXT.format(number) for number in range(FIRST)]
    answers = Count(SAID)
    publisher = Connection(answers)
    await connect(server.port, [publisher])
    for number in range(FIRST):
        publisher.send(say(number))
        await answers.reaches(number + 1)
    await count.reaches(FIRST)
    same([message["text"] for message in _messages(watcher) if "id" in message], texts)
    for connection in (watcher, publisher):
        connection.close()


def _messages(connection: Connection) -> Iterator[dict[str, str]]:
    """Yield the messages that a connection has kept behind its handshake; none is longer than 64 KiB."""
    assert connection.kept is not None
    _, _, body = b"".join(connection.kept).partition(b"\r\n\r\n")
    while body:
        start, length = (2, body[1]) if body[1] < 126 else (4, int.from_bytes(body[2:4], "big"))
        yield json.loads(body[start : start + length])
        body = body[start + length :]
