"""The resuming client: every event once, whatever happens to the connections; every prompt accepted once."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app import client as client_module
from app.client import Client, Event, Refused, parse
from tests.support.proxy import Harm, Proxy
from tests.support.server import Server

slow = pytest.mark.slow
StartServer = Callable[..., Awaitable[Server]]
PACED: dict[str, Any] = {
    "responder": "mock",
    "options": {"tokens": 60, "tokens_per_second": 200, "first_token_delay": 0, "seed": 3},
}
ENDLESS: dict[str, Any] = {
    "responder": "mock",
    "options": {"tokens": 100_000, "tokens_per_second": 50, "first_token_delay": 0},
}


async def soon(seconds: float, why: Exception) -> None:
    """Try again soon, where a person's client would wait for `seconds`."""
    await asyncio.sleep(0.02)


async def read(client: Client, path: str, cursor: str = "") -> list[Event]:
    """Read a conversation up to the end of its first reply."""
    found = []
    async with aclosing(client.events(path, cursor)) as events:
        async for event in events:
            found.append(event)
            if event.type == "reply.ended":
                break
    return found


def check(events: list[Event], after: int = 0) -> dict[str, Any]:
    """See that each event came once, in order, and that the text is what the ending proves; returns the ending."""
    logged = [event for event in events if event.id and event.type != "snapshot"]
    assert [int(event.id[-12:]) for event in logged] == list(range(after + 1, after + 1 + len(logged)))
    text = "".join(json.loads(event.data)["text"] for event in logged if event.type == "reply.delta")
    ending = json.loads(logged[-1].data)
    assert ending["text"] == text
    assert ending["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    return ending


# --- bytes ---


async def blocks(*chunks: bytes) -> list[dict[str, list[str]]]:
    waiting = iter(chunks)

    async def read() -> bytes:
        return next(waiting, b"")

    found: list[dict[str, list[str]]] = []
    try:
        async for block in parse(read):
            found.append(block)  # noqa: PERF401 - what came before the end is wanted
    except EOFError:
        return found
    raise AssertionError("it ends by raising")


STREAM = (
    "retry: 5\r\n\r\nid: a\rdata: naïve 🙂\u2028\x85\rdata\r\r: a comment\nevent:語\r\ndata:  two\n\n\r\ndata: no end"
).encode()
BLOCKS = [
    {"retry": ["5"], "": [""]},
    {"id": ["a"], "data": ["naïve 🙂\u2028\x85", ""], "": [""]},
    {"": ["a comment", ""], "event": ["語"], "data": [" two"]},
    {"": [""]},
]


async def test_only_cr_lf_and_crlf_end_a_line_wherever_two_cuts_fall() -> None:
    for first, second in itertools.combinations_with_replacement(range(len(STREAM) + 1), 2):
        chunks = [chunk for chunk in (STREAM[:first], STREAM[first:second], STREAM[second:]) if chunk]

        assert await blocks(*chunks) == BLOCKS


async def test_a_line_that_comes_byte_by_byte_is_one_line() -> None:
    assert await blocks(*(bytes([byte]) for byte in STREAM)) == BLOCKS


async def test_bytes_that_are_no_text_are_replaced() -> None:
    assert await blocks(b"data: \xff!\n\n") == [{"data": ["�!"], "": [""]}]


async def test_a_line_of_many_megabytes_takes_no_more_than_its_share() -> None:
    line = b"x" * 2**16

    [block] = await blocks(b"data: ", *[line] * 256, b"\n\n")

    assert len(block["data"][0]) == 2**24


# --- streams ---


@slow
async def test_a_server_killed_in_mid_reply_and_started_again_costs_no_event(server: Server) -> None:
    waits: list[float] = []

    async def pause(seconds: float, why: Exception) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.02)

    async with Client(server.url, pause) as client:
        asked = await client.ask("Go on", **ENDLESS)
        seen = asyncio.Queue[Event]()

        async def watch() -> list[Event]:
            found = []
            async with aclosing(client.events(asked["events"], asked["cursor"])) as events:
                async for event in events:
                    found.append(event)
                    seen.put_nowait(event)
                    if event.type == "reply.ended":
                        break
            return found

        watching = asyncio.create_task(watch())
        while (await seen.get()).type != "reply.delta":
            pass
        await server.restart()
        events = await watching

    assert check(events)["status"] == "interrupted"
    hellos = [json.loads(event.data) for event in events if event.type == "hello"]
    assert [hello["resumed"] for hello in hellos] == [True, True]
    assert all(1 <= wait <= 4.5 for wait in waits), "`retry` is 1 to 3 s, and is stretched by half at most"


@slow
async def test_a_drain_costs_no_event_and_a_prompt_waits_for_the_next_server(start_server: StartServer) -> None:
    server = await start_server()
    refusals: list[str] = []
    refused = asyncio.Event()

    async def pause(seconds: float, why: Exception) -> None:
        refusals.append(str(why))
        refused.set()
        await asyncio.sleep(0.02)

    async with Client(server.url, soon) as client, Client(server.url, pause) as asker:
        asked = await client.ask("Go on", **ENDLESS)
        watching = asyncio.create_task(read(client, asked["events"], asked["cursor"]))
        await server.signal(signal.SIGTERM)
        while (await server.get("/health/ready")).status_code == 200:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.01)

        asking = asyncio.create_task(asker.ask("Later", responder="echo"))
        await refused.wait()
        await server.signal(signal.SIGTERM)  # the second one ends the drain
        assert await server.wait() == 0
        await server.start()

        assert check(await watching)["status"] == "interrupted"
        later = await asking
        assert check(await read(client, later["events"], later["cursor"]))["text"] == "Later"
    assert any("end" in reason for reason in refusals), "the draining server has refused it with 503, and said why"


@slow
async def test_a_cursor_that_the_server_refuses_gives_a_snapshot_and_then_what_follows(server: Server) -> None:
    async with Client(server.url, soon) as client:
        asked = await client.ask("Go on", **ENDLESS)
        events = client.events(asked["events"], "nosuchepoch0-000000000007")

        hello, snapshot, *others = [await anext(events) for _ in range(5)]
        await events.aclose()

    assert json.loads(hello.data)["resumed"] is False
    assert json.loads(hello.data)["reason"] == "epoch"
    assert snapshot.type == "snapshot"
    assert snapshot.id == json.loads(snapshot.data)["cursor"]
    after = int(snapshot.id[-12:])
    assert [int(event.id[-12:]) for event in others] == [after + 1, after + 2, after + 3]


HARMS = {
    "a cut in the middle of a character": Harm("🙂".encode()[:2]),
    "a cut between CR and LF of the head": Harm(b"HTTP/1.1 200 OK\r"),
    "a cut between CR and LF of a chunk": Harm(b"}\n\n\r"),
    "a stall in mid-reply": Harm(b"event: reply.delta", "hold"),
    "a stall at once": Harm(b"HTTP/1.1 200", "hold"),
}


@slow
async def test_cuts_and_stalls_of_every_kind_cost_no_event(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=0.7))
    prompt = "naïve 🙂 語 " * 20
    async with Client(server.url) as client:
        asked = await client.ask(prompt, responder="echo", options={"tokens_per_second": 25})
    async with Proxy(server, HARMS.values()) as proxy, Client(proxy.url, soon) as client:
        events = await read(client, asked["events"], asked["cursor"])

        for name, harm in HARMS.items():
            assert harm.met, name
    assert check(events)["text"] == prompt


async def test_a_chunk_that_is_malformed_counts_as_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=1.0))
    whys: list[Exception] = []

    async def give_up(seconds: float, why: Exception) -> None:
        whys.append(why)
        raise EOFError

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata:\n\n\r\n")
        await heard.wait()
        writer.write(b"no number\r\n")
        writer.close()

    heard = asyncio.Event()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with Client(url, give_up) as client:
            events = client.events("/events")
            assert await anext(events) == Event("", "message", "")
            heard.set()
            with pytest.raises(EOFError):
                await anext(events)

    assert [type(why) for why in whys] == [TimeoutError]


@slow
async def test_bytes_that_come_one_by_one_make_the_same_events(server: Server) -> None:
    async with Proxy(server, dribble=True) as proxy, Client(proxy.url, soon) as client:
        asked = await client.ask("naïve 🙂 語", responder="echo")

        events = await read(client, asked["events"], asked["cursor"])

    assert check(events)["text"] == "naïve 🙂 語"
    assert proxy.connections == 1, "kept alive, and never lost"


@slow
async def test_frames_of_several_megabytes_come_whole(start_server: StartServer) -> None:
    server = await start_server(max_prompt_bytes=2**24, max_reply_bytes=2**24)
    async with Client(server.url, soon) as client:
        asked = await server.ask("語" * 2**20, responder="echo")

        events = await read(client, asked["events"], asked["cursor"])

    assert len(check(events)["text"]) == 2**20


@slow
async def test_a_broadcast_that_is_said_while_the_first_connection_is_lost_is_heard(server: Server) -> None:
    async def say(seconds: float, why: Exception) -> None:
        await server.post("/send-message", {"message": "Did you hear that?"})

    async with (
        Proxy(server, [Harm(b"joined!\n\n\r\n")]) as proxy,
        Client(proxy.url, say) as client,
        aclosing(client.events("/events")) as events,
    ):
        heard = [await anext(events) for _ in range(4)]

    assert [event.type for event in heard] == ["hello", "message", "hello", "message"]
    assert (heard[1].id, heard[1].data) == ("", "A new user joined!")
    assert heard[3].data == "Did you hear that?"


@slow
async def test_a_stream_ends_where_the_server_says_so(server: Server) -> None:
    async with Client(server.url, soon) as client:
        asked = await client.ask("Hello", responder="echo")
        events = [event async for event in client.events(asked["events"] + "?until=idle", asked["cursor"])]
        check(events)

        await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")
        with pytest.raises(Refused) as refused:
            await anext(client.events(asked["events"], events[-1].id))

    assert (refused.value.status, refused.value.message) == (404, "There is no such conversation.")


# --- calls ---


@slow
async def test_a_prompt_whose_answers_are_lost_is_accepted_once(server: Server) -> None:
    lost = [Harm(b"HTTP/1.1 201"), Harm(b'{"conversation"'), Harm(b"\r\n\r\n")]
    async with Proxy(server, lost) as proxy, Client(proxy.url, soon) as client:
        asked = await client.ask("Once", responder="echo")

    listed = (await server.get("/conversations")).json()["conversations"]
    assert [conversation["id"] for conversation in listed] == [asked["conversation"]["id"]]
    assert proxy.connections == 4


@slow
async def test_a_refusal_says_why_and_is_not_repeated_and_a_reply_is_stopped(server: Server) -> None:
    async def never(seconds: float, why: Exception) -> None:
        raise AssertionError("another try would not help")

    async with Client(server.url, never) as client:
        asked = await client.ask("Go on", **ENDLESS)
        stopped = await client.stop(asked["conversation"]["id"], asked["reply"]["id"])
        with pytest.raises(Refused) as refused:
            await client.ask("Hello", responder="nobody")

    assert stopped["status"] == "cancelled"
    assert refused.value.status == 422
    assert "nobody" in refused.value.message


async def test_where_nobody_listens_the_pauses_grow_and_whoever_raises_gives_up() -> None:
    waits: list[float] = []

    async def pause(seconds: float, why: Exception) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            raise why

    async with Client("http://127.0.0.1:1", pause) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("Hello")

    assert all(low <= wait <= 2 * low for low, wait in zip([0.5, 1, 2, 4, 4, 4, 4, 4], waits, strict=True))


def test_it_is_short_and_knows_nothing_of_the_house() -> None:
    source = Path(client_module.__file__).read_text("utf-8")

    assert len(source.splitlines()) < 100
    assert "from app" not in source
    assert "import app" not in source
