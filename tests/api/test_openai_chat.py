"""Chat completions over bare HTTP: what is answered, where a history goes, what is kept of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.chats import (
    ECHO,
    ONE_TOKEN,
    PATH,
    WAITS,
    assistant,
    body,
    chunks_of,
    complete,
    pour,
    reply_of,
    reply_path,
    stopped,
    text_of,
    user,
)
from tests.api.raw import Raw
from tests.api.watched import WatchedServer

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

Start = Callable[..., Awaitable[WatchedServer]]
TEXT = "One two\n\n three \U0001f9ea four"
CALL = {"id": "call-1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}


async def texts(server: WatchedServer, headers: Any) -> list[tuple[str, str | None, str]]:
    """The messages of a conversation: role, place of the parent, text."""
    path = f"/conversations/{headers['x-conversation-id']}/messages"
    messages = (await server.get(path)).json()["messages"]
    places = {message["id"]: str(place) for place, message in enumerate(messages)}
    return [(message["role"], places.get(message["parent"]), message["text"]) for message in messages]


async def test_a_whole_answer_says_what_the_reply_says(server: WatchedServer):
    answer = await complete(server, TEXT)

    reply = await reply_of(server, answer.headers)
    told = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"req_[a-z2-7]{26}", answer.headers["x-request-id"])
    assert told == {
        "id": f"chatcmpl-{reply['id']}",
        "object": "chat.completion",
        "created": told["created"],
        "model": "echo",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    }
    assert reply["text"] == TEXT


async def test_a_stream_says_what_the_reply_says(server: WatchedServer):
    async with await pour(server, TEXT, stream_options={"include_usage": True}) as stream:
        await stream.rest()

    chunks = chunks_of(stream)
    async with await server.listen(
        f"/conversations/{stream.headers['x-conversation-id']}/events?from=start&until=idle"
    ) as log:
        ending = (await log.until("reply.ended")).json
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert text_of(chunks) == ending["text"] == TEXT
    assert hashlib.sha256(text_of(chunks).encode()).hexdigest() == ending["text_sha256"]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    assert {chunk["id"] for chunk in chunks} == {f"chatcmpl-{stream.headers['x-reply-id']}"}
    assert re.findall(rb"^(?!data: |$).*", stream.raw, re.MULTILINE) == []  # no id, no event, no retry


async def test_without_a_model_the_default_responder_answers(server: WatchedServer):
    sent = body("Hello", options={"tokens": 3, "first_token_delay": 0, "tokens_per_second": None})
    del sent["model"]

    answer = await server.post(PATH, sent)

    assert answer.json()["model"] == "mock"
    assert answer.json()["usage"]["completion_tokens"] == 3


async def test_a_reply_is_over_at_the_tokens_that_are_wanted(server: WatchedServer):
    for name in ("max_tokens", "max_completion_tokens"):
        answer = await complete(server, TEXT, **{name: 2})

        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert answer.json()["choices"][0]["message"]["content"] == "One two\n\n "


async def test_a_parameter_reaches_a_responder_that_has_an_option_of_its_name(server: WatchedServer):
    options = {"tokens": 20, "first_token_delay": 0, "tokens_per_second": None}

    async def say(prompt: str, **more: Any) -> str:
        answer = await complete(server, prompt, **{"model": "mock", "options": options, "temperature": 0.5, **more})
        return answer.json()["choices"][0]["message"]["content"]

    seven = await say("A question", seed=7)
    assert await say("Another question", seed=7) == seven
    assert await say("A question", seed=8) != seven
    assert await say("A question", seed=8, options=options | {"seed": 7}) == seven


async def test_what_clients_send_beside_is_passed_over(server: WatchedServer):
    answer = await complete(
        server,
        {**user("Hello"), "name": "ada"},
        user=None,
        safety_identifier="x",
        metadata={"a": "b"},
        service_tier="auto",
        temperature=9,
        stop=["x"],
        n=1,
        logprobs=False,
        top_logprobs=0,
        response_format={"type": "text"},
        modalities=["text"],
        stream_options=None,
        tools=[],
        something={"new": 1},
    )

    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


# Where a history goes


async def test_a_history_goes_on_in_the_conversation_that_it_comes_from(server: WatchedServer):
    first = await complete(server, {"role": "developer", "content": "Be kind"}, "One of these")
    before = await server.conversations()
    history = [{"role": "system", "content": "Be kind"}, user("One of these"), assistant("One of these")]

    second = await complete(server, *history, "Two of these")
    again = await complete(server, *history, "Two of these")
    other = await complete(server, *history[1:], "Two of these")

    assert await server.conversations() == [other.headers["x-conversation-id"], *before]
    assert second.headers["x-conversation-id"] == again.headers["x-conversation-id"]
    assert await texts(server, first.headers) == [
        ("system", None, "Be kind"),
        ("user", "0", "One of these"),
        ("assistant", "1", "One of these"),
        ("user", "2", "Two of these"),
        ("assistant", "3", "Two of these"),
        ("assistant", "3", "Two of these"),
    ]


async def test_two_who_begin_alike_are_two_conversations(server: WatchedServer):
    first, second = await complete(server, "Begin"), await complete(server, "Begin")

    assert first.headers["x-conversation-id"] != second.headers["x-conversation-id"]


async def test_a_header_names_the_conversation_whatever_of_it_is_there(server: WatchedServer):
    first = await complete(server, "One")
    named = {"x-conversation-id": first.headers["x-conversation-id"]}

    await complete(server, "One", headers=named)
    await complete(server, "Another one", headers=named)

    assert await texts(server, first.headers) == [
        ("user", None, "One"),
        ("assistant", "0", "One"),
        ("assistant", "0", "One"),
        ("user", None, "Another one"),
        ("assistant", "3", "Another one"),
    ]


async def test_a_history_from_elsewhere_is_stored_with_all_its_parts(server: WatchedServer):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}

    answer = await complete(
        server,
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind"}]},
        user([{"type": "text", "text": "What is this?"}, image]),
        assistant(None, tool_calls=[CALL], reasoning_content="Hm"),
        {"role": "tool", "tool_call_id": "call-1", "content": [{"type": "text", "text": "12:00"}]},
        assistant([{"type": "text", "text": "Noon"}, {"type": "refusal", "refusal": ", no more"}]),
        assistant("", refusal=" I say"),
        "Thanks",
    )

    path = f"/conversations/{answer.headers['x-conversation-id']}/messages"
    stored = [(message["role"], message["parts"]) for message in (await server.get(path)).json()["messages"]]
    call = {"type": "tool_call", "call_id": "call-1", "name": "clock", "arguments": '{"zone": "UTC"}'}
    assert stored[:-2] == [
        ("system", [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind"}]),
        ("user", [{"type": "text", "text": "What is this?"}, {"type": "image", "url": "data:image/png;base64,AAAA"}]),
        ("assistant", [{"type": "reasoning", "text": "Hm"}, call]),
        ("tool", [{"type": "tool_result", "call_id": "call-1", "result": "12:00"}]),
        ("assistant", [{"type": "text", "text": text} for text in ("Noon", ", no more", " I say")]),
    ]


async def test_a_long_history_is_taken_and_found_again(server: WatchedServer):
    turns = [turn for place in range(20) for turn in (user(f"{place:2} " * 10_000), assistant(f"{place}"))]

    first = await complete(server, *turns, "One")
    second = await complete(server, *turns, "One", assistant("One"), "Two")

    assert len(json.dumps(body(*turns))) > 512 * 1024
    assert first.headers["x-conversation-id"] == second.headers["x-conversation-id"]


# What is kept


async def test_what_is_not_to_be_stored_is_gone_once_it_is_read(server: WatchedServer):
    before = await server.conversations()

    whole = await complete(server, TEXT, store=False)
    async with await pour(server, TEXT, store=False) as stream:
        await stream.rest()

    assert whole.json()["choices"][0]["message"]["content"] == text_of(chunks_of(stream)) == TEXT
    assert await server.conversations() == before
    for headers in (whole.headers, stream.headers):
        async with asyncio.timeout(60):
            while (await server.get(f"/conversations/{headers['x-conversation-id']}")).status_code != 404:
                pass


async def test_the_same_key_is_the_same_answer(server: WatchedServer):
    key = {"Idempotency-Key": "chat-whole"}

    first = await complete(server, TEXT, headers=key)
    again = await complete(server, TEXT, headers=key)

    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()


async def test_the_same_key_attaches_to_a_running_reply_from_its_first_chunk(server: WatchedServer):
    key = {"Idempotency-Key": "chat-stream"}
    async with await pour(server, "Say one word", headers=key, **ONE_TOKEN) as first:
        word = [await first.next() for _ in range(2)]

        async with await pour(server, "Say one word", headers=key, **ONE_TOKEN) as again:
            assert [await again.next() for _ in range(2)] == word
            await server.post(reply_path(first.headers) + "/stop")
            await again.rest()
        await first.rest()

    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-reply-id"] == first.headers["x-reply-id"]
    assert again.raw == first.raw


# Stop and hang-up


async def test_a_reply_that_is_stopped_elsewhere_ends_as_any_other(server: WatchedServer):
    async with await pour(server, "Say one word", **ONE_TOKEN) as stream:
        await stream.next()
        await stream.next()

        reply = (await server.post(reply_path(stream.headers) + "/stop")).json()["reply"]

        await stream.rest()
    chunks = chunks_of(stream)
    assert reply["status"] == "cancelled"
    assert text_of(chunks) == reply["text"] != ""
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_whole_answer_holds_what_a_stopped_reply_has_said(server: WatchedServer):
    asked = asyncio.create_task(complete(server, "Stop me here", **WAITS))
    async with asyncio.timeout(60):
        while not (running := [c for c in await server.state() if c["title"] == "Stop me here" and c["running"]]):
            pass

    await server.post(f"/conversations/{running[0]['id']}/replies/{running[0]['running'][0]}/stop")

    assert (await asked).json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_stops_a_reply_at_once_where_that_is_wanted(server: WatchedServer, stream: bool):
    title = f"Hang up {stream}"
    sent = json.dumps(body(title, stream=stream, **WAITS)).encode()
    head = f"Content-Length: {len(sent)}", "Content-Type: application/json"

    async with await Raw.open(server) as kept, await Raw.open(server) as gone:
        await kept.ask(f"POST {PATH}", *head, "x-on-disconnect: continue", body=sent)
        await gone.ask(f"POST {PATH}", *head, "x-on-disconnect: stop", body=sent)
        async with asyncio.timeout(60):
            while len(ids := [c["id"] for c in await server.state() if c["title"] == title and c["running"]]) < 2:
                pass

    async with asyncio.timeout(60):
        while len(left := [c for c in await server.state() if c["id"] in ids and c["running"]]) == 2:
            pass
    (goes_on,) = left
    stop = await server.post(f"/conversations/{goes_on['id']}/replies/{goes_on['running'][0]}/stop")
    assert stop.json()["reply"]["status"] == "cancelled"
    await stopped(server, goes_on["id"])


async def test_who_closes_their_side_and_reads_on_gets_the_whole_answer(server: WatchedServer):
    options = {"tokens": 30, "tokens_per_second": 100, "first_token_delay": 0.1}
    sent = json.dumps(body("Half a farewell", model="mock", options=options)).encode()
    async with await Raw.open(server) as half:
        await half.ask(f"POST {PATH}", f"Content-Length: {len(sent)}", "Content-Type: application/json", body=sent)
        half.half_close()

        answer = await half.answer("POST")

    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    assert answer.json()["usage"]["completion_tokens"] == 30


async def test_a_dropped_completion_is_resumed_natively(server: WatchedServer):
    async with await pour(server, "Say one word", **ONE_TOKEN) as stream:
        await stream.next()
        word = (await stream.next()).json["choices"][0]["delta"]["content"]

    path = f"/conversations/{stream.headers['x-conversation-id']}/events?from=start&until=idle"
    async with await server.listen(path) as resumed:
        assert (await resumed.until("reply.delta")).json["text"] == word
        await server.post(reply_path(stream.headers) + "/stop")
        assert (await resumed.until("reply.ended")).json["text"] == word


async def test_many_completions_at_once_are_told_apart(server: WatchedServer):
    answers = await asyncio.gather(*(complete(server, f"Number {number}") for number in range(30)))

    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == [
        f"Number {number}" for number in range(30)
    ]
    assert len({answer.headers["x-conversation-id"] for answer in answers}) == 30
    assert ECHO["model"] == answers[0].json()["model"]


async def test_a_conversation_that_is_full_is_followed_by_another(start_server: Start):
    server = await start_server(max_messages=4)
    first = await complete(server, "One")
    answered = [user("One"), assistant(first.json()["choices"][0]["message"]["content"])]

    second = await complete(server, *answered, "Two")
    third = await complete(server, *answered, "Three")

    ids = [answer.headers["x-conversation-id"] for answer in (first, second, third)]
    assert [answer.status_code for answer in (first, second, third)] == [200] * 3
    assert ids[0] == ids[1] != ids[2]
    assert [text for _, _, text in await texts(server, third.headers)] == ["One", "One", "Three", "Three"]
    named = await complete(server, *answered, "Four", headers={"x-conversation-id": ids[0]})
    assert named.status_code == 413
