"""The list as a stream, and many streams on one connection."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of
from tests.support.sse import EventStream, Frame

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


def stream_of(asked: dict[str, Any]) -> str:
    return f"conversation/{asked['conversation']['id']}"


def watch(*names: str) -> str:
    return "/streams?" + "&".join(f"watch={name}" for name in names)


async def until(stream: EventStream, true: Callable[[Frame], bool]) -> Frame:
    while not true(frame := await stream.next()):
        pass
    return frame


async def changed(stream: EventStream, asked: dict[str, Any], true: Callable[[dict[str, Any]], bool]) -> Any:
    """Return the conversation as the list tells it, once `true` holds."""
    while True:
        told = (await stream.until("conversation.changed")).json["conversation"]
        if told["id"] == asked["conversation"]["id"] and true(told):
            return told


# The list


async def test_the_list_begins_with_hello_and_its_first_page(server: WatchedServer):
    await server.ask("Be on the first page", **QUICK)
    page = (await server.get("/conversations")).json()["conversations"]

    async with await server.listen("/conversations/events") as stream:
        hello, snapshot = await stream.next(), await stream.next()

    assert stream.parser.retry
    assert hello.json == {
        "type": "hello",
        "stream": "conversations",
        "epoch": None,
        "cursor": None,
        "resumed": False,
        "reason": None,
    }
    assert (snapshot.event, snapshot.id) == ("snapshot", "")
    shown = {conversation["id"]: conversation for conversation in snapshot.json["conversations"]}
    assert shown.keys() >= {conversation["id"] for conversation in page[:5]}


async def test_the_list_follows_a_conversation_through_its_life(server: WatchedServer):
    async with await server.listen("/conversations/events") as stream:
        await stream.until("snapshot")
        asked = await server.ask("Live, and be listed", **HALTING)

        begun = await changed(stream, asked, lambda told: bool(told["running"]))
        await server.client.patch(server.url + path_of(asked), json={"title": "Another name"})
        renamed = await changed(stream, asked, lambda told: told["title"] == "Another name")
        await server.stop_reply(asked)
        ended = await changed(stream, asked, lambda told: not told["running"])
        await server.client.delete(server.url + path_of(asked))
        deleted = await stream.until("conversation.deleted")

    assert begun == asked["conversation"]
    assert renamed["running"] == [asked["reply"]["id"]]
    assert ended["updated_at"] > renamed["updated_at"]
    assert deleted.json == {"type": "conversation.deleted", "id": asked["conversation"]["id"]}
    assert not any(frame.id for frame in stream.frames)


async def test_the_list_says_nothing_of_tokens(server: WatchedServer):
    async with await server.listen("/conversations/events") as stream:
        await stream.until("snapshot")
        asked = await server.ask("one two three four five six seven", responder="echo")
        await server.ended(asked)
        await changed(stream, asked, lambda told: not told["running"])

    mine = [f for f in stream.frames if f.event == "conversation.changed" and asked["conversation"]["id"] in f.data]
    assert 1 <= len(mine) <= 2


async def test_the_list_takes_no_cursor(server: WatchedServer):
    async with await server.listen("/conversations/events", "rubbish") as stream:
        assert (await stream.next()).json["reason"] is None
        assert (await stream.next()).event == "snapshot"


# Many streams


async def test_many_streams_come_on_one_connection(server: WatchedServer):
    one = await server.ask("First of two", responder="echo")
    other = await server.ask("Second of two", responder="echo")
    await asyncio.gather(server.ended(one), server.ended(other))
    names = [f"{stream_of(one)}@{one['cursor']}", f"{stream_of(other)}@", "conversations@", "broadcast@"]

    async with await server.listen(watch(*names)) as stream:
        ending = await until(stream, lambda frame: frame.event == "reply.ended")
        notice = await until(stream, lambda frame: frame.event == "message" and not frame.id)
        hellos = {frame.json["stream"]: frame.json for frame in stream.frames if frame.event == "hello"}
        snapshots = [frame for frame in stream.frames if frame.event == "snapshot"]

    assert list(hellos) == [stream_of(one), stream_of(other), "conversations", "broadcast"]
    assert [hellos[stream_of(asked)]["resumed"] for asked in (one, other)] == [True, False]
    assert ending.id.startswith(hellos[stream_of(one)]["epoch"])
    assert [frame.json["stream"] for frame in snapshots] == [stream_of(other), "conversations"]
    assert snapshots[0].id.startswith(hellos[stream_of(other)]["epoch"])
    assert "joined!" in notice.data


async def test_each_stream_goes_on_live_with_the_frames_that_all_get(server: WatchedServer):
    one, other = [await server.ask(f"Go on, {name}", **HALTING) for name in ("one", "two")]

    async with (
        await server.listen(watch(f"{stream_of(one)}@{one['cursor']}", f"{stream_of(other)}@", "broadcast@")) as many,
        await server.listen(one["events"], one["cursor"]) as alone,
    ):
        await until(many, lambda frame: frame.event == "snapshot")
        await asyncio.gather(server.stop_reply(one), server.stop_reply(other))
        await server.post("/send-message", {"message": "heard beside the rest"})
        seen = {await _reply_ended(many), await _reply_ended(many)}
        said = await until(many, lambda frame: frame.data == "heard beside the rest")
        await alone.until("reply.ended")
        epoch = one["cursor"].partition("-")[0]

    assert seen == {one["reply"]["id"], other["reply"]["id"]}
    assert said.id
    assert [f for f in many.events() if f.id.startswith(epoch)] == alone.events()


async def _reply_ended(stream: EventStream) -> str:
    return str((await stream.until("reply.ended")).json["reply_id"])


async def test_a_deleted_conversation_ends_its_stream_and_no_other(server: WatchedServer):
    gone, stays = await server.ask("Be deleted", **QUICK), await server.ask("Stay", **SILENT)

    async with await server.listen(watch(f"{stream_of(gone)}@{gone['cursor']}", f"{stream_of(stays)}@")) as stream:
        await until(stream, lambda frame: frame.event == "snapshot")
        await server.client.delete(server.url + path_of(gone))
        bye = await stream.until("bye")
        await server.stop_reply(stays)
        await stream.until("reply.ended")

    assert bye.json == {"type": "bye", "reason": "deleted", "stream": stream_of(gone)}
    assert [frame.event for frame in stream.frames if frame.event == "conversation.deleted"]


async def test_a_conversation_that_is_not_there_is_over_at_once(server: WatchedServer):
    stays = await server.ask("Stay here", **SILENT)

    async with await server.listen(watch("conversation/nosuch@", f"{stream_of(stays)}@")) as stream:
        bye = await stream.until("bye")
        await server.stop_reply(stays)
        await stream.until("reply.ended")

    assert bye.json == {"type": "bye", "reason": "deleted", "stream": "conversation/nosuch"}


async def test_a_connection_whose_streams_are_all_over_ends(server: WatchedServer):
    async with await server.listen(watch("conversation/nosuch@", "conversation/neither")) as stream:
        frames = await stream.rest()

    assert [frame.json["stream"] for frame in frames if frame.event == "bye"] == [
        "conversation/nosuch",
        "conversation/neither",
    ]


async def test_last_event_id_means_nothing_to_many_streams(server: WatchedServer):
    asked = await server.ask("Which cursor?", **QUICK)
    await server.ended(asked)

    async with await server.listen(watch(f"{stream_of(asked)}@{asked['cursor']}"), "rubbish") as stream:
        hello = await stream.next()

    assert (hello.json["resumed"], hello.json["cursor"]) == (True, asked["cursor"])


async def test_a_return_to_the_broadcast_channel_is_no_join(server: WatchedServer):
    async with await server.listen("/events") as stream:
        cursor = (await stream.next()).json["cursor"]
        await until(stream, lambda frame: "joined" in frame.data)

        async with await server.listen(watch(f"broadcast@{cursor}")) as back:
            await back.next()
            await server.post("/send-message", {"message": "Nobody joined before this"})
            seen = await until(stream, lambda frame: frame.event == "message")

    assert seen.data == "Nobody joined before this"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?watch=",
        "?watch=@",
        "?watch=nonsense@",
        "?watch=conversation/@",
        "?watch=conversation@",
        "?watch=Broadcast@",
        "?watch=broadcast@&watch=broadcast@x",
        "?watch=%00",
    ],
)
async def test_what_names_no_stream_is_refused(server: WatchedServer, query: str):
    check_problem(await server.get("/streams" + query), 422, path="watch")


async def test_every_watched_stream_counts(start_server: Callable[..., Awaitable[WatchedServer]]):
    server = await start_server(max_streams=2)

    async with await server.listen(watch("broadcast@", "conversations@")) as full:
        await until(full, lambda frame: frame.event == "snapshot")
        async with await server.listen(watch("broadcast@", "conversations@")) as refused:
            frames = await refused.rest()

    assert refused.status == 200
    assert [(frame.event, frame.json["reason"], frame.json["stream"]) for frame in frames] == [
        ("bye", "overloaded", "broadcast"),
        ("bye", "overloaded", "conversations"),
    ]
    assert refused.parser.retry


async def test_a_drain_keeps_the_connection_while_a_reply_runs_on_it(
    start_server: Callable[..., Awaitable[WatchedServer]],
):
    server = await start_server()
    asked = await server.ask("Run through the drain", **HALTING)

    async with await server.listen(watch("broadcast@", f"{stream_of(asked)}@{asked['cursor']}")) as stream:
        await stream.until("reply.delta")
        await server.signal(signal.SIGTERM)
        while (await server.get("/health/ready")).status_code == 200:
            pass
        await server.stop_reply(asked)
        frames = await stream.rest()

    frames = [frame for frame in frames if frame.event != "message"]  # the notice of our own join may come late
    assert [frame.json["reason"] for frame in frames if frame.event == "bye"] == ["drain", "drain"]
    assert [frame.event for frame in frames] == ["reply.ended", "bye", "bye"]


async def test_a_drain_says_bye_on_the_list_at_once(start_server: Callable[..., Awaitable[WatchedServer]]):
    server = await start_server()

    async with (
        await server.listen("/conversations/events") as alone,
        await server.listen(watch("conversations@")) as named,
    ):
        for stream in (alone, named):
            await stream.until("snapshot")
        await server.signal(signal.SIGTERM)
        ends = [await stream.rest() for stream in (alone, named)]

    assert [[frame.json["reason"] for frame in end] for end in ends] == [["drain"], ["drain"]]


async def test_a_stream_that_is_over_leaves_its_place_while_others_go_on(
    start_server: Callable[..., Awaitable[WatchedServer]],
):
    server = await start_server(max_streams=3)

    async with await server.listen(watch("broadcast@", "conversation/nosuch@", "conversation/neither@")) as stream:
        for _ in range(2):
            await stream.until("bye")
        async with await server.listen(watch("broadcast@x", "conversations@")) as other:
            assert (await other.next()).event == "hello"
