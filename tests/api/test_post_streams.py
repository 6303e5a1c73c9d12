"""A POST that is answered with the reply itself: as an event stream, or as bare text for `curl -N`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

DOORS = ["create", "ask", "retry"]
TEXT = "One two\n\n three \U0001f9ea four"


async def door(server: WatchedServer, name: str) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that make a reply with `TEXT` by that door."""
    if name == "create":
        return "/conversations", {"prompt": TEXT, **QUICK}
    asked = await server.ask(TEXT, **QUICK)
    await server.ended(asked)
    if name == "ask":
        return path_of(asked) + "/messages", {"prompt": TEXT, **QUICK}
    return f"{path_of(asked)}/replies/{asked['reply']['id']}/retry", {}


@pytest.mark.parametrize("name", DOORS)
async def test_a_post_that_accepts_a_stream_gets_its_reply_as_events(server: WatchedServer, name: str):
    path, body = await door(server, name)

    async with await server.pour(body, path) as stream:
        frames = await stream.rest()

    hello, events = frames[0].json, [frame.json for frame in stream.events()]
    conversation_id, reply_id = stream.headers["x-conversation-id"], stream.headers["x-reply-id"]
    assert stream.status == 201
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["location"] == f"/conversations/{conversation_id}"
    assert stream.raw.startswith(b"retry: ")
    assert (hello["conversation_id"], hello["reply_id"]) == (conversation_id, reply_id)
    assert (hello["type"], hello["stream"]) == ("hello", f"conversation/{conversation_id}")
    created = ["reply.created"] if name == "retry" else ["message.created", "reply.created"]
    assert [event["type"] for event in events][: len(created) + 1] == [*created, "reply.started"]
    assert events[-1]["type"] == "reply.ended"
    assert text_of(events) == events[-1]["text"] == TEXT
    first = int(hello["cursor"].rpartition("-")[2]) + 1
    assert [frame.seq for frame in stream.events()] == list(range(first, first + len(events)))
    assert (await server.get(f"/conversations/{conversation_id}/replies/{reply_id}")).json()["reply"]["text"] == TEXT


@pytest.mark.parametrize("name", DOORS)
async def test_a_post_that_accepts_text_gets_the_bare_text(server: WatchedServer, name: str):
    path, body = await door(server, name)

    async with await server.pour(body, path, accept="text/plain") as stream:
        await stream.rest()

    conversation_id, reply_id = stream.headers["x-conversation-id"], stream.headers["x-reply-id"]
    assert stream.status == 201
    assert stream.headers["content-type"] == "text/plain; charset=utf-8"
    assert stream.headers["location"] == f"/conversations/{conversation_id}"
    assert stream.raw.decode() == TEXT
    assert (await server.get(f"/conversations/{conversation_id}/replies/{reply_id}")).json()["reply"]["text"] == TEXT


async def test_thoughts_and_tools_are_not_in_the_bare_text(server: WatchedServer):
    options = {"tokens": 20, "reasoning_tokens": 20, "tool_call": True, "first_token_delay": 0}

    async with await server.pour(
        {"prompt": "Think, then speak", "responder": "mock", "options": options | {"tokens_per_second": None}},
        accept="text/plain",
    ) as stream:
        await stream.rest()

    reply_path = f"/conversations/{stream.headers['x-conversation-id']}/replies/{stream.headers['x-reply-id']}"
    reply = (await server.get(reply_path)).json()["reply"]
    assert [part["type"] for part in reply["parts"]] == ["reasoning", "tool_call", "tool_result", "text"]
    assert stream.raw.decode() == reply["text"] != ""


async def test_text_is_sent_as_it_is_written(server: WatchedServer):
    async with await server.pour({"prompt": "Say one word", **HALTING}, accept="text/plain") as stream:
        word = await stream._chunk()

        await server.post(f"{stream.headers['location']}/replies/{stream.headers['x-reply-id']}/stop")

        await stream.rest()
    assert stream.raw == word != b""


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
async def test_the_answer_ends_with_its_own_reply_whatever_follows(server: WatchedServer, accept: str):
    async with await server.pour({"prompt": "Be quiet", **SILENT}, accept=accept) as stream:
        conversation = stream.headers["location"]
        queued = {"prompt": "And then this", "if_running": "queue", **SILENT}
        later = await server.ask(path=conversation + "/messages", **queued)

        await server.post(f"{conversation}/replies/{stream.headers['x-reply-id']}/stop")

        frames = await stream.rest()
    if accept == "text/plain":
        assert stream.raw == b""
    else:
        assert frames[-1].event == "reply.ended"
        assert frames[-1].json["reply_id"] == stream.headers["x-reply-id"]
    await server.stop_reply(later)


async def test_a_queued_prompt_streams_from_its_own_event_on(server: WatchedServer):
    first = await server.ask("Be quiet", **SILENT)

    async with await server.pour(
        {"prompt": "And then this", "if_running": "queue", **QUICK}, path_of(first) + "/messages"
    ) as stream:
        assert (await stream.until("message.created")).json["message"]["text"] == "And then this"
        await server.stop_reply(first)
        frames = await stream.rest()

    endings = [frame.json["reply_id"] for frame in frames if frame.event == "reply.ended"]
    assert endings == [first["reply"]["id"], stream.headers["x-reply-id"]]


async def test_who_leaves_the_answer_does_not_stop_the_reply(server: WatchedServer):
    async with await server.pour({"prompt": "Say one word", **HALTING}) as stream:
        cursor = (await stream.until("reply.delta")).id

    path = stream.headers["location"]
    async with await server.listen(path + "/events?until=idle", cursor) as resumed:
        assert (await resumed.next()).json["resumed"] is True
        await server.post(f"{path}/replies/{stream.headers['x-reply-id']}/stop")
        assert [frame.event for frame in await resumed.rest()] == ["reply.ended"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        ("text/event-stream, */*;q=0.1", "text/event-stream; charset=utf-8"),
        ("text/plain;q=0.5, text/event-stream", "text/event-stream; charset=utf-8"),
        ("application/json;q=0.5, text/plain", "text/plain; charset=utf-8"),
        ("", "application/json"),
        (";;;,,,q=x", "application/json"),
    ],
)
async def test_accept_chooses_the_form_of_the_answer(server: WatchedServer, accept: str, media_type: str):
    async with await server.pour({"prompt": "Which form?", **QUICK}, accept=accept) as stream:
        await stream.rest()

    assert (stream.status, stream.headers["content-type"]) == (201, media_type)


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
async def test_a_refusal_is_a_problem_whatever_is_accepted(server: WatchedServer, accept: str):
    answer = await server.client.post(server.url + "/conversations", json={"prompt": " "}, headers={"Accept": accept})

    check_problem(answer, 422, "A prompt must hold a character that is not white space.", path="prompt")


async def test_a_repeated_stream_ends_with_its_own_reply_whatever_came_after(server: WatchedServer):
    body, key = {"prompt": TEXT, **QUICK}, {"Idempotency-Key": "a stream with a future"}
    async with await server.pour(body, headers=key) as stream:
        first = await stream.rest()
    path = f"/conversations/{stream.headers['x-conversation-id']}/messages"
    for number in range(3):
        await server.ended(await server.ask(f"Later prompt {number}", path, **QUICK))

    async with await server.pour(body, headers=key) as stream:
        again = await stream.rest()

    assert stream.headers["idempotency-replayed"] == "true"
    assert [frame.data for frame in again[1:]] == [frame.data for frame in first[1:]]
