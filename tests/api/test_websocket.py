"""The WebSocket: the same events and promises as event streams have, and all that can be asked on it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.api.answers import INTERNALS
from tests.api.sockets import Socket, frame, ids, open_raw, stream_of, text
from tests.api.test_verdicts import FAR_BEHIND, move
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of, reply_path, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def socket(server: WatchedServer) -> AsyncIterator[Socket]:
    """An open WebSocket."""
    async with await Socket.open(server) as socket:
        yield socket


def without_stream(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name != "stream"} for event in events]


# Streams


async def test_a_conversation_is_followed_from_its_first_prompt_to_its_ending(server: WatchedServer, socket: Socket):
    asked = await socket.do("create", prompt="Say this back to me", **QUICK)

    hello = await socket.subscribe(stream_of(asked), asked["cursor"])
    ending = await socket.until("reply.ended", reply_id=asked["reply"]["id"])

    events = socket.events(stream_of(asked))
    assert (hello["resumed"], hello["cursor"]) == (True, asked["cursor"])
    assert text_of(events) == ending["text"] == "Say this back to me"
    assert ending["text_sha256"] == hashlib.sha256(ending["text"].encode()).hexdigest()
    assert without_stream(events) == await server.log_of(asked)


async def test_two_doors_say_the_same_of_every_event(server: WatchedServer, socket: Socket):
    asked = await server.ask("Begun by HTTP", **HALTING)

    async with await server.listen(asked["events"], asked["cursor"]) as beside:
        await socket.subscribe(stream_of(asked), asked["cursor"])
        await socket.until("reply.delta")
        stopped = await socket.do("stop", **ids(asked))
        ending = await socket.until("reply.ended")
        await beside.until("reply.ended")

    assert stopped["reply"] == (await server.get(reply_path(asked))).json()["reply"]
    assert (stopped["reply"]["status"], stopped["reply"]["text"]) == ("cancelled", ending["text"])
    assert without_stream(socket.events(stream_of(asked))) == [f.json | {"id": f.id} for f in beside.events()]


async def test_what_began_here_is_resumed_as_an_event_stream(server: WatchedServer, socket: Socket):
    asked = await socket.do("create", prompt="Begun here", **HALTING)
    await socket.subscribe(stream_of(asked), asked["cursor"])
    seen = await socket.until("reply.delta")
    await socket.connection.close()

    async with await server.listen(asked["events"], seen["id"]) as stream:
        hello = await stream.next()
        await server.stop_reply(asked)
        ending = await stream.until("reply.ended")

    assert hello.json["resumed"]
    assert (ending.json["text"], ending.seq) == (seen["text"], int(seen["id"][-12:]) + 1)


async def test_a_closed_socket_resumes_with_its_cursor(server: WatchedServer):
    asked = await server.ask("one two three four five six seven", **QUICK)
    await server.ended(asked)
    log = await server.log_of(asked)

    for event in log:
        async with await Socket.open(server) as socket:
            await socket.subscribe(stream_of(asked), event["id"])
            await socket.do("unsubscribe", stream=stream_of(asked))
            assert without_stream(socket.events(stream_of(asked))) == log[log.index(event) + 1 :]


async def test_ten_conversations_go_on_one_socket(server: WatchedServer, socket: Socket):
    asked = [await socket.do("create", prompt=f"Number {n} of ten goes on", **QUICK) for n in range(10)]
    for each in asked:
        await socket.subscribe(stream_of(each), each["cursor"])
    further = [
        await socket.do(
            "ask", conversation_id=each["conversation"]["id"], prompt="And more", if_running="queue", **QUICK
        )
        for each in asked
    ]
    missing = {each["reply"]["id"] for each in asked + further}
    while missing - {message.get("reply_id") for message in socket.heard if message["type"] == "reply.ended"}:
        await socket.next()

    for each in asked:
        assert without_stream(socket.events(stream_of(each))) == await server.log_of(each)


async def test_after_unsubscribe_nothing_of_the_stream_follows(server: WatchedServer, socket: Socket):
    left, kept = [await server.ask(f"To be {name}", **HALTING) for name in ("left", "kept")]
    for asked in (left, kept):
        await socket.subscribe(stream_of(asked))

    await socket.do("unsubscribe", stream=stream_of(left))
    heard = len(socket.heard)
    for asked in (left, kept):
        await server.stop_reply(asked)
    await socket.until("reply.ended")

    assert {message["stream"] for message in socket.heard[heard:]} == {stream_of(kept)}
    assert (await socket.subscribe(stream_of(left)))["reason"] is None


async def test_the_list_is_a_stream_here_too(server: WatchedServer, socket: Socket):
    hello = await socket.subscribe("conversations")
    snapshot = await socket.until("snapshot")

    asked = await server.ask("Be listed on a socket", **QUICK)
    while (changed := await socket.until("conversation.changed"))["conversation"]["id"] != asked["conversation"]["id"]:
        pass

    assert hello["epoch"] is None
    assert snapshot["conversations"]
    assert changed["stream"] == "conversations"


async def test_a_deleted_conversation_says_bye_and_the_socket_stays(server: WatchedServer, socket: Socket):
    asked = await server.ask("Be deleted", **QUICK)
    await socket.subscribe(stream_of(asked), asked["cursor"])

    await server.client.delete(server.url + path_of(asked))
    bye = await socket.until("bye")
    again = await socket.subscribe(stream_of(asked))

    assert socket.events(stream_of(asked))[-1]["type"] == "conversation.deleted"
    assert bye == {"type": "bye", "reason": "deleted", "stream": stream_of(asked)}
    assert again["epoch"] is None
    assert (await socket.until("bye"))["reason"] == "deleted"


# The broadcast channel


async def test_everybody_hears_a_broadcast_whichever_way_it_comes(server: WatchedServer, socket: Socket):
    words = "from a socket,\r\nin two lines \u2028"
    async with await server.listen("/events") as stream:
        hello = await socket.subscribe("broadcast")
        joined = await socket.until("message")
        assert await socket.do("broadcast", message=words) == {}
        here = await socket.until("message", text=words)
        await stream.until("hello")
        while (there := await stream.until("message")).id != here["id"]:
            pass

    assert here["id"].startswith(hello["epoch"])
    assert there.data == "from a socket,\nin two lines \u2028"
    assert (joined["text"][-7:], "id" in joined, joined["stream"]) == ("joined!", False, "broadcast")


async def test_a_return_to_the_channel_is_no_join(server: WatchedServer, socket: Socket):
    cursor = (await socket.subscribe("broadcast"))["cursor"]
    await socket.until("message")
    async with await Socket.open(server) as back:
        assert (await back.subscribe("broadcast", cursor))["resumed"]

        await back.do("broadcast", message="Nobody has joined before this")

    assert (await socket.until("message"))["text"] == "Nobody has joined before this"


# Commands


async def test_a_retry_stands_beside_the_old_reply(server: WatchedServer, socket: Socket):
    asked = await socket.do("create", prompt="Say it twice", **QUICK)
    await server.ended(asked)

    again = await socket.do("retry", **ids(asked), responder="echo")
    ended = await server.ended(again)

    assert again["reply"]["parent"] == asked["reply"]["parent"]
    assert again["reply"]["id"] != asked["reply"]["id"]
    assert ended["text"] == "Say it twice"


async def test_the_answer_to_a_prompt_is_that_of_http(server: WatchedServer, socket: Socket):
    by_http = await server.ask("Compare me", system="Be brief", title="Compared", **QUICK)

    here = await socket.do("create", prompt="Compare me", system="Be brief", title="Compared", **QUICK)

    assert here.keys() == by_http.keys()
    assert [here[name].keys() for name in ("conversation", "message", "reply")] == [
        by_http[name].keys() for name in ("conversation", "message", "reply")
    ]
    assert here["conversation"]["title"] == "Compared"


async def test_a_key_does_it_once_whatever_the_request_is_called(server: WatchedServer, socket: Socket):
    fields: dict[str, Any] = {"prompt": "Once, on a socket", "idempotency_key": "socket-once", **QUICK}
    first = await socket.ask("create", **fields)
    async with await Socket.open(server) as other:
        second, changed = await other.ask("create", **fields), await other.ask("create", **fields | {"prompt": "Other"})

    assert (first["body"], "replayed" in first) == (second["body"], False)
    assert second["replayed"]
    assert (changed["type"], changed["problem"]["status"]) == ("error", 422)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("key", ["", "é", "x" * 256, "a\nb"])
async def test_a_malformed_key_is_refused(socket: Socket, key: str):
    refused = await socket.ask("create", prompt="With a bad key", idempotency_key=key)

    assert refused["problem"]["status"] == 400


async def test_errors_are_the_problems_of_http(server: WatchedServer, socket: Socket):
    asked = await server.ask("Still running", **SILENT)
    fields: dict[str, Any] = {"prompt": "Too early"}

    here = await socket.ask("ask", conversation_id=asked["conversation"]["id"], **fields)
    by_http = await server.post(path_of(asked) + "/messages", fields)
    await server.stop_reply(asked)

    assert here == {"type": "error", "request": here["request"], "problem": by_http.json()}
    assert here["problem"]["running"] == [asked["reply"]["id"]]


REFUSED: dict[str, tuple[str, dict[str, Any], int, str | None]] = {
    "an unknown type": ("shout", {}, 422, "type"),
    "an unknown field": ("create", {"prompt": "x", "colour": "red"}, 422, "colour"),
    "a missing field": ("create", {}, 422, "prompt"),
    "a prompt of no type": ("create", {"prompt": 5}, 422, "prompt"),
    "a blank prompt": ("create", {"prompt": " \n "}, 422, "prompt"),
    "an unknown responder": ("create", {"prompt": "x", "responder": "nobody"}, 422, "responder"),
    "an option that is none": ("create", {"prompt": "x", **QUICK, "options": {"loud": True}}, 422, "options.loud"),
    "a field of the other prompt": ("create", {"prompt": "x", "if_running": "queue"}, 422, "if_running"),
    "no conversation": ("ask", {"prompt": "x", "conversation_id": "nosuch"}, 404, None),
    "no reply": ("stop", {"conversation_id": "nosuch", "reply_id": "x"}, 404, None),
    "no stream": ("subscribe", {"stream": "Broadcast"}, 422, "stream"),
    "a stream of nobody": ("subscribe", {"stream": "conversation/"}, 422, "stream"),
    "a cursor of no type": ("subscribe", {"stream": "broadcast", "cursor": 5}, 422, "cursor"),
    "nothing to leave": ("unsubscribe", {"stream": "broadcast"}, 404, None),
    "NUL for everybody": ("broadcast", {"message": "a\0b"}, 422, "message"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_request_gets_its_problem_and_the_next_its_answer(socket: Socket, name: str):
    type, fields, status, path = REFUSED[name]

    refused = await socket.ask(type, **fields)

    assert (refused["type"], refused["problem"]["status"], refused["problem"].get("path")) == ("error", status, path)
    assert not INTERNALS.search(refused["problem"]["detail"])
    assert (await socket.subscribe("conversations"))["stream"] == "conversations"


async def test_a_stream_is_subscribed_to_once(socket: Socket):
    await socket.subscribe("conversations")

    refused = await socket.ask("subscribe", stream="conversations")

    assert (refused["problem"]["status"], refused["problem"]["path"]) == (422, "stream")


@pytest.mark.parametrize("name", ["seven", "", 0, -5, 2**53 - 1, "x" * 128])
async def test_an_answer_repeats_what_the_request_is_called(socket: Socket, name: Any):
    await socket.connection.send(json.dumps({"type": "stop", "request": name}))

    assert (await socket.until("error"))["request"] == name


async def test_a_request_without_a_name_is_answered_without_one(socket: Socket):
    await socket.connection.send('{"type": "subscribe", "stream": "broadcast"}')

    assert await socket.next() == {"type": "answer", "body": {"stream": "broadcast"}}


async def test_a_client_that_asks_and_leaves_has_asked(server: WatchedServer):
    raw = await open_raw(server)
    async with raw:
        await raw.send(text(type="create", prompt="Asked and gone", **QUICK) + frame(8))
        await raw.rest()

    titles = [conversation["title"] for conversation in await server.state()]
    assert "Asked and gone" in titles


@pytest.mark.parametrize("close", [b"", frame(8, b"\x03\xe8")], ids=["none", "a close"])
async def test_what_was_asked_is_done_though_the_client_has_hung_up_behind_it(server: WatchedServer, close: bytes):
    prompts = {f"Number {number} behind {close!r}" for number in range(3)}
    async with await open_raw(server) as raw:
        await raw.send(b"".join(text(type="create", prompt=prompt, **QUICK) for prompt in prompts) + close)
        raw.half_close()
        await raw.rest()

    assert prompts <= {conversation["title"] for conversation in await server.state()}


async def test_a_closed_socket_stops_no_reply(server: WatchedServer, socket: Socket):
    asked = await socket.do("create", prompt="Go on without me", **SILENT)
    await socket.subscribe(stream_of(asked), asked["cursor"])
    await socket.until("reply.started")

    await socket.connection.close()

    assert (await server.get(reply_path(asked))).json()["reply"]["status"] == "running"
    assert (await server.stop_reply(asked))["status"] == "cancelled"


# The verdict on a cursor, by the table of G5


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def talk(server: WatchedServer) -> AsyncIterator[dict[str, Any]]:
    """An idle conversation of more events than a reader may be behind; `head` is its cursor."""
    options = {"tokens": FAR_BEHIND + 6, "tokens_per_second": None, "first_token_delay": 0}
    asked = await server.ask("Say very much", responder="mock", options=options)
    await server.ended(asked)
    yield asked | {"head": (await server.get(path_of(asked))).json()["cursor"]}


@pytest.mark.parametrize("behind", [0, 1, 1000, FAR_BEHIND])
async def test_a_cursor_inside_the_log_gets_everything_after_it(socket: Socket, talk: dict, behind: int):
    cursor = move(talk["head"], -behind)

    hello = await socket.subscribe(stream_of(talk), cursor)
    while len(events := socket.events(stream_of(talk))) < behind:
        await socket.next()

    assert (hello["resumed"], hello["reason"], hello["cursor"]) == (True, None, cursor)
    assert [event["id"] for event in events] == [move(cursor, by) for by in range(1, behind + 1)]


CURSORS = {
    "none": (None, None),
    "an empty one": ("", None),
    "too far behind": (-FAR_BEHIND - 1, "behind"),
    "ahead": (1, "ahead"),
    "another epoch": ("aaaaaaaaaaaa-000000000001", "epoch"),
    "no cursor": ("'; DROP TABLE streams; --\0\r\n", "epoch"),
    "10 kB": ("x" * 10_000, "epoch"),
}


@pytest.mark.parametrize("name", CURSORS)
async def test_any_other_cursor_gets_the_verdict_and_a_snapshot(socket: Socket, talk: dict, name: str):
    cursor, reason = CURSORS[name]

    hello = await socket.subscribe(stream_of(talk), move(talk["head"], cursor) if isinstance(cursor, int) else cursor)
    snapshot = await socket.until("snapshot")

    assert (hello["resumed"], hello["reason"], hello["cursor"]) == (False, reason, talk["head"])
    assert (snapshot["id"], snapshot["cursor"], snapshot["stream"]) == (talk["head"], talk["head"], stream_of(talk))


# Pings


async def test_a_quiet_socket_pings_with_each_streams_head(server: WatchedServer, quiet: Any):
    # One stream that begins beside the others would wait fifteen seconds; many sockets wait together.
    async with await Socket.open(server) as bare, await Socket.open(server) as socket:
        hello = await socket.subscribe(stream_of(quiet.asked))
        pings = await asyncio.gather(bare.until("ping"), socket.until("ping"), socket.connection.ping())

        assert pings[:2] == [{"type": "ping"}, {"type": "ping"}]
        ping = await socket.until("ping")
        events = socket.events(stream_of(quiet.asked))  # after two minutes of silence its reply has failed
        head = events[-1]["id"] if events else hello["cursor"]
        assert ping == {"type": "ping", "cursor": head, "stream": stream_of(quiet.asked)}
