"""The loop that writes a stream, driven by hand where a real socket would be too kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.api import stream
from app.api.feeds import NativeFeed
from app.api.reply_feeds import ReplyFeed
from app.api.stream import Stream, Streams, Watch
from app.events import BroadcastMessage, Record
from app.ids import Cursor
from app.subscription import Subscription
from app.tail import Batch, Tail
from app.tails import Tails
from tests.support.core import Core, open_core
from tests.support.memory import Disk, MemoryEngine

BeforeSend = Callable[[bytes], Awaitable[None]]


class Client:
    """An ASGI peer: `sent` is what it was sent; `before` runs ahead of each piece, as a full socket would hold it."""

    def __init__(self, before: BeforeSend) -> None:
        self.sent: list[bytes] = []
        self.ended = False
        self._before = before

    async def receive(self) -> Any:
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Any) -> None:
        if body := message.get("body"):
            await self._before(body)
            self.sent.append(body)
        self.ended = message["type"] == "http.response.body" and not message["more_body"]

    def events(self) -> list[str]:
        lines = b"".join(self.sent).decode().splitlines()
        return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


async def read(core: Core, asked: Any, client: Client) -> None:
    cursor = Cursor.parse(asked.cursor)
    assert cursor
    async with core.log.tails.open(f"conversation/{asked.conversation.id}") as tail:
        feed = ReplyFeed(core.log, core.running, tail, cursor.seq, asked.reply.id)
        await Stream(Streams(9), feed)({"type": "http"}, client.receive, client.send)  # type: ignore[typeddict-item]


@pytest.mark.timeout(60)
async def test_a_reply_that_ends_while_a_ping_waits_is_sent_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def slow(prompt: Any) -> Any:
        yield "one "
        await go_on.wait()
        yield "two"

    async with open_core(tmp_path, slow) as core:
        asked = await core.ask()

        async def end_the_reply_behind_a_ping(body: bytes) -> None:
            if b"event: ping" in body:
                go_on.set()
                await core.until(asked)

        client = Client(end_the_reply_behind_a_ping)
        await read(core, asked, client)

    assert client.ended
    assert [event for event in client.events() if event != "ping"][-3:] == ["reply.delta", "reply.delta", "reply.ended"]


@pytest.mark.timeout(60)
async def test_a_conversation_that_is_deleted_under_a_slow_reader_says_bye(tmp_path: Path) -> None:
    deleted = asyncio.Event()

    async def long(prompt: Any) -> Any:
        for number in range(3000):
            yield f"{number} "
        await asyncio.get_running_loop().create_future()

    async with open_core(tmp_path, long) as core:
        asked = await core.ask()

        async def wait_for_the_end(body: bytes) -> None:
            if b"event: reply.delta" in body:
                await deleted.wait()

        client = Client(wait_for_the_end)
        reading = asyncio.create_task(read(core, asked, client))
        await core.until_text(asked, "".join(f"{number} " for number in range(3000)))
        async with core.conversations.open("local", asked.conversation.id) as tail:
            await core.conversations.delete(tail)
        deleted.set()
        await reading

    assert client.ended
    assert client.events()[-1] == "bye"


# The pass


class Wire:
    """A connection with or without room."""

    def __init__(self, *, has_room: bool = True) -> None:
        self.has_room = has_room
        self.written: list[bytes] = []

    def put(self, chunk: bytes) -> None:
        self.written.append(chunk)


class Log:
    """As much of a log as a feed needs that only listens."""

    tails = Tails(MemoryEngine(Disk()))


def watch(tail: Tail, wire: Wire, *, resting: bool = True) -> Watch:
    feed = NativeFeed(Log(), None, Subscription(MemoryEngine(Disk()), tail, tail.head))  # type: ignore[arg-type]
    one = Stream(Streams(9), feed)  # type: ignore[arg-type]
    one.wire, one.resting = wire, resting  # type: ignore[assignment]
    return Watch(one, one.feeds[0])


def published(tail: Tail, *texts: str) -> Batch:
    events = [BroadcastMessage(text) for text in texts]
    new = [Record.of(tail.head + place, 0, event) for place, event in enumerate(events, start=1)]
    tail.publish(new, events)
    return Batch(new)


def is_woken(one: Watch) -> bool:
    return one._stream.woken.is_set()


async def test_a_listener_at_the_head_writes_one_chunk_that_all_share() -> None:
    tail, wires = Tail("broadcast", "epoch"), [Wire(), Wire()]
    watches = [watch(tail, wire) for wire in wires]
    batch = published(tail, "a", "b")

    for one in watches:
        one.take(batch)

    frames = b"id: epoch-000000000001\ndata: a\n\nid: epoch-000000000002\ndata: b\n\n"
    assert wires[0].written == [b"%x\r\n%b\r\n" % (len(frames), frames)]
    assert wires[1].written[0] is wires[0].written[0]
    assert not any(map(is_woken, watches))


async def test_a_listener_without_room_is_left_to_its_own_loop_until_that_has_caught_up() -> None:
    tail, wire = Tail("broadcast", "epoch"), Wire(has_room=False)
    one = watch(tail, wire)

    one.take(published(tail, "a"))
    wire.has_room = True
    one.take(published(tail, "b"))

    assert wire.written == []
    assert is_woken(one)


async def test_a_listener_whose_loop_is_at_work_is_left_to_it() -> None:
    tail, wire = Tail("broadcast", "epoch"), Wire()
    one = watch(tail, wire, resting=False)

    one.take(published(tail, "a"))

    assert wire.written == []
    assert is_woken(one)


async def test_a_listener_that_is_not_at_the_old_head_is_left_to_its_own_loop() -> None:
    tail, wire = Tail("broadcast", "epoch"), Wire()
    one = watch(tail, wire)
    published(tail, "missed")

    one.take(published(tail, "next"))

    assert wire.written == []
    assert is_woken(one)


async def test_a_stream_that_fails_is_cut_and_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NativeFeed):
        async def opening(self) -> bytes:
            raise ZeroDivisionError

    class Cut(Wire):
        async def start(self, status: int, headers: object) -> None:
            pass

        async def abort(self) -> None:
            raise asyncio.CancelledError  # as a connection that is lost does

    feed = Broken(Log(), None, Subscription(MemoryEngine(Disk()), Tail("broadcast", "epoch"), 0))  # type: ignore[arg-type]
    one = Stream(Streams(9), feed)  # type: ignore[arg-type]
    one.wire = Cut()  # type: ignore[assignment]

    with pytest.raises(asyncio.CancelledError):
        await one._run()

    assert "a stream has failed" in caplog.text
