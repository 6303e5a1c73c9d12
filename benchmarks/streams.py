"""Many streams: what an idle one holds, a storm of joins, and reconnects after the server was killed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

from benchmarks.asking import ask
from benchmarks.checks import Wrong, frames, same
from benchmarks.fan_out import EVENTS, SAID, say
from benchmarks.load import PATIENCE, Connection, Count, connect, subscribe
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from benchmarks.usage import Usage

QUIET_SECONDS = 0.5
WARM_STREAMS = 50
CHECKED = 100
"""One connection in so many is read by a real parser."""
JOINED = re.compile(rb"data: (A|\d+) new users? joined!")


async def idle_on_broadcast(server: Server, sizes: Sizes) -> dict[str, float]:
    """Open streams of the broadcast channel, weigh the server, and prove with a message that all are open."""

    async def speak() -> None:
        client = Connection(Count(SAID))
        await connect(server.port, [client], [say(1)])
        client.close()

    return await _weigh(server, EVENTS, Count(server.contender.event), speak, sizes)


async def idle_on_conversation(server: Server, sizes: Sizes) -> dict[str, float]:
    """Open streams of one conversation whose reply has ended, and ask again at the end; only ours can."""
    asked = await ask(server, sizes.tokens)
    ids = await _whole(server, asked.watch(until_idle=True))

    async def speak() -> None:
        await ask(server, 1, conversation=asked.conversation)

    return await _weigh(server, asked.watch(ids[-1]), Count(server.contender.token), speak, sizes)


async def _weigh(
    server: Server, opened: bytes, count: Count, speak: Callable[[], Awaitable[None]], sizes: Sizes
) -> dict[str, float]:
    for connection in await subscribe(server.port, opened, count, WARM_STREAMS):
        connection.close()
    await asyncio.sleep(sizes.settle_seconds)
    before = server.memory()
    streams = await subscribe(server.port, opened, count, sizes.idle_streams)
    await asyncio.sleep(sizes.settle_seconds)
    held = server.memory() - before
    said = count.total
    await speak()
    await count.reaches(said + sizes.idle_streams)
    for stream in streams:
        stream.close()
    return {"kib_per_stream": held / sizes.idle_streams / 1024}


async def joins(server: Server, sizes: Sizes) -> dict[str, float]:
    """Let everybody join at once, until each is in and has been told of all who came after."""
    number = sizes.joins if server.contender.name == "tickertape" else sizes.peer_joins
    count = Count(b"joined!")
    with Usage(server) as usage:
        began = time.monotonic()
        streams = await subscribe(server.port, EVENTS, count, number, keep=True)
        entered = time.monotonic() - began
        await count.reaches(number)
        while (since := time.monotonic() - count.last) < QUIET_SECONDS:  # noqa: ASYNC110 - no event tells of quiet
            await asyncio.sleep(QUIET_SECONDS - since)
    told = [_told(stream) for stream in streams]
    # Whoever joins together may be told together, of a few who were there just before, too.
    if min(told) < 1 or max(told) > number or sum(told) < number * (number + 1) // 2:
        raise Wrong(f"{number} newcomers were told of {sum(told)} joins in all, of {min(told)} to {max(told)} each")
    for stream in streams:
        stream.close()
    seconds = count.last - began
    return {
        "seconds": seconds,
        "entered_seconds": entered,
        "us_per_join": usage.cpu / number * 1e6,
        "server_busy": usage.cpu / seconds,
        "load_busy": usage.load_cpu / seconds,
        "joins": number,
    }


def _told(stream: Connection) -> int:
    assert stream.kept is not None
    return sum(1 if who == b"A" else int(who) for who in JOINED.findall(b"".join(stream.kept)))


async def reconnects(server: Server, sizes: Sizes) -> dict[str, float]:
    """Kill the server and start it again; then everybody comes back with a cursor somewhere in a finished reply."""
    asked = await ask(server, sizes.tokens)
    ids = await _whole(server, asked.watch(until_idle=True))
    server.stop()
    server.start()
    places = [number * len(ids) // sizes.reconnects for number in range(sizes.reconnects)]
    count = Count(b"\nid: ")
    clients = [Connection(count, keep=not number % CHECKED) for number in range(sizes.reconnects)]
    with Usage(server) as usage:
        await connect(server.port, clients, (asked.watch(ids[place]) for place in places))
        await count.reaches(sum(len(ids) - place - 1 for place in places))
    for client, place in zip(clients[::CHECKED], places[::CHECKED], strict=True):
        same([frame.id for frame in frames(client) if frame.id], ids[place + 1 :])
    for client in clients:
        client.close()
    return {"seconds": usage.seconds, "us_per_event": usage.cpu / count.total * 1e6, **usage.busy()}


async def _whole(server: Server, opened: bytes) -> list[str]:
    """Read a stream until it ends, and return the ids of its events."""
    client = Connection(Count(b"event: reply.ended"), keep=True)
    ended = asyncio.Event()
    client.on_end = ended.set
    await connect(server.port, [client], [opened])
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    client.close()
    return [frame.id for frame in frames(client) if frame.id]
