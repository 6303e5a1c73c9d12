"""What chat completions refuse, and how a refusal looks to OpenAI's clients, whoever refuses."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from app.api.dialects import accepted
from app.api.problems import _from_domain
from app.errors import Draining
from tests.api.chats import (
    ONE_TOKEN,
    PATH,
    WAITS,
    assistant,
    check_refusal,
    complete,
    pour,
    reply_of,
    reply_path,
    user,
)
from tests.api.watched import WatchedServer

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

HELLO = user("Hello")
CALL = {"id": "c", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "clock"}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


def part(**fields: Any) -> dict[str, Any]:
    return user([{"type": "text", "text": "Hello"}, fields])


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([{"content": "Hello"}], "messages[0].role"),
        ([{"role": "function", "content": "Hello"}], "messages[0].role"),
        ([HELLO, user(None)], "messages[1].content"),
        ([HELLO, user([])], "messages[1].content"),
        ([user(7)], "messages[0].content"),
        ([part(type="text")], "messages[0].content[1]"),
        ([part(type="image_url")], "messages[0].content[1]"),
        ([part(type="image_url", image_url={})], "messages[0].content[1].image_url.url"),
        ([part(type="input_audio", input_audio={"data": "", "format": "wav"})], "messages[0].content[1]"),
        ([part(type="file", file={"file_id": "x"})], "messages[0].content[1]"),
        ([{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, HELLO],
         "messages[0].content"),
        ([HELLO, assistant("Hello")], "messages"),
        ([{"role": "system", "content": "Be kind"}], "messages"),
        ([user(" \n")], "messages"),
        ([HELLO, {"role": "tool", "tool_call_id": "c", "content": "12:00"}], "messages[1].tool_call_id"),
        ([HELLO, assistant(None, tool_calls=[CALL]), {"role": "tool", "content": "12:00"}], "messages[2].tool_call_id"),
        ([HELLO, assistant(None, tool_calls=[{"id": "c", "type": "custom"}]), HELLO], "messages[1].tool_calls[0]"),
        ([HELLO, assistant(None, tool_calls=[{"type": "function"}]), HELLO], "messages[1].tool_calls[0].id"),
    ],
)  # fmt: skip
async def test_messages_that_say_something_wrong_are_refused_by_name(
    server: WatchedServer, untouched: None, messages: list[Any], param: str
):
    check_refusal(await server.post(PATH, {"model": "echo", "messages": messages}), 400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"n": "1"}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": JSON_SCHEMA}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x", "format": "mp3"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [TOOL, {"type": "function", "function": {"name": ""}}]}, "tools[1].function.name"),
        ({"tools": [TOOL], "tool_choice": "clock"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "calendar"}}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 2**63}, "max_completion_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"store": "no"}, "store"),
        ({"options": []}, "options"),
        ({"options": {"loud": True}}, "options.loud"),
        ({"model": "mock", "seed": -1}, "seed"),
        ({"model": "mock", "options": {"seed": -1}}, "options.seed"),
        ({"model": "mock", "seed": 7, "options": {"seed": -1}}, "options.seed"),
        ({"model": 7}, "model"),
    ],
)
async def test_parameters_that_would_be_missed_are_refused_by_name(
    server: WatchedServer, untouched: None, fields: dict[str, Any], param: str
):
    check_refusal(await complete(server, "Hello", **fields), 400, param)


async def test_a_model_that_is_not_there_is_told_as_such(server: WatchedServer, untouched: None):
    answer = await complete(server, "Hello", model="gpt-9")

    check_refusal(answer, 404, "model", code="model_not_found")


BAD_BODIES = {
    "no JSON": (b"{", 400, None),
    "not UTF-8": (b'{"messages": "\xff"}', 400, None),
    "half a character": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, None),
    "nested": (b'{"messages": ' + b"[" * 100_000, 400, None),
    "null": (b"null", 400, None),
    "twice": (b'{"messages": [], "messages": []}', 400, "messages"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bodies_that_cannot_be_read_are_refused(server: WatchedServer, untouched: None, name: str):
    content, status, param = BAD_BODIES[name]

    check_refusal(await server.send(PATH, content), status, param)


async def test_the_bounds_of_a_body_are_told(server: WatchedServer, untouched: None):
    check_refusal(await server.send(PATH, b"{}", Content_Type="text/plain"), 415)
    check_refusal(await server.send(PATH, b" " * (8 * 2**20 + 1)), 413)
    too_many = await complete(server, *["Hello"] * 1001)
    check_refusal(too_many, 413)
    assert "holds 1000 messages at most" in too_many.json()["error"]["message"]
    check_refusal(await complete(server, "x" * (256 * 1024 + 1)), 413)
    check_refusal(await complete(server, "x", model="mock", options={"x": "x" * 64 * 1024}), 413)
    many = [{"type": "text", "text": ""}] * 10_001
    check_refusal(await complete(server, user(many), "Hello"), 413)


@pytest.mark.parametrize(
    ("headers", "status", "param"),
    [
        ({"x-on-disconnect": "later"}, 400, None),
        ({"x-conversation-id": "nowhere"}, 404, None),
        ({"Idempotency-Key": ""}, 400, None),
        ({"Origin": "https://evil.example"}, 403, None),
        ({"Sec-Fetch-Site": "cross-site"}, 403, None),
        ({"Host": "evil.example"}, 400, None),
    ],
)
async def test_headers_that_are_wrong_are_refused(
    server: WatchedServer, untouched: None, headers: dict[str, str], status: int, param: str | None
):
    check_refusal(await complete(server, "Hello", headers=headers), status, param)


async def test_any_key_of_an_account_is_taken_for_there_are_none(server: WatchedServer):
    answer = await complete(server, "Hello", headers={"Authorization": "Bearer anything"})

    assert answer.status_code == 200


async def test_what_is_not_stored_goes_into_no_conversation(server: WatchedServer):
    first = await complete(server, "Hello")
    named = {"x-conversation-id": first.headers["x-conversation-id"]}

    check_refusal(await complete(server, "Hello", headers=named, store=False), 400, "store")


async def test_an_answer_that_is_known_already_is_not_answered(server: WatchedServer):
    await complete(server, "Nothing more")

    check_refusal(await complete(server, "Nothing more", assistant("Nothing more")), 400, "messages")


async def test_the_same_key_with_another_body_is_refused(server: WatchedServer):
    key = {"Idempotency-Key": "chat-other"}
    await complete(server, "Hello", headers=key)

    check_refusal(await complete(server, "Hello again", headers=key), 400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/", 404),
        ("GET", "/v1//chat/completions", 404),
        ("GET", "/v1/%2e%2e/conversations", 404),
        ("GET", PATH, 405),
        ("DELETE", PATH, 405),
    ],
)
async def test_paths_and_methods_that_are_none_are_refused_in_the_same_form(
    server: WatchedServer, untouched: None, method: str, path: str, status: int
):
    answer = await server.client.request(method, server.url + path)

    check_refusal(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


# After a reply was accepted


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    """A server of low limits whose responder fails with a word for its users, and so leaves nothing in the log."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "sulk.py").write_text(SULK)
    async with WatchedServer(
        folder / "data", max_running=1, max_streams=2, responder=f"{folder}/sulk.py:sulk"
    ) as server:
        yield server
    server.check_log()


SULK = """
from responders.base import ResponderError

async def sulk(prompt):
    yield "I would "
    raise ResponderError("I would rather not.")
"""


async def test_a_reply_that_fails_is_not_to_be_asked_for_again(small: WatchedServer):
    answer = await complete(small, "Do it", model="sulk")

    check_refusal(answer, 502, code="responder_error")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["message"] == "I would rather not."
    assert (await reply_of(small, answer.headers))["error"]["message"] == "I would rather not."


async def test_a_stream_of_a_reply_that_fails_ends_with_the_error(small: WatchedServer):
    async with await pour(small, "Do it", model="sulk") as stream:
        frames = await stream.rest()

    assert stream.status == 200
    assert frames[-2].json["choices"][0]["delta"] == {"content": "I would "}
    assert frames[-1].json["error"] == {
        "message": "I would rather not.",
        "type": "server_error",
        "param": None,
        "code": "responder_error",
    }
    assert b"[DONE]" not in stream.raw


async def test_a_reply_that_is_gone_is_not_to_be_asked_for_again(server: WatchedServer):
    key = {"Idempotency-Key": "chat-gone"}
    first = await complete(server, "Hello", headers=key)
    await server.client.delete(f"{server.url}/conversations/{first.headers['x-conversation-id']}")

    again = await complete(server, "Hello", headers=key)

    check_refusal(again, 404)
    assert again.headers["x-should-retry"] == "false"
    assert again.headers["x-reply-id"] == first.headers["x-reply-id"]


async def test_an_error_behind_an_acceptance_gives_no_time_to_try_again():
    error = Draining("The server is about to end.")
    with pytest.raises(Draining), accepted({"x-reply-id": "r"}):
        raise error

    assert _from_domain(error).headers == {"x-reply-id": "r", "x-should-retry": "false"}


async def test_a_conversation_that_is_deleted_meanwhile_is_told_without_a_retry(server: WatchedServer):
    whole = asyncio.create_task(complete(server, "Delete me", **WAITS))
    async with await pour(server, "Delete me, too", **WAITS) as stream:
        await stream.next()
        async with asyncio.timeout(60):
            while len(found := [c["id"] for c in await server.state() if c["title"].startswith("Delete me")]) < 2:
                pass

        for conversation_id in found:
            await server.client.delete(f"{server.url}/conversations/{conversation_id}")

        await stream.rest()
    answer = await whole
    assert b'"finish_reason":"stop"' in stream.raw or b'"code":"stream_ended"' in stream.raw
    if answer.status_code != 200:
        check_refusal(answer, 404)
        assert answer.headers["x-should-retry"] == "false"


Start = Callable[..., Awaitable[WatchedServer]]


async def test_a_count_over_its_limit_is_to_be_tried_again(small: WatchedServer):
    full = {"type": "rate_limit_error", "code": "rate_limit_exceeded"}
    async with await pour(small, "Say one word", **ONE_TOKEN) as first:
        await first.next()

        too_many_run = await complete(small, "Hello")
        async with await small.listen("/events"):
            too_many_read = await complete(small, "Hello")

        await small.post(reply_path(first.headers) + "/stop")
    for answer in (too_many_run, too_many_read):
        check_refusal(answer, 429, **full)
        assert answer.headers["retry-after"] == "1"
        assert "x-should-retry" not in answer.headers
    assert "replies are running" in too_many_run.json()["error"]["message"]
    assert "streams are open" in too_many_read.json()["error"]["message"]


async def test_an_end_of_the_server_is_told_to_streams_and_to_whole_answers(start_server: Start):
    server = await start_server(drain_seconds=0)
    whole = asyncio.create_task(complete(server, "Whole", **WAITS))
    async with await pour(server, "Stream", **ONE_TOKEN) as stream:
        await stream.next()
        await stream.next()
        async with asyncio.timeout(60):
            while not any(c["title"] == "Whole" and c["running"] for c in await server.state()):
                pass

        await server.signal(signal.SIGTERM)

        last = (await stream.rest())[-1]
    answer = await whole
    check_refusal(answer, 503, code="interrupted")
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert last.json["error"]["code"] == "interrupted"
    assert await server.wait() == 0


async def test_while_the_server_drains_nothing_new_is_taken(start_server: Start):
    server = await start_server(drain_seconds=30)
    async with await pour(server, "Say one word", **ONE_TOKEN) as stream:
        await stream.next()
        await server.signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            while (await server.get("/health/ready")).status_code == 200:
                pass

        answer = await complete(server, "Hello")

        check_refusal(answer, 503)
        assert answer.headers["retry-after"] == "2"
        await server.signal(signal.SIGTERM)
        assert json.loads((await stream.rest())[-1].data)["error"]["code"] == "interrupted"
    assert await server.wait() == 0
