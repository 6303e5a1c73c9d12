"""The connection under a stream: taken over from the request, and given back for the next one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.api.wire import MAX_BEHIND_BYTES
from tests.api.watched import QUICK, SILENT, WatchedServer
from tests.support.server import Server
from tests.support.sse import EventStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(**body: object) -> bytes:
    """Return a request that wants its answer as a stream."""
    content = json.dumps(body).encode()
    return (
        b"POST /conversations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
    )


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.transport.abort()


async def test_a_connection_takes_the_next_request_after_a_stream(server: WatchedServer):
    async with connected(server) as (reader, writer):
        for turn in range(3):
            writer.write(post(prompt=f"Turn {turn}", **QUICK))
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
            assert answer.count(b"event: reply.ended") == 1
        writer.write(HEALTH)
        assert (await reader.readuntil(b'{"status":"live"}')).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("at_once", [True, False], ids=["in one packet", "while it is open"])
async def test_what_is_sent_behind_a_stream_is_not_answered_and_ends_the_connection(
    server: WatchedServer, at_once: bool
):
    async with connected(server) as (reader, writer):
        writer.write(post(prompt="And behind me?", **QUICK) + (HEALTH * 100 if at_once else b""))
        answer = await reader.readuntil(b"event: hello")
        if not at_once:
            writer.write(HEALTH)
        answer += await reader.read()

    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"\r\n0\r\n\r\n")


async def test_who_floods_the_server_behind_a_stream_is_cut_and_its_place_is_free(
    start_server: Callable[..., Awaitable[WatchedServer]],
):
    server = await start_server(max_streams=1)
    async with connected(server) as (reader, writer):
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"event: hello")
        writer.write(b"x" * (MAX_BEHIND_BYTES + 1))
        with suppress(ConnectionResetError):
            while await reader.read(65536):
                pass

    async with await server.listen("/events") as stream:
        assert (await stream.next()).event == "hello"


async def test_a_place_is_free_at_once_when_a_client_with_requests_behind_its_stream_is_gone(
    start_server: Callable[..., Awaitable[WatchedServer]],
):
    server = await start_server(max_streams=1)
    async with connected(server) as (reader, writer):
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEALTH * 100)
        await reader.readuntil(b"event: hello")

    async with asyncio.timeout(60):
        while True:
            async with await server.listen("/events") as stream:
                if (await stream.next()).event == "hello":
                    break


async def test_a_client_of_the_old_http_reads_a_stream_to_its_end(server: WatchedServer):
    async with connected(server) as (reader, writer):
        writer.write(post(prompt="Without chunks", **QUICK).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        answer = await reader.read()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"retry: ")
    assert b"event: reply.ended" in body
    assert body.endswith(b"}\n\n")


async def test_a_client_of_the_old_http_hears_what_is_said_live(server: WatchedServer):
    async with connected(server) as (reader, writer):
        writer.write(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"joined!\n\n")
        await server.post("/send-message", {"message": "to the old ones as well"})
        await reader.readuntil(b"data: to the old ones as well\n\n")


async def test_a_stream_whose_request_had_a_body_of_which_nothing_came_is_open_all_the_same(server: WatchedServer):
    async with connected(server) as (reader, writer):
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        await reader.readuntil(b"event: hello")


async def test_another_server_streams_as_well(tmp_path: Path):
    command = [sys.executable, str(Path(__file__).with_name("plain_server.py"))]
    async with Server(tmp_path / "data", command=command) as server:
        async with await EventStream.open(
            server.url + "/conversations",
            method="POST",
            headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
            body=json.dumps({"prompt": "Behind uvicorn alone", "responder": "echo"}).encode(),
        ) as stream:
            frames = await stream.rest()
        asked = await server.ask("Be quiet here", **SILENT)
        async with await server.listen(asked["events"]) as watching, await server.listen("/events") as channel:
            await watching.until("snapshot")
            await server.post(f"/conversations/{asked['conversation']['id']}/replies/{asked['reply']['id']}/stop")
            await watching.until("reply.ended")
            await server.post("/send-message", {"message": "heard behind uvicorn alone"})
            while (await channel.next()).data != "heard behind uvicorn alone":
                pass

    assert [frame.event for frame in frames][-1] == "reply.ended"
    assert not [entry for entry in server.log if "Traceback" in str(entry)]
