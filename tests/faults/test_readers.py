"""Readers that stall, lag, reset or vanish, beside healthy ones that must not notice (G7, I6, I8)."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults import faulty
from tests.faults.asker import Asker
from tests.faults.census_server import CountedServer
from tests.faults.invariants import Story, View, check
from tests.faults.stalled import stalled_reader
from tests.faults.watcher import Leg, Watcher
from tests.support.sse import EventStream

pytestmark = pytest.mark.slow

MIB = 2**20
CLIENTS = 20_000
STALLED, HEALTHY = 500, 100
AT_ONCE = 100
PING = re.compile(rb"event: ping\ndata: [^\n]*\n\n")


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncIterator[CountedServer]:
    responder = f"{faulty.__file__}:faulty"
    async with CountedServer(tmp_path / "data", responder=responder, max_reply_bytes=2**25) as server:
        yield server


async def read_to(stream: EventStream, cursor: str) -> Leg:
    """Read a stream up to a position."""
    async with stream:
        while (await stream.next()).id < cursor:
            pass
    return Leg(None, stream, stream.frames)


async def read_body(stream: EventStream, ending: bytes) -> bytes:
    """Read a stream until its body ends so, and return the digest of its events.

    Nothing is parsed: a hundred readers that did would be slow. The pings are left out, for they follow each
    reader's own clock.
    """
    body = bytearray()
    while not body.endswith(ending):
        size = int(await stream.reader.readuntil(b"\r\n"), 16)
        body += (await stream.reader.readexactly(size + 2))[:-2]
    events = body.partition(b"event: hello")[2].partition(b"\n\n")[2]
    return hashlib.sha256(PING.sub(b"", events)).digest()


async def test_stalled_readers_cost_neither_healthy_ones_nor_the_memory(counted: CountedServer) -> None:
    asker = Asker(counted)
    for _ in range(2):
        warm = await asker.ask("flood 4")
        async with Watcher(counted, warm.events, cursor=warm.answer["cursor"]) as alone:
            await alone.saw(lambda frame: frame.event == "reply.ended")
    before = counted.resident()
    posted = await asker.ask("drizzle 1")
    await counted.ended(posted.answer)

    async with AsyncExitStack() as stack:
        path = f"/conversations/{posted.conversation_id}"
        stalled = [
            await stack.enter_async_context(stalled_reader(counted, f"{posted.events}?from=start"))
            for _ in range(STALLED)
        ]
        healthy = [
            await stack.enter_async_context(await counted.listen(posted.events, posted.answer["cursor"], limit=MIB))
            for _ in range(HEALTHY)
        ]
        watcher = await stack.enter_async_context(Watcher(counted, posted.events, cursor=posted.answer["cursor"]))
        assert (await counted.settles(streams=STALLED + HEALTHY + 1)).holders
        flood = await asker.ask("flood 2", f"{path}/messages")
        await watcher.saw(lambda frame: frame.event == "reply.ended" and frame.json["reply_id"] == flood.reply_id)
        ending = b"data: %b\n\n" % watcher.frames[-1].data.encode()
        read = await asyncio.gather(*(read_body(stream, ending) for stream in healthy))

        assert len(set(read)) == 1
        assert all(reader.held for reader in stalled)
        growth = counted.resident() - before
        # Each may hold one piece of a commit, 256 KiB, and a little more; they are due 2 GiB.
        assert growth < STALLED * MIB / 2, f"{growth / MIB:.0f} MiB for {STALLED} readers that are due 4 MiB each"
        await check(counted, asker.posted, [watcher])
        assert len(watcher.legs) == 1


async def test_a_reader_that_returns_gets_what_it_missed_or_a_snapshot(counted: CountedServer) -> None:
    asker = Asker(counted)
    posted = await asker.ask("drizzle 1")
    await counted.ended(posted.answer)
    async with (
        Watcher(counted, posted.events, cursor=posted.answer["cursor"]) as healthy,
        stalled_reader(counted, posted.events) as lagging,
        stalled_reader(counted, f"{posted.events}?from=start") as patient,
        stalled_reader(counted, posted.events) as hasty,
    ):
        await healthy.saw(lambda frame: frame.event == "reply.ended")
        path = f"/conversations/{posted.conversation_id}"
        await counted.ended((await asker.ask("drizzle 200", f"{path}/messages")).answer)
        middle = (await counted.get(path)).json()["cursor"]
        caught_up = await read_to(await hasty.wake(), middle)
        await counted.ended((await asker.ask("drizzle 11000", f"{path}/messages")).answer)
        head = (await counted.get(path)).json()["cursor"]
        await healthy.reached(head)

        legs = [await read_to(await reader.wake(), head) for reader in (lagging, patient)]

        stories = await check(counted, asker.posted, [healthy])
        story = stories[posted.conversation_id]
        assert position(story, legs[0], snapshots=2) == len(story.frames)
        assert position(story, legs[1], snapshots=0) == len(story.frames)
        assert position(story, caught_up, snapshots=1) == int(middle.rpartition("-")[2])


def position(story: Story, leg: Leg, snapshots: int) -> int | None:
    """Hold what a connection saw against the log (I1), count its snapshots, and return where it arrived."""
    view = View(story, from_start=not snapshots)
    view.take(leg)
    assert len([frame for frame in leg.frames if frame.event == "snapshot"]) == snapshots
    return view.position


async def abuse(server: CountedServer, path: str, kind: int) -> None:
    """Connect, and leave without manners: in one of five ways."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        if kind == 0:  # half a request
            await loop.sock_sendall(client, request[:20])
            return
        await loop.sock_sendall(client, request)
        if kind == 1:  # gone before the answer
            return
        await loop.sock_recv(client, 100)
        if kind == 2:  # half-closed, until the other side closes
            client.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(client, 65536):
                pass
        elif kind == 3:  # reset in the middle of a frame
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.timeout(300)
async def test_thousands_of_rude_clients_leave_nothing_behind(counted: CountedServer) -> None:
    asker = Asker(counted)
    quiet = await asker.ask("drizzle 100")
    await counted.ended(quiet.answer)
    async with Watcher(counted, quiet.events) as control, Watcher(counted, "/events?from=start") as channel:
        await control.saw(lambda frame: frame.event == "snapshot")
        await channel.saw(lambda frame: frame.event == "hello")
        for kind in range(5):
            await abuse(counted, quiet.events, kind)
        await counted.warm_up()
        baseline = await counted.settles(streams=2)

        busy = await asker.ask("Go on", responder="mock", options={"tokens": 100_000, "tokens_per_second": 100})
        for start in range(0, CLIENTS, AT_ONCE):
            await asyncio.gather(
                *(abuse(counted, (quiet.events, busy.events)[n % 2], n % 5) for n in range(start, start + AT_ONCE))
            )
        await counted.post(f"/conversations/{busy.conversation_id}/replies/{busy.reply_id}/stop")

        assert (await counted.ended(busy.answer))["status"] == "cancelled"
        told = await asker.ask("drizzle 100", f"/conversations/{quiet.conversation_id}/messages")
        await control.saw(lambda frame: frame.event == "reply.ended" and frame.json["reply_id"] == told.reply_id)
        await check(counted, asker.posted, [control])
        assert (len(control.legs), len(channel.legs)) == (1, 1)
        await counted.settles(streams=2, baseline=baseline)
