"""The broadcast channel: the source article's contract, and what it gained, an id and a return."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.api.answers import check_problem
from tests.api.watched import QUICK, WatchedServer
from tests.support.sse import EventStream, Frame

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

JOINED = "A new user joined!"
REFUSED = {"other": "epoch", "ahead": "ahead", "malformed": "epoch", "long": "epoch"}


async def join(server: WatchedServer) -> EventStream:
    """Connect as a newcomer, and return when the join was told."""
    stream = await server.listen("/events")
    while not is_notice(await stream.next()):
        pass
    return stream


def is_notice(frame: Frame) -> bool:
    return frame.event == "message" and not frame.id and frame.data.endswith(" joined!")


def newcomers(notices: list[Frame]) -> int:
    """How many joins were told in all."""
    counts = [re.fullmatch(r"A new user joined!|(\d+) new users joined!", notice.data) for notice in notices]
    assert all(counts)
    return sum(int(count[1] or 1) for count in counts if count)


async def said(stream: EventStream) -> Frame:
    """Return the next text that somebody said."""
    while is_notice(frame := await stream.next()) or frame.event != "message":
        pass
    return frame


async def test_a_message_reaches_every_subscriber(server: WatchedServer):
    async with await join(server) as first, await join(server) as second:
        answer = await server.post("/send-message", {"message": "Hello, all of you"})

        heard = [await said(first), await said(second)]

    assert (answer.status_code, answer.text) == (200, "Message sent successfully!")
    assert answer.headers["content-type"].startswith("text/plain")
    assert [frame.data for frame in heard] == ["Hello, all of you"] * 2
    assert heard[0] == heard[1]
    assert heard[0].event == "message"
    assert heard[0].id == first.frames[0].json["epoch"] + f"-{heard[0].seq:012d}"


async def test_the_bytes_of_a_message_are_the_articles_and_an_id(server: WatchedServer):
    # Who joined in the tests before is told with the first of these two.
    async with await join(server), await join(server) as stream:
        await server.post("/send-message", {"message": "Just these bytes"})
        frame = await said(stream)

    assert stream.raw.endswith(f"id: {frame.id}\ndata: Just these bytes\n\n".encode())
    assert f"\n\ndata: {JOINED}\n\n".encode() in stream.raw


async def test_a_newcomer_is_announced_to_all_and_to_itself(server: WatchedServer):
    async with await join(server) as first, await join(server) as second:
        notice = await first.next()

        assert is_notice(notice)
        assert [frame.data for frame in second.frames if is_notice(frame)] == [JOINED]
        assert notice.data == JOINED
        assert notice.id == ""
        assert first.parser.last_event_id == ""


async def test_a_storm_of_joins_is_told_in_few_notices(server: WatchedServer):
    async with await join(server) as first:
        streams = await asyncio.gather(*(server.listen("/events") for _ in range(40)))

        notices: list[Frame] = []
        while newcomers(notices) < 40:
            notices.append(await first.next())

        assert newcomers(notices) == 40
        assert len(notices) < 40
        for stream in streams:
            stream.cut()


async def test_a_stream_of_the_channel_begins_with_hello_and_no_snapshot(server: WatchedServer):
    await server.post("/send-message", {"message": "Said before you came"})

    async with await join(server) as stream:
        hello, after = stream.frames[0], stream.frames[1:]

    assert set(hello.json) == {"type", "stream", "epoch", "cursor", "resumed", "reason"}
    assert (hello.json["stream"], hello.json["resumed"], hello.json["reason"]) == ("broadcast", False, None)
    assert all(is_notice(frame) for frame in after)
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert re.match(rb"retry: [123]\d{3}\n\nevent: hello\n", stream.raw)


@pytest.mark.parametrize("way", ["header", "query"])
async def test_who_returns_gets_what_was_missed_and_is_not_announced(server: WatchedServer, way: str):
    async with await join(server) as first:
        await server.post("/send-message", {"message": "The last one heard"})
        cursor = (await said(first)).id
    async with await join(server) as witness:
        for number in range(3):
            await server.post("/send-message", {"message": f"Missed {number}"})

        path, header = ("/events", cursor) if way == "header" else (f"/events?after={cursor}", None)
        async with await server.listen(path, header) as returned:
            hello = await returned.next()
            missed = [await returned.next() for _ in range(3)]
            # The next newcomer's notice comes behind any that the return would have caused.
            async with await join(server):
                notice = await returned.next()

        assert (hello.json["resumed"], hello.json["cursor"]) == (True, cursor)
        assert [frame.data for frame in missed] == ["Missed 0", "Missed 1", "Missed 2"]
        assert [frame.seq for frame in missed] == [hello_seq(hello) + by for by in (1, 2, 3)]
        assert notice.data == JOINED
        heard = [await witness.next() for _ in range(4)]
        assert [frame.data for frame in heard] == ["Missed 0", "Missed 1", "Missed 2", JOINED]


def hello_seq(hello: Frame) -> int:
    return int(hello.json["cursor"].rpartition("-")[2])


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_refused_cursor_goes_on_from_the_head_without_a_snapshot(server: WatchedServer, kind: str):
    await server.post("/send-message", {"message": "The newest before"})
    async with await join(server) as stream:
        head = stream.frames[0].json["cursor"]
    epoch, seq = head.split("-")
    asked = await server.ask("Another stream", **QUICK)
    cursors = {
        "other": asked["cursor"],
        "ahead": f"{epoch}-{int(seq) + 1:012d}",
        "malformed": f"{epoch}-{int(seq)}",
        "long": "x" * 10_000,
    }

    async with await join(server) as witness, await server.listen("/events", cursors[kind]) as returned:
        hello = await returned.next()
        await server.post("/send-message", {"message": "The next one"})
        frame = await returned.next()
        heard = await witness.next()

    assert (hello.json["resumed"], hello.json["reason"]) == (False, REFUSED[kind])
    assert hello.json["cursor"] == head
    assert (frame.event, frame.data, frame.seq) == ("message", "The next one", int(seq) + 1)
    assert heard.data == "The next one"  # nobody was announced


async def test_from_start_gives_all_that_is_kept(server: WatchedServer):
    for number in range(20):
        await server.post("/send-message", {"message": f"Kept message {number}"})
    async with await join(server) as newcomer:
        head = hello_seq(newcomer.frames[0])

    async with await server.listen("/events?from=start") as stream:
        while not stream.events() or stream.events()[-1].seq < head:
            await stream.next()

    kept = stream.events()
    assert [frame.seq for frame in kept] == list(range(1, head + 1))
    assert [frame.data for frame in kept][-20:] == [f"Kept message {number}" for number in range(20)]


@pytest.mark.parametrize(
    "message",
    [
        "one\ntwo",
        "one\rtwo",
        "one\r\ntwo",
        "one\n\ntwo",
        "\n",
        "\nleading and trailing\n",
        "\r\r\n\n",
        "id: evil\nevent: bye\nretry: 1\ndata: x\n\n: comment",
        " leading space",
        ":colon",
        "",
        "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e",
        "\u202eright to left\u200b\u200d",
        "\ufeffmark",
        "\x01\x1b[31m\x7f",
        "e" + "\u0301" * 1000,
        "\U0001f9ea\U0010ffff\ufffe",
    ],
    ids=ascii,
)
async def test_any_text_travels(server: WatchedServer, message: str):
    async with await join(server) as stream:
        answer = await server.post("/send-message", {"message": message})

        frame = await said(stream)

    assert answer.status_code == 200
    assert frame.data == re.sub("\r\n|\r", "\n", message)
    assert (frame.event, stream.parser.retry, stream.parser.last_event_id) == ("message", stream.parser.retry, frame.id)
    assert 1000 <= (stream.parser.retry or 0) <= 3000


@pytest.mark.parametrize("message", ["\0", "a\0b", "a\n\0"], ids=ascii)
async def test_nul_is_refused(server: WatchedServer, message: str):
    async with await join(server) as stream:
        answer = await server.post("/send-message", {"message": message})
        await server.post("/send-message", {"message": "Said after the refusal"})

        frame = await said(stream)

    check_problem(answer, 422, "A broadcast message must not hold NUL.", path="message")
    assert frame.data == "Said after the refusal"
    assert frame.seq == hello_seq(stream.frames[0]) + 1


async def test_messages_of_many_senders_have_one_order(server: WatchedServer):
    async with await join(server) as first, await join(server) as second:
        await asyncio.gather(*(server.post("/send-message", {"message": f"Sender {n:02}"}) for n in range(30)))

        heard = [[await said(stream) for _ in range(30)] for stream in (first, second)]

    assert heard[0] == heard[1]
    assert sorted(frame.data for frame in heard[0]) == [f"Sender {n:02}" for n in range(30)]
    assert [frame.seq for frame in heard[0]] == list(range(heard[0][0].seq, heard[0][0].seq + 30))


async def test_what_was_said_survives_kill_9(start_server):
    server = await start_server()
    async with await join(server) as stream:
        await server.post("/send-message", {"message": "Said before the end"})
        heard = await said(stream)

    await server.restart()

    async with await server.listen("/events", stream.frames[0].json["cursor"]) as returned:
        hello = await returned.next()
        frame = await returned.next()
    assert hello.json["resumed"] is True
    assert frame == heard
