"""Opening a WebSocket and its end: the handshake, who may call, the limits, the drain, a restart."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.answers import check_problem
from tests.api.raw import Raw
from tests.api.sockets import HANDSHAKE, Socket, frame, ids, stream_of, text
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of
from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

Start = Callable[..., Awaitable[WatchedServer]]


# The handshake


async def test_no_extension_is_agreed_upon(server: WatchedServer):
    async with await Socket.open(server, compression="deflate") as socket:
        assert socket.connection.protocol.extensions == []
        assert socket.connection.subprotocol is None


async def test_what_comes_with_the_handshake_is_read(server: WatchedServer):
    async with await Raw.open(server) as raw:
        lines = "".join(f"{header}\r\n" for header in HANDSHAKE).encode()
        head = b"GET /ws HTTP/1.1\r\n" + raw.host + lines + b"\r\n"
        await raw.send(head + text(type="stop", request="early") + frame(8))

        said = await raw.rest()

    assert said.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"sec-websocket-accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n" in said
    assert b'"request":"early"' in said


WITHOUT = {
    name: [h for h in HANDSHAKE if not h.startswith(name)] for name in ("Connection", "Upgrade", "Sec-WebSocket-Key")
}
NO_HANDSHAKES = {
    "nothing": [],
    "no connection": WITHOUT["Connection"],
    "no upgrade": WITHOUT["Upgrade"],
    "no key": WITHOUT["Sec-WebSocket-Key"],
    "a short key": [*WITHOUT["Sec-WebSocket-Key"], "Sec-WebSocket-Key: AAAA"],
    "a key that is none": [*WITHOUT["Sec-WebSocket-Key"], "Sec-WebSocket-Key: \xe9" + "A" * 21 + "=="],
    "two keys": [*HANDSHAKE, HANDSHAKE[3]],
    "an old version": [*HANDSHAKE[:2], "Sec-WebSocket-Version: 8", HANDSHAKE[3]],
    "another protocol": [*WITHOUT["Upgrade"], "Upgrade: h2c"],
    "two protocols": [*WITHOUT["Upgrade"], "Upgrade: websocket, h2c"],
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", NO_HANDSHAKES)
async def test_what_is_no_handshake_is_told_of_the_upgrade(server: WatchedServer, name: str):
    async with await Raw.open(server) as raw:
        await raw.ask("GET /ws", *NO_HANDSHAKES[name])
        answer = await raw.answer()
        await raw.ask("GET /health/live")

        check_problem(answer, 426)
        assert (answer.headers["upgrade"], answer.headers["sec-websocket-version"]) == ("websocket", "13")
        assert (await raw.answer()).status_code == 200


@pytest.mark.usefixtures("untouched")
async def test_a_handshake_brings_no_body_and_is_a_get(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.ask("GET /ws", *HANDSHAKE, "Content-Length: 2", body=b"{}")
        with_body = await raw.answer()
        await raw.ask("POST /ws", *HANDSHAKE)
        posted = await raw.answer()

    check_problem(with_body, 426)
    check_problem(posted, 405)
    assert posted.headers["allow"] == "GET"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["/events", "/wss", "/ws/", "/health/live", "/nothing", "/%77s/x"])
async def test_elsewhere_a_handshake_is_an_ordinary_request(server: WatchedServer, path: str):
    async with await Raw.open(server) as raw:
        await raw.ask(f"GET {path}", *HANDSHAKE)

        assert (await raw.reader.readuntil(b"\r\n")) != b"HTTP/1.1 101 Switching Protocols\r\n"


@pytest.mark.usefixtures("untouched")
async def test_the_limits_of_heads_hold_for_handshakes(server: WatchedServer):
    for headers in (["x: y"] * 100, ["x: " + "y" * 33_000]):
        async with await Raw.open(server) as raw:
            await raw.ask("GET /ws", *HANDSHAKE, *headers)
            check_problem(await raw.answer(), 431)


# Who may call


REFUSED: dict[str, tuple[list[str], int]] = {
    "a foreign host": (["Host: evil.com"], 400),
    "no host": ([], 400),
    "a foreign origin": (["Host: localhost", "Origin: http://evil.com"], 403),
    "another port": (["Host: localhost:1", "Origin: http://localhost:2"], 403),
    "another scheme": (["Host: localhost", "Origin: https://localhost"], 403),
    "the socket's scheme": (["Host: localhost", "Origin: ws://localhost"], 403),
    "null": (["Host: localhost", "Origin: null"], 403),
    "two origins": (["Host: localhost", "Origin: http://localhost", "Origin: http://localhost"], 403),
    "another site": (["Host: localhost", "Sec-Fetch-Site: cross-site"], 403),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", REFUSED)
async def test_pages_of_others_are_refused_before_the_upgrade(server: WatchedServer, name: str):
    headers, status = REFUSED[name]
    async with await Raw.open(server) as raw:
        lines = "".join(f"{header}\r\n" for header in (*headers, *HANDSHAKE))
        await raw.send(f"GET /ws HTTP/1.1\r\n{lines}\r\n".encode())

        check_problem(await raw.answer(), status)


async def test_our_own_pages_and_listed_ones_may(server: WatchedServer, start_server: Start):
    listed = await start_server(allowed_origins="https://app.example")

    async with (
        await Socket.open(server, origin=f"http://127.0.0.1:{server.port}") as own,
        await Socket.open(listed, origin="https://app.example") as other,
    ):
        for socket in (own, other):
            assert await socket.subscribe("conversations")


# Limits


async def test_a_socket_and_each_subscription_count_as_streams(start_server: Start):
    server = await start_server(max_streams=3)
    async with await Socket.open(server) as full:
        for stream in ("broadcast", "conversations"):
            await full.subscribe(stream)

        refused = await full.ask("subscribe", stream="conversation/nosuch")
        async with await Socket.open(server) as turned_away:
            bye, code = await turned_away.next(), await turned_away.closed()
        await full.do("unsubscribe", stream="broadcast")
        async with await Socket.open(server) as other:
            assert await other.ask("unsubscribe", stream="broadcast")

    assert (refused["problem"]["status"], refused["retry_after"]) == (429, 1)
    assert (bye["type"], bye["reason"], code) == ("bye", "overloaded", 1013)
    assert 1 <= bye["retry_after"] <= 3


async def test_a_socket_over_the_limit_ends_whatever_came_with_its_handshake(start_server: Start):
    server = await start_server(max_streams=1)
    lines = "".join(f"{header}\r\n" for header in HANDSHAKE).encode()
    async with await Socket.open(server):
        for behind in (frame(8, b"\x03\xe8"), frame(2), b"\x83\x80\x00\x00\x00\x00"):
            async with await Raw.open(server) as raw:
                head = b"GET /ws HTTP/1.1\r\n" + raw.host + lines + b"\r\n"
                await raw.send(head + text(type="stop") + behind)

                assert b'"reason":"overloaded"' in await raw.rest()


async def test_the_limit_of_a_prompt_holds_here_too(start_server: Start):
    server = await start_server(max_prompt_bytes=1000, max_running=1)
    async with await Socket.open(server) as socket:
        long = await socket.ask("create", prompt="x" * 1001)
        await socket.do("create", prompt="x" * 1000, **SILENT)
        many = await socket.ask("create", prompt="One more")

    assert [answer["problem"]["status"] for answer in (long, many)] == [413, 429]
    assert (many["retry_after"], "retry_after" in long) == (1, False)


# The end


async def test_a_drain_waits_for_the_replies_that_are_followed(start_server: Start):
    server = await start_server()
    asked = await server.ask("Run through the drain", **HALTING)
    async with await Socket.open(server) as socket, await Socket.open(server) as idle:
        await socket.subscribe("conversations")
        await socket.subscribe(stream_of(asked), asked["cursor"])
        await socket.until("reply.delta")
        await idle.ask("stop")

        await server.signal(signal.SIGTERM)
        bye, code = await idle.until("bye"), await idle.closed()
        refused = await socket.ask("create", prompt="Too late")
        stopped = await socket.do("stop", **ids(asked))
        codes = await socket.closed()

    assert (bye["reason"], code) == ("drain", 1001)
    assert 1 <= bye["retry_after"] <= 3
    assert (refused["problem"]["status"], refused["retry_after"]) == (503, 2)
    assert (stopped["reply"]["status"], codes) == ("cancelled", 1001)
    last = [(message["type"], message.get("stream")) for message in socket.heard[-3:]]
    assert last == [("bye", None), ("bye", "conversations"), ("bye", stream_of(asked))]
    assert socket.events(stream_of(asked))[-1]["type"] == "reply.ended"
    assert await server.wait() == 0


async def test_a_killed_server_is_come_back_to(start_server: Start):
    server = await start_server()
    async with await Socket.open(server) as socket:
        asked = await socket.do("create", prompt="Survive", **HALTING)
        channel = await socket.subscribe("broadcast")
        await socket.subscribe(stream_of(asked), asked["cursor"])
        seen = await socket.until("reply.delta")

        await server.restart()
        with pytest.raises(ConnectionClosed):
            await socket.until("nothing")
        async with await Socket.open(server) as back:
            hellos = [
                await back.subscribe("broadcast", channel["cursor"]),
                await back.subscribe(stream_of(asked), seen["id"]),
            ]
            ending = await back.until("reply.ended")

    assert [hello["resumed"] for hello in hellos] == [True, True]
    assert (ending["status"], ending["text"]) == ("interrupted", seen["text"])
    log = await server.log_of(asked)
    both = socket.events(stream_of(asked)) + back.events(stream_of(asked))
    assert [event["id"] for event in both] == [event["id"] for event in log]


async def test_the_example_in_the_docs_prints_a_reply(start_server: Start):
    server = await start_server(responder="echo")
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(import asyncio, json\n.*?)```", page, re.DOTALL)

    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example.replace(":8000", f":{server.port}"), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await running.communicate()

    assert (running.returncode, said) == (0, b"What do the gulls want?")


# Another server


async def test_it_works_under_a_plain_server_too(tmp_path: Path):
    command = [sys.executable, str(Path(__file__).with_name("plain_server.py"))]
    async with Server(tmp_path / "data", command=command) as server:
        with pytest.raises(InvalidStatus) as refused:
            await Socket.open(server, origin="http://evil.com")
        async with await Socket.open(server) as socket, await Socket.open(server) as other:
            asked = await socket.do("create", prompt="Under any server", **QUICK)
            hello = await socket.subscribe(stream_of(asked), asked["cursor"])
            ending = await socket.until("reply.ended")
            await asyncio.gather(socket.subscribe("broadcast"), other.subscribe("broadcast"))
            await other.do("broadcast", message="to all")
            said = await socket.until("message", text="to all")
            await other.connection.send(b"bytes")
            code = await other.closed()
        events = (await server.get(path_of(asked) + "/log?from=start")).json()["events"]

    assert refused.value.response.status_code == 403
    assert hello["resumed"]
    assert ending["text"] == "Under any server"
    assert said["id"]
    assert code == 1003
    heard: list[dict[str, Any]] = socket.events(stream_of(asked))
    assert [event["id"] for event in heard] == [event["id"] for event in events]
