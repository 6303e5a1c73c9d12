"""`/v1/responses` over bare HTTP: its frames, what it refuses, who may hang up, and what each door sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.codecs.openai_responses import DONE
from tests.api.chats import ONE_TOKEN, WAITS, check_refusal, reply_path, stopped
from tests.api.watched import WatchedServer
from tests.support.sse import EventStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

PATH = "/v1/responses"
ECHO: dict[str, Any] = {"model": "echo"}
NOBODY = "resp_" + 52 * "a"


async def create(server: WatchedServer, said: Any = "Hello there", **fields: Any) -> dict[str, Any]:
    answer = await server.post(PATH, {**ECHO, "input": said, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pour(server: WatchedServer, said: Any = "Hello there", **fields: Any) -> EventStream:
    headers = fields.pop("headers", None)
    return await server.pour({**ECHO, "input": said, "stream": True, **fields}, PATH, accept="*/*", headers=headers)


async def until(stream: EventStream, type: str) -> dict[str, Any]:
    while (frame := (await stream.next()).json)["type"] != type:
        pass
    return frame


async def test_a_stream_is_typed_numbered_and_done(server: WatchedServer):
    async with await pour(server) as stream:
        frames = [frame for frame in await stream.rest() if frame.data != "[DONE]"]

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-request-id"].startswith("req_")
    assert stream.raw.startswith(b"event: response.created\ndata: {")
    assert stream.raw.endswith(b"\n\n" + DONE)
    assert b"\nid:" not in stream.raw
    assert [frame.event for frame in frames] == [frame.json["type"] for frame in frames]
    assert [frame.json["sequence_number"] for frame in frames] == list(range(len(frames)))
    reply = (await server.get(reply_path(stream.headers))).json()["reply"]
    assert frames[-1].json["response"]["output"][0]["content"][0]["text"] == reply["text"] == "Hello there"


async def test_a_replay_is_the_same_bytes(server: WatchedServer):
    async with await pour(server, "One two three") as stream:
        await stream.rest()
    id = "resp_" + stream.headers["x-conversation-id"] + stream.headers["x-reply-id"]

    again = await server.get(f"{PATH}/{id}?stream=true")
    later = await server.get(f"{PATH}/{id}?stream=true&starting_after=4")
    past = await server.get(f"{PATH}/{id}?stream=true&starting_after=99")

    assert again.content == stream.raw
    assert later.content == b"\n\n".join(stream.raw.split(b"\n\n")[5:])
    assert past.content == DONE


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"input": " \n"}, "input"),
        ({"input": [{"role": "assistant", "content": "Hi"}]}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": "item_reference", "id": f"msg_{52 * 'a'}_0"}]}, "input[0].id"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"input": [{}]}, "input[0].id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"model": 7}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"truncation": "middle"}, "truncation"),
        ({"stream": "yes"}, "stream"),
        ({"background": True, "store": False}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"max_tool_calls": 2}, "max_tool_calls"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}, "text.format"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
        ({"tools": ["find"]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "strict": 1}]}, "tools[0].strict"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice"),
        ({"metadata": {"k": 7}}, "metadata[...]"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {str(number): "v" for number in range(17)}}, "metadata"),
        ({"options": {"no_such_option": 1}}, "options.no_such_option"),
        ({"options": {"tokens_per_second": -1}}, "options.tokens_per_second"),
        ({"previous_response_id": "resp_1", "conversation": "x"}, "conversation"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(
    server: WatchedServer, untouched: None, fields: dict[str, Any], param: str
):
    answer = await server.post(PATH, {**ECHO, "input": "Hello", **fields})

    check_refusal(answer, 400, param)


@pytest.mark.parametrize("id", ["resp_1", "x", NOBODY, NOBODY.upper(), NOBODY + "a", "resp_%00"])
async def test_an_unknown_response_is_not_found_by_any_call(server: WatchedServer, untouched: None, id: str):
    for method, path in [("GET", ""), ("GET", "/input_items"), ("GET", "?stream=true"), ("POST", "/cancel")]:
        check_refusal(await server.client.request(method, f"{server.url}{PATH}/{id}{path}"), 404)
    check_refusal(await server.client.delete(f"{server.url}{PATH}/{id}"), 404)
    if "%" not in id:
        answer = await server.post(PATH, {**ECHO, "input": "Hello", "previous_response_id": id})
        check_refusal(answer, 400, "previous_response_id", code="previous_response_not_found")


async def test_an_unknown_model_or_conversation_is_not_found(server: WatchedServer, untouched: None):
    answer = await server.post(PATH, {"model": "nobody", "input": "Hello"})
    check_refusal(answer, 404, "model", code="model_not_found")
    check_refusal(await server.get("/v1/models/nobody"), 404, "model", code="model_not_found")
    check_refusal(await server.post(PATH, {**ECHO, "input": "Hello", "conversation": "nobody"}), 404)


async def test_the_default_responder_is_the_first_model(server: WatchedServer):
    models = (await server.get("/v1/models")).json()

    assert [model["id"] for model in models["data"]][:2] == ["mock", "echo"]
    assert (await server.get("/v1/models/echo")).json() == models["data"][1]


async def test_a_message_is_no_response(server: WatchedServer):
    asked = await server.ask(responder="echo")
    await server.ended(asked)

    answer = await server.get(f"{PATH}/resp_{asked['conversation']['id']}{asked['message']['id']}")

    check_refusal(answer, 404)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?stream=maybe", "stream"),
        ("?stream=true&stream=true", "stream"),
        ("?stream=true&starting_after=-1", "starting_after"),
        ("?stream=true&starting_after=1e3", "starting_after"),
        ("?stream=true&starting_after=٣", "starting_after"),
        ("/input_items?limit=0", "limit"),
        ("/input_items?limit=101", "limit"),
        ("/input_items?order=up", "order"),
        ("/input_items?after=msg_1", "after"),
        (f"/input_items?after=msg_{52 * 'a'}_0", "after"),
    ],
)
async def test_a_wrong_query_is_named(server: WatchedServer, query: str, param: str):
    response = await create(server)

    check_refusal(await server.get(f"{PATH}/{response['id']}{query}"), 400, param)


async def test_an_item_that_its_message_does_not_have_is_no_place_to_go_on_from(server: WatchedServer):
    response = await create(server)
    page = (await server.get(f"{PATH}/{response['id']}/input_items")).json()

    answer = await server.get(f"{PATH}/{response['id']}/input_items?after={page['last_id']}7")

    check_refusal(answer, 400, "after")
    rest = (await server.get(f"{PATH}/{response['id']}/input_items?after={page['last_id']}")).json()
    assert rest == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_what_is_commonly_sent_and_means_nothing_here_is_passed_over(server: WatchedServer):
    response = await create(
        server,
        temperature=0.2,
        top_p=None,
        include=["reasoning.encrypted_content"],
        stream_options={"include_obfuscation": False},
        service_tier="flex",
        user="somebody",
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "text"}, "verbosity": "low"},
        parallel_tool_calls=False,
        prompt_cache_key="k",
        truncation="auto",
    )

    assert (
        response.items()
        >= {
            "temperature": 0.2,
            "top_p": 1.0,
            "service_tier": "default",
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "text"}, "verbosity": "low"},
            "parallel_tool_calls": False,
            "prompt_cache_key": "k",
            "truncation": "auto",
        }.items()
    )


async def test_options_are_the_responders_own_and_its_sampling_reaches_it(server: WatchedServer):
    response = await create(server, model="mock", options={"tokens": 3, "tokens_per_second": None, "seed": 1})

    assert response["usage"]["output_tokens"] == 3
    answer = await server.post(PATH, {"model": "openai", "input": "Hello", "reasoning": {"effort": "max"}})
    check_refusal(answer, 400, "reasoning.effort")


async def test_a_response_that_nobody_waits_for_any_more_is_stopped(server: WatchedServer):
    async with await pour(server, **ONE_TOKEN, headers={"x-on-disconnect": "stop"}) as stream:
        await until(stream, "response.output_text.delta")

    await stopped(server, stream.headers["x-conversation-id"])

    id = "resp_" + stream.headers["x-conversation-id"] + stream.headers["x-reply-id"]
    assert (await server.get(f"{PATH}/{id}")).json()["status"] == "cancelled"


async def test_one_in_the_background_goes_on_whoever_hangs_up(server: WatchedServer):
    at_once = {"x-on-disconnect": "stop"}
    async with await pour(server, **ONE_TOKEN, background=True, headers=at_once) as stream:
        delta = await until(stream, "response.output_text.delta")
    async with await pour(server, **ONE_TOKEN, headers=at_once) as later:
        await until(later, "response.output_text.delta")
    await stopped(server, later.headers["x-conversation-id"])  # who has hung up before was noticed before
    id = "resp_" + stream.headers["x-conversation-id"] + stream.headers["x-reply-id"]

    assert (await server.get(f"{PATH}/{id}")).json()["status"] == "in_progress"
    async with await server.listen(f"{PATH}/{id}?stream=true&starting_after={delta['sequence_number']}") as again:
        await server.post(f"{PATH}/{id}/cancel")
        ending = await until(again, "response.incomplete")

    assert ending["sequence_number"] == delta["sequence_number"] + 4  # what closes the item is between
    assert ending["response"]["output"][0]["content"][0]["text"] == delta["delta"]


async def test_what_is_not_stored_is_found_while_it_runs_and_not_a_moment_longer(server: WatchedServer):
    async with await pour(server, **ONE_TOKEN, store=False) as stream:
        await until(stream, "response.output_text.delta")
        conversation_id = stream.headers["x-conversation-id"]
        id = f"resp_{conversation_id}{stream.headers['x-reply-id']}"
        async with await server.listen(f"/conversations/{conversation_id}/events") as reader:
            running = await server.get(f"{PATH}/{id}")
            await server.post(f"{PATH}/{id}/cancel")
            await until(stream, "response.incomplete")
            ended = await server.get(f"{PATH}/{id}")
            bye = (await reader.rest())[-1].json

    assert bye["reason"] == "deleted"
    assert running.json()["status"] == "in_progress"
    check_refusal(ended, 404)


async def test_a_response_that_runs_is_in_progress_for_all(server: WatchedServer):
    response = await create(server, **WAITS, background=True)
    async with await server.listen(f"{PATH}/{response['id']}?stream=true") as stream:
        await until(stream, "response.in_progress")

    shown = (await server.get(f"{PATH}/{response['id']}")).json()
    await server.post(f"{PATH}/{response['id']}/cancel")

    assert (shown["status"], shown["output"], shown["usage"]) == ("in_progress", [], None)


async def test_what_is_queued_natively_is_queued_here(server: WatchedServer):
    first = await server.ask("Be quiet", responder="mock", options=WAITS["options"])
    path = f"/conversations/{first['conversation']['id']}/messages"
    second = await server.ask("And then?", path, responder="echo", if_running="queue")
    id = f"resp_{second['conversation']['id']}{second['reply']['id']}"

    shown = (await server.get(f"{PATH}/{id}")).json()
    async with await server.listen(f"{PATH}/{id}?stream=true") as stream:
        created = await until(stream, "response.created")
        await server.stop_reply(first)
        done = await until(stream, "response.completed")

    assert (shown["status"], created["response"]["status"]) == ("queued", "in_progress")
    assert done["response"]["output"][0]["content"][0]["text"] == "And then?"


async def test_a_reply_that_was_imported_is_followed_like_any_other(server: WatchedServer):
    first = await create(server, "One")
    second = await create(server, "Two three", previous_response_id=first["id"])
    messages = (await server.get(f"/conversations/{second['conversation']['id']}/messages")).json()["messages"]
    body = {"conversation": {"title": "Moved"}, "messages": messages}
    moved = (await server.post("/conversations/import", body)).json()["conversation"]

    async with await server.listen(f"{PATH}/resp_{moved['id']}{moved['head']}?stream=true") as stream:
        done = await until(stream, "response.completed")
    shown = (await server.get(f"{PATH}/resp_{moved['id']}{moved['head']}")).json()

    assert done["response"] == shown
    assert [item["content"] for item in shown["output"]] == [item["content"] for item in second["output"]]
    items = (await server.get(f"{PATH}/{shown['id']}/input_items?order=asc")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["One", "One", "Two three"]


async def test_a_conflict_says_not_to_try_again(server: WatchedServer):
    response = await create(server, **WAITS, background=True)

    answer = await server.post(PATH, {**ECHO, "input": "And?", "previous_response_id": response["id"]})
    await server.post(f"{PATH}/{response['id']}/cancel")

    check_refusal(answer, 409)
    assert answer.headers["x-should-retry"] == "false"


async def test_the_same_bytes_under_one_key_are_one_response_in_any_form(server: WatchedServer):
    body = json.dumps({**ECHO, "input": "Once", "stream": True}).encode()

    one, two = [await server.send(PATH, body, idempotency_key="responses-once") for _ in range(2)]

    assert one.content == two.content
    assert "idempotency-replayed" not in one.headers
    assert two.headers["idempotency-replayed"] == "true"


async def test_a_repeated_request_is_answered_though_its_conversation_has_gone_on(server: WatchedServer):
    asked = await server.ask("Hello", responder="echo")
    await server.ended(asked)
    body = {**WAITS, "input": "Wait", "background": True, "conversation": asked["conversation"]["id"]}
    body = json.dumps(body).encode()

    one, two = [await server.send(PATH, body, idempotency_key="responses-named") for _ in range(2)]
    await server.post(f"{PATH}/{one.json()['id']}/cancel")

    assert one.json()["id"] == two.json()["id"]
    assert two.headers["idempotency-replayed"] == "true"


async def test_a_conversation_may_be_named_and_is_continued_at_its_head(server: WatchedServer):
    asked = await server.ask("Hello", responder="echo")
    await server.ended(asked)

    response = await create(server, "And then?", conversation={"id": asked["conversation"]["id"]})

    messages = (await server.get(f"/conversations/{asked['conversation']['id']}/messages")).json()["messages"]
    assert [message["text"] for message in messages] == ["Hello", "Hello", "And then?", "And then?"]
    assert messages[2]["parent"] == asked["reply"]["id"]
    assert response["conversation"] == {"id": asked["conversation"]["id"]}


async def test_a_long_history_is_refused_as_a_whole(server: WatchedServer, untouched: None):
    items = [{"role": role, "content": "a"} for _ in range(501) for role in ("user", "assistant")]

    check_refusal(await server.post(PATH, {**ECHO, "input": [*items, {"role": "user", "content": "b"}]}), 413)


async def test_more_items_than_a_history_can_have_are_refused_before_they_are_read(
    server: WatchedServer, untouched: None
):
    check_refusal(await server.post(PATH, {**ECHO, "input": [{"nonsense": 1}] * 10_001}), 413)
