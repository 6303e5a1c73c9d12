"""The loop that writes a stream, driven by hand where a real socket would be too kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from app.api import stream
from app.api.feeds import ConversationFeed, NativeFeed
from app.api.list_feed import ListFeed
from app.api.reply_feeds import ReplyFeed
from app.api.socket_requests import finished
from app.api.stream import Stream, Streams, Watch
from app.api.transport_socket import TransportSocket
from app.api.websocket import Socket
from app.events import BroadcastMessage, Record
from app.ids import Cursor
from app.resume import judge
from app.settings import Settings
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


@pytest.mark.timeout(60)
async def test_the_streams_beside_one_that_is_deleted_under_a_slow_reader_go_on(tmp_path: Path) -> None:
    deleted, gone, heard = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long(prompt: Any) -> Any:
        for number in range(3000):
            yield f"{number} "
        await asyncio.get_running_loop().create_future()

    async def wait_for_the_end(body: bytes) -> None:
        if b"event: reply.delta" in body:
            await deleted.wait()
        if b"event: bye" in body:
            gone.set()
        if b"conversation.changed" in body and gone.is_set():
            heard.set()

    async with open_core(tmp_path, long) as core:
        asked = await core.ask()
        client = Client(wait_for_the_end)
        async with core.log.tails.open(f"conversation/{asked.conversation.id}") as tail:
            feed = ConversationFeed(core.log, core.running, tail, judge(tail, asked.cursor), named=True)
        both = Stream(Streams(9), feed, ListFeed(core.log, core.running, "local", named=True))
        reading = asyncio.create_task(both({"type": "http"}, client.receive, client.send))  # type: ignore[typeddict-item]
        await core.until_text(asked, "".join(f"{number} " for number in range(3000)))
        async with core.conversations.open("local", asked.conversation.id) as tail:
            await core.conversations.delete(tail)
        deleted.set()
        await gone.wait()
        await core.ask()
        await heard.wait()
        reading.cancel()

    assert not client.ended
    assert client.events().count("bye") == 1


@pytest.mark.timeout(60)
async def test_no_ping_of_a_stream_comes_before_its_hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
    due, said = asyncio.Event(), asyncio.Event()
    requests = iter(["", '{"type":"subscribe","stream":"conversations"}'])
    sent: list[dict[str, Any]] = []

    class Turn(asyncio.Lock):
        async def acquire(self) -> Literal[True]:
            if self.locked():
                due.set()
            return await super().acquire()

    async def receive() -> Any:
        for text in requests:
            return {"type": "websocket.receive", "text": text} if text else {"type": "websocket.connect"}
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            sent.append(json.loads(message["text"]))
            if sent[-1]["type"] == "ping" and "stream" in sent[-1]:
                said.set()

    async with open_core(tmp_path) as core:
        listed = core.engine.conversations

        async def wait_for_the_ping(*asked: Any) -> Any:
            await due.wait()
            return await listed(*asked)

        monkeypatch.setattr(core.engine, "conversations", wait_for_the_ping)
        node = SimpleNamespace(
            settings=Settings(),
            log=core.log,
            running=core.running,
            streams=Streams(9),
            broadcast=SimpleNamespace(tail=SimpleNamespace(listeners={})),
        )
        socket = Socket(node, {"headers": []})  # type: ignore[arg-type, typeddict-item]
        socket._turn = Turn()
        running = asyncio.create_task(socket({"type": "websocket"}, receive, send))  # type: ignore[typeddict-item]
        await said.wait()
        running.cancel()

    assert next(message["type"] for message in sent if "stream" in message) == "hello"


@pytest.mark.timeout(60)
async def test_a_request_is_done_however_often_its_socket_is_cut() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    task = asyncio.create_task(finished(work()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await turns(2)
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


class Still(asyncio.Transport):
    """A transport that takes everything and brings nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def set_protocol(self, protocol: Any) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None: ...


class Clock:
    """The loop, with a time that a test moves; `due` is what was to be called last."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: Callable[[], object] = list
        self.call_soon = asyncio.get_running_loop().call_soon

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Any:
        self.due = callback
        return SimpleNamespace(cancel=list)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_everybody_has_a_turn_between_two_requests_of_a_flood() -> None:
    socket = TransportSocket(Still(), ServerState(), chunked=True, read_on=None)
    await socket.accept("", 2000)
    socket.data_received(Frame(Opcode.TEXT, b"{}").serialize(mask=True) * 2000)
    taken: list[bytes] = []

    async def take_all() -> None:
        while True:
            taken.append(await socket.receive())

    taking = asyncio.create_task(take_all())
    for turn in range(2000):
        assert len(taken) <= turn
        await turns(1)
    taking.cancel()

    assert len(taken) > 1900


async def test_while_we_do_not_read_no_message_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, transport = Clock(), Still()
    first, second = (Frame(Opcode.TEXT, text).serialize(mask=True) for text in (b"{}", b" " * 1000))
    socket = TransportSocket(transport, ServerState(), chunked=True, read_on=None)
    await socket.accept("", 2000)
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)

    socket.data_received(first + second[:20])
    await socket.receive()
    socket.data_received(second[20:40])
    clock.now += 60  # our answer takes so long
    clock.due()
    reading = asyncio.create_task(socket.receive())
    await turns(9)
    clock.now += 5
    clock.due()
    socket.data_received(second[40:])
    await turns(9)
    reading.cancel()

    assert transport.written.endswith(b"\r\n\r\n")  # and no close behind the head
    assert reading.result() == b" " * 1000


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
