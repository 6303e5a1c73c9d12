"""OpenAI's own client for Python, unmodified, against chat completions; what else it cannot do is done natively."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI

from tests.support.proxy import Harm, Proxy
from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

TEXT = "One two\n\n three \U0001f9ea four"
ONE_TOKEN = {"options": {"first_token_delay": 0, "tokens_per_second": 0.01}}
CLOCK: Any = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    clerk = Path(__file__).with_name("clerk.py")
    async with Server(tmp_path_factory.mktemp("data"), responder=f"{clerk}:clerk") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def native(headers: Any) -> str:
    return f"/conversations/{headers['x-conversation-id']}/replies/{headers['x-reply-id']}"


async def test_a_completion_is_the_reply(client: AsyncOpenAI, server: Server):
    raw = await client.chat.completions.with_raw_response.create(model="echo", messages=[user(TEXT)])

    completion = raw.parse()
    reply = (await server.get(native(raw.headers))).json()["reply"]
    assert completion.id == f"chatcmpl-{reply['id']}"
    assert completion._request_id == raw.headers["x-request-id"]
    assert completion.choices[0].message.content == reply["text"] == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert completion.usage.total_tokens == reply["usage"]["total_tokens"]


async def test_a_stream_is_the_reply_with_its_usage_and_its_hash(client: AsyncOpenAI, server: Server):
    stream = await client.chat.completions.create(
        model="echo", messages=[user(TEXT)], stream=True, stream_options={"include_usage": True}
    )

    chunks = [chunk async for chunk in stream]

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    path = f"/conversations/{stream.response.headers['x-conversation-id']}/events?from=start&until=idle"
    async with await server.listen(path) as log:
        ending = (await log.until("reply.ended")).json
    assert text == ending["text"] == TEXT
    assert hashlib.sha256(text.encode()).hexdigest() == ending["text_sha256"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == ending["usage"]["output_tokens"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_the_stream_helper_puts_a_completion_together(client: AsyncOpenAI):
    async with client.chat.completions.stream(model="clerk", messages=[user("Hello")]) as stream:
        types = {event.type async for event in stream}
        completion = await stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= types
    assert completion.choices[0].message.content == "|Hello|[]|None"
    assert completion.choices[0].message.reasoning_content == "Hm. "  # type: ignore[attr-defined]


async def test_the_client_without_async_does_the_same(server: Server):
    def talk() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            whole = client.chat.completions.create(model="echo", messages=[user(TEXT)])
            stream = client.chat.completions.create(model="echo", messages=[user(TEXT)], stream=True)
            text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
            return whole.choices[0].message.content, text

    assert await asyncio.to_thread(talk) == (TEXT, TEXT)


async def test_system_text_images_and_limits_reach_the_responder(client: AsyncOpenAI):
    completion = await client.chat.completions.create(
        model="clerk",
        messages=[
            {"role": "developer", "content": "Be kind"},
            user(
                [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ]
            ),
        ],
        max_completion_tokens=50,
    )

    assert completion.choices[0].message.content == "Be kind|What is this?|['data:image/png;base64,AAAA']|50"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_is_called_run_by_the_client_and_answered(client: AsyncOpenAI, server: Server, stream: bool):
    async def ask(messages: list[Any]) -> Any:
        if not stream:
            raw = await client.chat.completions.with_raw_response.create(
                model="clerk", messages=messages, tools=[CLOCK]
            )
            return raw.parse().choices[0], raw.headers["x-conversation-id"]
        async with client.chat.completions.stream(model="clerk", messages=messages, tools=[CLOCK]) as events:
            completion = await events.get_final_completion()
            return completion.choices[0], events._response.headers["x-conversation-id"]

    messages: list[Any] = [user(f"What time is it? {stream}")]
    called, conversation_id = await ask(messages)
    (call,) = called.message.tool_calls
    messages += [called.message, {"role": "tool", "tool_call_id": call.id, "content": "12:00"}]
    answered, same = await ask(messages)

    assert called.finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("clock", '{"zone": "UTC"}')
    assert (answered.finish_reason, answered.message.content) == ("stop", "It is 12:00.")
    assert same == conversation_id
    stored = (await server.get(f"/conversations/{conversation_id}/messages")).json()["messages"]
    assert [message["role"] for message in stored] == ["user", "assistant", "tool", "assistant"]


async def test_a_program_that_sends_its_whole_history_makes_one_conversation(client: AsyncOpenAI, server: Server):
    before = (await server.get("/conversations")).json()["conversations"]
    messages: list[Any] = [{"role": "system", "content": "Be kind"}]

    for text in ("One", "Two", "Three"):
        messages.append(user(text))
        completion = await client.chat.completions.create(model="echo", messages=messages)
        messages.append(completion.choices[0].message)

    new, *rest = (await server.get("/conversations")).json()["conversations"]
    assert rest == before
    assert new["title"] == "One"
    stored = (await server.get(f"/conversations/{new['id']}/messages")).json()["messages"]
    assert [message["text"] for message in stored] == ["Be kind", "One", "One", "Two", "Two", "Three", "Three"]


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model", "model_not_found"),
        ({"n": 2}, openai.BadRequestError, "n", None),
        ({"logprobs": True}, openai.BadRequestError, "logprobs", None),
        ({"messages": []}, openai.BadRequestError, "messages", None),
        ({"extra_body": {"options": {"loud": 1}}}, openai.BadRequestError, "options.loud", None),
        ({"extra_headers": {"x-conversation-id": "nowhere"}}, openai.NotFoundError, None, None),
    ],
)
async def test_a_refusal_is_the_exception_that_programs_catch(
    client: AsyncOpenAI, fields: dict[str, Any], error: type[openai.APIStatusError], param: str | None, code: str | None
):
    with pytest.raises(error) as refused:
        await client.chat.completions.create(**{"model": "echo", "messages": [user("Hello")], **fields})

    assert (refused.value.param, refused.value.code) == (param, code)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id


async def test_a_reply_that_fails_is_asked_for_once(client: AsyncOpenAI, server: Server):
    before = len((await server.get("/conversations")).json()["conversations"])
    eager = client.with_options(max_retries=5)

    with pytest.raises(openai.InternalServerError, match=r"Not today\."):
        await eager.chat.completions.create(model="clerk", messages=[user("Refuse")])
    with pytest.raises(openai.APIError, match=r"Not today\."):
        async for _ in await eager.chat.completions.create(model="clerk", messages=[user("Refuse")], stream=True):
            pass

    assert len((await server.get("/conversations")).json()["conversations"]) == before + 2


async def test_a_reply_is_stopped_natively_while_the_client_reads(client: AsyncOpenAI, server: Server):
    stream = await client.chat.completions.create(
        model="mock", messages=[user("Say one word")], stream=True, extra_body=ONE_TOKEN
    )
    text, reason = "", None
    async for chunk in stream:
        text += chunk.choices[0].delta.content or ""
        reason = chunk.choices[0].finish_reason
        if text and reason is None:
            reply = (await server.post(native(stream.response.headers) + "/stop")).json()["reply"]

    assert (reason, reply["status"], reply["text"]) == ("stop", "cancelled", text)


async def test_a_completion_that_was_dropped_is_resumed_natively(client: AsyncOpenAI, server: Server):
    stream = await client.chat.completions.create(
        model="mock",
        messages=[user("Say one word")],
        stream=True,
        extra_body=ONE_TOKEN,
        extra_headers={"x-on-disconnect": "continue"},
    )
    async for chunk in stream:
        if word := chunk.choices[0].delta.content:
            break
    await stream.close()

    headers = stream.response.headers
    async with await server.listen(f"/conversations/{headers['x-conversation-id']}/events?from=start") as resumed:
        assert (await resumed.until("reply.delta")).json["text"] == word
        await server.post(native(headers) + "/stop")
        assert (await resumed.until("reply.ended")).json["status"] == "cancelled"


async def test_a_client_that_leaves_stops_the_reply_where_that_is_wanted(client: AsyncOpenAI, server: Server):
    stream = await client.chat.completions.create(
        model="mock",
        messages=[user("Leave at once")],
        stream=True,
        extra_body=ONE_TOKEN,
        extra_headers={"x-on-disconnect": "stop"},
    )
    await stream.close()

    id = stream.response.headers["x-conversation-id"]
    async with asyncio.timeout(60):  # as the list tells: whoever opens the conversation has come back to it
        while any(c["id"] == id and c["running"] for c in (await server.get("/conversations")).json()["conversations"]):
            pass
    reply = (await server.get(native(stream.response.headers))).json()["reply"]
    assert reply["status"] == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_retry_with_a_key_after_a_cut_gets_the_same_reply(client: AsyncOpenAI, server: Server, stream: bool):
    key = {"Idempotency-Key": f"retry-{stream}"}
    before = len((await server.get("/conversations")).json()["conversations"])
    async with Proxy(server, [Harm(b"HTTP/1.1 2")]) as proxy:
        through = client.with_options(base_url=f"{proxy.url}/v1", max_retries=2)
        chat: Any = through.chat.completions.with_raw_response
        raw = await chat.create(model="echo", messages=[user(TEXT)], stream=stream, extra_headers=key)
        if stream:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in raw.parse()])
        else:
            text = raw.parse().choices[0].message.content
        assert proxy.connections == 2

    assert text == TEXT
    assert raw.headers["idempotency-replayed"] == "true"
    assert len((await server.get("/conversations")).json()["conversations"]) == before + 1
