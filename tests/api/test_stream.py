"""A conversation's stream over HTTP: what comes first, what keeps it open, what ends it."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

from tests.api.answers import check_problem
from tests.api.bystanders import Quiet
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of
from tests.support.sse import EventStream, Frame

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

PING_SECONDS = 15


async def test_a_stream_says_that_it_is_one(server: WatchedServer):
    asked = await server.ask("Which headers?", **QUICK)

    async with await server.listen(asked["events"]) as stream:
        pass

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers


async def test_a_stream_is_not_compressed_for_who_would_take_it(server: WatchedServer):
    asked = await server.ask("Any compression?", **QUICK)

    async with await server.listen(asked["events"], headers={"Accept-Encoding": "gzip, br, zstd"}) as stream:
        assert (await stream.next()).event == "hello"
        assert "content-encoding" not in stream.headers


async def test_a_stream_begins_with_retry_and_hello(server: WatchedServer):
    asked = await server.ask("What comes first?", **QUICK)
    await server.ended(asked)
    epoch, _, _ = asked["cursor"].rpartition("-")

    async with await server.listen(asked["events"]) as stream:
        hello = await stream.next()
        snapshot = await stream.next()

    assert re.match(rb"retry: [123]\d{3}\n\nevent: hello\ndata: \{[^\n]+\}\n\nid: ", stream.raw)
    assert (hello.event, hello.id) == ("hello", "")
    assert hello.json == {
        "type": "hello",
        "stream": f"conversation/{asked['conversation']['id']}",
        "epoch": epoch,
        "cursor": snapshot.id,
        "resumed": False,
        "reason": None,
    }
    assert (snapshot.event, snapshot.json["cursor"]) == ("snapshot", snapshot.id)


async def test_retry_is_drawn_per_stream_between_one_and_three_seconds(server: WatchedServer):
    asked = await server.ask("When to come back?", **QUICK)
    await server.ended(asked)
    drawn = []

    for _ in range(20):
        async with await server.listen(asked["events"]) as stream:
            await stream.next()
            drawn.append(stream.parser.retry)

    assert all(1000 <= milliseconds <= 3000 for milliseconds in drawn)
    assert len(set(drawn)) > 10


async def test_an_event_has_a_cursor_a_type_and_one_line_of_json(server: WatchedServer):
    asked = await server.ask("a\r\n\r\nb\u2028c\u0085d\u0000e\n\nevent: evil\nid: evil", **QUICK)
    await server.ended(asked)

    async with await server.listen(asked["events"] + "?from=start&until=idle") as stream:
        await stream.rest()

    log = stream.raw.partition(b"event: hello")[2].partition(b"\n\n")[2].removesuffix(b"\n\n").split(b"\n\n")
    epoch = asked["cursor"].rpartition("-")[0].encode()
    for number, frame in enumerate(log, start=1):
        assert re.fullmatch(rb'id: %s-%012d\nevent: ([a-z_.]+)\ndata: \{"type":"\1"[^\r\n]*\}' % (epoch, number), frame)
    assert len(log) == len(stream.events())
    assert stream.events()[0].json["message"]["text"] == asked["message"]["text"]


async def test_two_subscribers_get_the_same_bytes(server: WatchedServer):
    options = {"responder": "mock", "options": {"tokens": 60, "tokens_per_second": 300, "first_token_delay": 0.05}}
    asked = await server.ask("Say the same to both", **options)

    async def body(path: str) -> bytes:
        async with await server.listen(asked["events"] + path, asked["cursor"]) as stream:
            await stream.rest()
            return stream.raw.partition(b"event: hello")[2].partition(b"\n\n")[2]

    live = await asyncio.gather(*(body("?until=idle") for _ in range(3)))
    late = await body("?until=idle")

    assert len({*live, late}) == 1
    assert live[0].count(b"event: reply.delta") == 60


async def test_from_start_gives_the_whole_log_instead_of_a_snapshot(server: WatchedServer):
    asked = await server.ask("From the start", **QUICK)
    await server.ended(asked)

    async with await server.listen(asked["events"] + "?from=start&until=idle") as stream:
        frames = await stream.rest()

    assert [frame.event for frame in frames][:3] == ["hello", "message.created", "reply.created"]
    assert (frames[0].json["resumed"], frames[0].json["reason"]) == (False, None)
    assert frames[0].json["cursor"] == asked["cursor"]
    assert [frame.seq for frame in frames[1:]] == list(range(1, len(frames)))


async def test_a_cursor_wins_over_from_start(server: WatchedServer):
    asked = await server.ask("One two three", **QUICK)
    await server.ended(asked)
    cursor = (await server.log_of(asked))[2]["id"]

    async with await server.listen(asked["events"] + "?from=start&until=idle", cursor) as stream:
        frames = await stream.rest()

    assert frames[0].json["resumed"] is True
    assert frames[1].seq == 4


async def test_until_idle_ends_when_nothing_runs_any_more(server: WatchedServer):
    first = await server.ask("The long one", **SILENT)
    await server.ask("The queued one", path_of(first) + "/messages", if_running="queue", **QUICK)
    async with await server.listen(first["events"] + "?until=idle") as stream:
        await stream.until("snapshot")

        await server.stop_reply(first)

        frames = await stream.rest()
    assert [frame.event for frame in frames].count("reply.ended") == 2
    assert frames[-1].event == "reply.ended"


async def test_until_idle_on_an_idle_conversation_ends_after_what_was_missed(server: WatchedServer):
    asked = await server.ask("All is said", **QUICK)
    await server.ended(asked)

    async with await server.listen(asked["events"] + "?until=idle") as stream:
        frames = await stream.rest()
    async with await server.listen(asked["events"] + "?until=idle", asked["cursor"]) as resumed:
        missed = await resumed.rest()

    assert [frame.event for frame in frames] == ["hello", "snapshot"]
    assert missed[-1].event == "reply.ended"


async def test_a_reconnect_at_the_head_with_nothing_running_gets_204(server: WatchedServer):
    asked = await server.ask("All is said", **QUICK)
    await server.ended(asked)
    head = (await server.get(path_of(asked))).json()["cursor"]

    by_header = await server.get(asked["events"] + "?until=idle", headers={"Last-Event-ID": head})
    by_query = await server.get(asked["events"] + f"?until=idle&after={head}")

    assert (by_header.status_code, by_header.content) == (204, b"")
    assert (by_query.status_code, by_query.content) == (204, b"")


async def test_only_until_idle_brings_the_204_and_only_when_nothing_runs(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        await stream.until("reply.delta")
        async with await server.listen(asked["events"] + "?until=idle", stream.parser.last_event_id) as running:
            assert (running.status, (await running.next()).json["resumed"]) == (200, True)
    await server.stop_reply(asked)
    head = (await server.get(path_of(asked))).json()["cursor"]

    async with await server.listen(asked["events"], head) as stays:
        hello = await stays.next()

        assert (stays.status, hello.json["resumed"]) == (200, True)
        await server.ask("Go on then", path_of(asked) + "/messages", **QUICK)
        assert (await stays.next()).event == "message.created"


@pytest.mark.parametrize("query", ["from=end", "from=START", "until=forever", "from=start&from=start", "until=1"])
async def test_a_bad_query_value_of_a_stream_is_refused(server: WatchedServer, query: str):
    asked = await server.ask("Which query?", **QUICK)

    answer = await server.get(f"{asked['events']}?{query}")

    check_problem(answer, 422, path=query.partition("=")[0])


async def test_no_event_of_another_conversation_is_on_a_stream(server: WatchedServer):
    asked = [await server.ask(f"Number {number} of eight talkers", **QUICK) for number in range(8)]
    for one in asked:
        await server.ended(one)

    logs = [await server.log_of(one) for one in asked]

    for one, log in zip(asked, logs, strict=True):
        replies = {event["reply_id"] for event in log if "reply_id" in event}
        assert replies == {one["reply"]["id"]}


async def test_quiet_streams_are_pinged_every_15_seconds_with_the_head(server: WatchedServer, quiet: Quiet):
    head = (await server.get(path_of(quiet.asked))).json()["cursor"]

    for stream in quiet.streams:
        await stream.until("ping", within=PING_SECONDS + 45)
        pings = await pings_so_far(stream)
        now = asyncio.get_running_loop().time()

        assert (now - quiet.opened) / PING_SECONDS - 1.2 <= len(pings) <= (now - quiet.began) / PING_SECONDS
        assert {ping.id for ping in pings} == {""}
        assert all(ping.json["cursor"].startswith(stream.frames[0].json["epoch"]) for ping in pings)
    assert {frame.json["cursor"] for frame in quiet.streams[0].frames if frame.event == "ping"} == {head}


async def pings_so_far(stream: EventStream) -> list[Frame]:
    with suppress(TimeoutError):
        while True:
            await stream.next(within=0.2)
    return [frame for frame in stream.frames if frame.event == "ping"]
