"""WebSockets of clients that are slow, silent or rude, beside others that must not notice (G7, I1, I6)."""

from __future__ import annotations

import asyncio
import socket as sockets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.sockets import Socket, frame, open_raw, read_code, stream_of, text
from tests.api.watched import WatchedServer, path_of, reply_path
from tests.faults import impatient_server
from tests.faults.census_server import CountedServer
from tests.faults.impatient_server import MAX_STREAMS, PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FLOOD = {"tokens": 40_000, "tokens_per_second": None, "first_token_delay": 0}
CLIENTS = 1000
AT_ONCE = 50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    command = [sys.executable, str(impatient_server.__file__)]
    async with WatchedServer(tmp_path_factory.mktemp("data"), command=command, max_streams=MAX_STREAMS) as server:
        yield server
        await server.kill()
    server.check_log()


@pytest_asyncio.fixture(loop_scope="module")
async def counted(tmp_path: Path) -> AsyncIterator[CountedServer]:
    async with CountedServer(tmp_path / "data") as server:
        yield server


async def slow(server: CountedServer) -> Socket:
    """Open a socket that takes next to nothing ahead of what is read."""
    connection = sockets.socket()
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", server.port))
    return await Socket.open(server, sock=connection, max_queue=1)


async def test_who_reads_on_gets_what_was_missed_or_a_snapshot(counted: CountedServer) -> None:
    asked = await counted.ask("Begin", responder="echo")
    await counted.ended(asked)
    async with await slow(counted) as lagging, await Socket.open(counted) as healthy:
        for socket in (lagging, healthy):
            await socket.subscribe(stream_of(asked), asked["cursor"])
        more = await counted.ask("Flood", path_of(asked) + "/messages", responder="mock", options=FLOOD)
        ending = await healthy.until("reply.ended", reply_id=more["reply"]["id"])
        wide = lagging.connection.transport.get_extra_info("socket")
        wide.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2**20)  # or this takes its time
        while (await lagging.next()).get("id", "") < ending["id"]:
            pass

    head = int(ending["id"][-12:])
    assert [int(event["id"][-12:]) for event in healthy.events(stream_of(asked))] == list(range(1, head + 1))
    place, snapshots = 0, 0
    for message in lagging.heard:
        if message["type"] == "snapshot":
            place, snapshots = int(message["id"][-12:]), snapshots + 1
        elif "id" in message:
            place += 1
            assert int(message["id"][-12:]) == place
    assert place == head
    assert snapshots


async def test_who_takes_nothing_is_cut(impatient: WatchedServer) -> None:
    asked = await impatient.ask("Flood", responder="mock", options=FLOOD | {"tokens": 100_000})
    await impatient.ended(asked)
    before = text(type="subscribe", stream=stream_of(asked))
    async with await open_raw(impatient, receive_buffer=4096) as stalled, await Socket.open(impatient) as socket:
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            await stalled.send(before + text(type="unsubscribe", stream=stream_of(asked)))
        await stalled.send(before)
        await socket.subscribe("broadcast")
        await socket.subscribe("conversations")
        while (await socket.ask("subscribe", stream="conversation/nosuch"))["type"] == "answer":
            await socket.until("bye")
        while (await socket.ask("subscribe", stream="conversation/nosuch"))["type"] == "error":
            pass


async def test_a_message_that_comes_in_too_slowly_ends_the_socket(impatient: WatchedServer) -> None:
    async with await open_raw(impatient) as raw:
        reading = asyncio.create_task(read_code(raw))
        for byte in text(type="create", prompt="x" * 40):
            if not reading.done():
                await raw.send(bytes([byte]))
                await asyncio.sleep(PATIENCE / 5)  # what is tested

        assert await reading == 1008


async def test_rude_clients_leave_nothing_behind(counted: CountedServer) -> None:
    asked = await counted.ask("Begin", responder="echo")
    await counted.ended(asked)
    async with await Socket.open(counted) as control:
        await control.subscribe(stream_of(asked), asked["cursor"])
        for kind in range(5):
            await abuse(counted, stream_of(asked), kind)
        await counted.warm_up()
        baseline = await counted.settles(streams=2)

        options = {"tokens": 100_000, "tokens_per_second": 100}
        busy = await counted.ask("Go on", path_of(asked) + "/messages", responder="mock", options=options)
        for start in range(0, CLIENTS, AT_ONCE):
            await asyncio.gather(*(abuse(counted, stream_of(asked), n % 5) for n in range(start, start + AT_ONCE)))
        await counted.post(reply_path(busy) + "/stop")
        await control.until("reply.ended", reply_id=busy["reply"]["id"])

        seen = [int(event["id"][-12:]) for event in control.events(stream_of(asked))]
        assert seen == list(range(1, len(seen) + 1))
        await counted.settles(streams=2, baseline=baseline)


async def abuse(server: CountedServer, stream: str, kind: int) -> None:
    """Open a socket, and leave without manners: in one of five ways."""
    async with await open_raw(server) as raw:
        if kind == 0:  # gone at once
            return
        await raw.send(text(type="subscribe", stream=stream))
        if kind == 1:  # gone before the answer
            return
        await raw.reader.readexactly(10)
        if kind == 2:  # half-closed, until the other side closes
            raw.half_close()
        elif kind == 3:  # closed in the middle of a message
            await raw.send(frame(1, b"{", fin=False) + frame(8))
        else:  # broken
            await raw.send(b"\xff" * 100)
        await raw.rest()
