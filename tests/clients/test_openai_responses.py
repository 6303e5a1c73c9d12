"""OpenAI's own library against `/v1/responses`, unmodified, and beside it the native API: one reply, many doors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.clients.openai_types import check_event, check_item, check_response
from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ACTOR = Path(__file__).with_name("actor.py")
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("data"), responder=f"{ACTOR}:actor") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


async def events_of(stream: Any) -> list[dict[str, Any]]:
    """All events of a stream, each held to both sets of types."""
    events = [event.to_dict() async for event in stream]
    for event in events:
        check_event(event)
    return events


async def first(stream: Any, type: str) -> dict[str, Any]:
    async for event in stream:
        if event.type == type:
            return event.to_dict()
    raise AssertionError(f"no {type} came")


def native(response: Any) -> str:
    """The path of the reply that a response is."""
    return f"/conversations/{response.conversation.id}/replies/{response.id[-26:]}"


async def reply_of(server: Server, response: Any) -> dict[str, Any]:
    return (await server.get(native(response) + "?wait=10")).json()["reply"]


def given(response: Any) -> dict[str, Any]:
    """What the responder says it was given."""
    return json.loads(response.output_text)


async def test_a_plain_response_is_whole(server: Server, client: AsyncOpenAI):
    response = await client.responses.create(model="echo", input="Hello there", metadata={"for": "gulls"})

    check_response(response.to_dict())
    assert (response.status, response.output_text, response.model) == ("completed", "Hello there", "echo")
    assert response.metadata == {"for": "gulls"}
    assert (await client.responses.retrieve(response.id)).to_dict() == response.to_dict()


async def test_a_stream_ends_in_the_response_that_a_plain_read_gives(server: Server, client: AsyncOpenAI):
    events = await events_of(await client.responses.create(input="think", stream=True))

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    response = await client.responses.retrieve(events[-1]["response"]["id"])
    assert events[-1]["response"] == response.to_dict()
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].summary[0].text == "Hm, yes."
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 4, 7)


async def test_the_librarys_own_accumulator_gets_the_final_response(client: AsyncOpenAI):
    async with client.responses.stream(model="echo", input="Hello there") as stream:
        texts = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()

    assert "".join(texts) == final.output_text == "Hello there"


async def test_every_stored_response_streams_again_from_any_number(client: AsyncOpenAI):
    response = await client.responses.create(input="count")
    whole = await events_of(await client.responses.retrieve(response.id, stream=True))

    for after in (0, 7, len(whole) - 2, len(whole) - 1, len(whole) + 5):
        rest = await events_of(await client.responses.retrieve(response.id, stream=True, starting_after=after))
        assert rest == whole[after + 1 :]
    async with client.responses.stream(response_id=response.id, starting_after=5) as stream:
        numbers = [event.sequence_number async for event in stream]
        assert (await stream.get_final_response()).output_text == response.output_text
    assert numbers == list(range(6, len(whole)))


async def test_a_response_in_the_background_is_left_and_found_again(client: AsyncOpenAI):
    response = await client.responses.create(input="hang", background=True)
    assert response.status in ("queued", "in_progress")

    stream = await client.responses.retrieve(response.id, stream=True)
    delta = await first(stream, "response.output_text.delta")
    await stream.close()
    later = await client.responses.retrieve(response.id, stream=True, starting_after=delta["sequence_number"])
    cancelled = await client.responses.cancel(response.id)

    events = await events_of(later)
    assert events[0]["sequence_number"] == delta["sequence_number"] + 1
    assert (events[-1]["type"], events[-1]["response"]["status"]) == ("response.incomplete", "cancelled")
    assert (cancelled.status, cancelled.output_text) == ("cancelled", "Begun.")
    assert (await client.responses.cancel(response.id)).to_dict() == cancelled.to_dict()
    check_response(cancelled.to_dict())


async def test_a_background_response_may_be_streamed_and_is_queued_first(client: AsyncOpenAI):
    events = await events_of(await client.responses.create(input="think", background=True, stream=True))

    assert [event["type"] for event in events[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert events[-1]["response"]["background"] is True


async def test_a_chain_of_responses_is_one_conversation_and_may_fork(server: Server, client: AsyncOpenAI):
    one = await client.responses.create(input="one", instructions="Be brief.")
    two = await client.responses.create(input="two", previous_response_id=one.id)
    other = await client.responses.create(input="other", previous_response_id=one.id)

    assert given(one)["told"] == [["system", "Be brief."], ["user", "one"]]
    assert given(two)["told"] == [["user", "one"], ["assistant", one.output_text], ["user", "two"]]
    assert given(other)["told"][-1] == ["user", "other"]
    assert (one.instructions, two.instructions, two.previous_response_id) == ("Be brief.", None, one.id)
    assert one.conversation.id == two.conversation.id == other.conversation.id
    after = await client.responses.create(input="three", conversation=one.conversation.id)
    assert given(after)["told"][-2:] == [["assistant", other.output_text], ["user", "three"]]


async def test_tools_go_there_and_back(client: AsyncOpenAI):
    response = await client.responses.create(input="call", tools=[WEATHER], tool_choice="auto")
    check_response(response.to_dict())
    assert response.tools[0].to_dict() == WEATHER
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.name, call.call_id, json.loads(call.arguments)) == ("weather", "call_weather", {"city": "Oslo"})

    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "grey"}
    answer = await client.responses.create(input=[output], previous_response_id=response.id, tools=[WEATHER])

    assert answer.output_text == "It is grey."
    items = [item.to_dict() for item in (await client.responses.input_items.list(answer.id)).data]
    assert [(item["type"], item["output"]) for item in items] == [("function_call_output", "grey")]


async def test_a_client_that_keeps_the_history_itself_goes_on_in_the_stored_branch(client: AsyncOpenAI):
    history: list[Any] = [{"role": "user", "content": "call"}]
    asked = await client.responses.create(input=history, tools=[WEATHER])
    history += [item.to_dict() for item in asked.output]
    history.append({"type": "function_call_output", "call_id": "call_weather", "output": "wet"})
    answer = await client.responses.create(input=history, tools=[WEATHER])
    history += [item.to_dict() for item in answer.output]
    history.append({"role": "user", "content": "And then?"})

    last = await client.responses.create(input=history)

    assert answer.output_text == "It is wet."
    assert asked.conversation.id == answer.conversation.id == last.conversation.id
    assert [role for role, _ in given(last)["told"]] == ["user", "assistant", "tool", "assistant", "user"]


async def test_items_may_be_named_by_their_ids_in_place_of_sending_them_again(client: AsyncOpenAI):
    asked = await client.responses.create(input="call", tools=[WEATHER])
    references: list[Any] = [{"type": "item_reference", "id": item.id} for item in asked.output]
    output: Any = {"type": "function_call_output", "call_id": "call_weather", "output": "dry"}

    answer = await client.responses.create(input=[{"role": "user", "content": "call"}, *references, output])

    assert answer.output_text == "It is dry."
    assert answer.conversation.id == asked.conversation.id
    await client.responses.delete(asked.id)
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.responses.create(input=[references[0], {"role": "user", "content": "And?"}])
    assert refusal.value.param == "input[0].id"


async def test_what_is_not_to_be_stored_is_answered_and_gone(server: Server, client: AsyncOpenAI):
    before = (await server.get("/conversations")).json()
    one = await client.responses.create(input="one", store=False)
    stored = await client.responses.create(input="kept")
    after = await client.responses.create(input="two", previous_response_id=stored.id, store=False)

    assert given(one)["told"] == [["user", "one"]]
    assert given(after)["told"] == [["user", "kept"], ["assistant", stored.output_text], ["user", "two"]]
    assert (one.store, after.previous_response_id) == (False, stored.id)
    for response in (one, after):
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(input="And?", previous_response_id=response.id)
    listed = (await server.get("/conversations")).json()["conversations"]
    assert [conversation["id"] for conversation in listed][1:] == [c["id"] for c in before["conversations"]]


async def test_images_and_tools_reach_the_responder_as_they_were_sent(client: AsyncOpenAI):
    url = "data:image/png;base64,AA=="
    content: Any = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url}]

    response = await client.responses.create(
        input=[{"role": "developer", "content": "Look."}, {"role": "user", "content": content}],
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
    )

    assert given(response) == {
        "told": [["system", "Look."], ["user", "What is this?"]],
        "images": [url],
        "tools": [["weather", "Tells the weather.", WEATHER["parameters"]]],
        "choice": "weather",
    }
    assert response.tool_choice.to_dict() == {"type": "function", "name": "weather"}


async def test_a_tool_that_the_responder_runs_itself_is_not_the_clients(client: AsyncOpenAI):
    response = await client.responses.create(input="run")

    assert [item.type for item in response.output] == ["message"]
    assert response.output_text == "It is grey."


async def test_too_few_tokens_leave_it_incomplete(client: AsyncOpenAI):
    events = await events_of(await client.responses.create(input="count", max_output_tokens=3, stream=True))

    assert events[-1]["type"] == "response.incomplete"
    response = await client.responses.retrieve(events[-1]["response"]["id"])
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (response.max_output_tokens, response.output_text) == (3, "0 1 2 ")


async def test_a_failure_is_told_and_read_again(client: AsyncOpenAI):
    events = await events_of(await client.responses.create(input="fail", stream=True))

    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["message"] == "The model is overloaded."
    response = await client.responses.retrieve(events[-1]["response"]["id"])
    assert (response.status, response.error.message) == ("failed", "The model is overloaded.")
    assert response.output_text == "Half "
    plain = await client.responses.create(input="fail")
    assert plain.status == "failed"


async def test_input_items_are_read_page_by_page(client: AsyncOpenAI):
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "grey"}
    items: list[Any] = [
        {"role": "user", "content": "m0"},
        {"role": "assistant", "content": "said"},
        call,
        output,
        {"role": "user", "content": "m1"},
    ]
    response = await client.responses.create(input=items)

    found: dict[str, list[Any]] = {}
    for order in ("asc", "desc"):
        pages = client.responses.input_items.list(response.id, limit=2, order=order)
        found[order] = [item.to_dict() async for item in pages]

    for item in found["asc"]:
        check_item(item)
    assert [item["type"] for item in found["asc"]] == [item.get("type", "message") for item in items]
    texts = [item["content"][0]["text"] for item in found["asc"] if "content" in item]
    assert texts == ["m0", "said", "m1"]
    assert found["desc"] == found["asc"][::-1]
    following = await client.responses.create(input="And?", previous_response_id=response.id)
    (item,) = (await client.responses.input_items.list(following.id)).data
    assert item.content[0].text == "And?"


async def test_a_deleted_response_is_gone_and_the_others_stay(server: Server, client: AsyncOpenAI):
    one = await client.responses.create(input="one")
    two = await client.responses.create(input="two", previous_response_id=one.id)

    await client.responses.delete(one.id)

    for gone in (client.responses.retrieve, client.responses.cancel, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            await gone(one.id)
    assert (await client.responses.retrieve(two.id)).to_dict() == two.to_dict()
    assert (await server.get(native(one))).status_code == 200  # it is a message of a conversation that goes on
    await client.responses.delete(two.id)
    assert (await server.get(native(one))).status_code == 404


async def test_a_response_that_runs_is_stopped_and_deleted(server: Server, client: AsyncOpenAI):
    response = await client.responses.create(input="hang", background=True)

    await client.responses.delete(response.id)

    assert (await server.get(native(response))).status_code == 404


async def test_errors_are_the_librarys_own(client: AsyncOpenAI):
    running = await client.responses.create(input="hang", background=True)
    wrong: list[tuple[type[openai.APIStatusError], dict[str, Any], str | None, str | None]] = [
        (openai.NotFoundError, {"model": "nobody"}, "model", "model_not_found"),
        (
            openai.BadRequestError,
            {"previous_response_id": "resp_x"},
            "previous_response_id",
            "previous_response_not_found",
        ),
        (openai.BadRequestError, {"input": [{"role": "robot", "content": "Hi"}]}, "input[0].role", None),
        (openai.BadRequestError, {"tools": [{"type": "web_search"}]}, "tools[0].type", None),
        (openai.BadRequestError, {"temperature": 7}, "temperature", None),
        (openai.ConflictError, {"previous_response_id": running.id}, None, None),
    ]

    for error, fields, param, code in wrong:
        with pytest.raises(error) as refusal:
            await client.responses.create(**{"input": "Hello", **fields})
        assert (refusal.value.param, refusal.value.code) == (param, code)
        assert refusal.value.request_id
    assert refusal.value.response.headers["x-should-retry"] == "false"
    await client.responses.cancel(running.id)


async def test_responders_are_models(client: AsyncOpenAI):
    models = [model.id async for model in client.models.list()]

    assert models[0] == "actor"
    assert {"echo", "mock", "openai"} < set(models)
    assert (await client.models.retrieve("echo")).owned_by == "tickertape"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody")


# One reply, many doors


async def test_what_began_here_is_watched_and_stopped_natively(server: Server, client: AsyncOpenAI):
    stream = await client.responses.create(input="hang", stream=True)
    delta = await first(stream, "response.output_text.delta")
    ids = stream.response.headers["x-conversation-id"], stream.response.headers["x-reply-id"]
    await stream.close()

    async with await server.listen(f"/conversations/{ids[0]}/events?from=start&until=idle") as watched:
        await watched.until("reply.delta")
        await server.post(f"/conversations/{ids[0]}/replies/{ids[1]}/stop")
        ending = (await watched.until("reply.ended")).json

    response = await client.responses.retrieve("resp_" + "".join(ids))
    assert response.status == ending["status"] == "cancelled"
    assert response.output_text == delta["delta"] == ending["text"]
    assert hashlib.sha256(response.output_text.encode()).hexdigest() == ending["text_sha256"]


async def test_what_began_natively_is_followed_and_cancelled_here(server: Server, client: AsyncOpenAI):
    asked = await server.ask("hang")
    id = f"resp_{asked['conversation']['id']}{asked['reply']['id']}"
    stream = await client.responses.retrieve(id, stream=True)
    await first(stream, "response.output_text.delta")

    response = await client.responses.cancel(id)

    await first(stream, "response.incomplete")
    check_response(response.to_dict())
    reply = await reply_of(server, response)
    assert (reply["status"], reply["text"]) == ("cancelled", response.output_text)
    following = await client.responses.create(input="And now?", previous_response_id=id)
    assert given(following)["told"] == [["user", "hang"], ["assistant", "Begun."], ["user", "And now?"]]


async def test_a_restart_loses_no_response(server: Server, client: AsyncOpenAI):
    response = await client.responses.create(input="think", metadata={"k": "v"}, tools=[WEATHER])
    running = await client.responses.create(input="hang", background=True)
    stream = await client.responses.retrieve(running.id, stream=True)
    delta = await first(stream, "response.output_text.delta")
    before = await events_of(await client.responses.retrieve(response.id, stream=True))

    await server.restart()

    assert (await client.responses.retrieve(response.id)).to_dict() == response.to_dict()
    assert await events_of(await client.responses.retrieve(response.id, stream=True)) == before
    rest = await events_of(
        await client.responses.retrieve(running.id, stream=True, starting_after=delta["sequence_number"])
    )
    assert [event["type"] for event in rest[-2:]] == ["error", "response.failed"]
    assert rest[0]["sequence_number"] == delta["sequence_number"] + 1


async def test_the_same_request_again_is_the_same_response(client: AsyncOpenAI):
    key: Any = {"extra_headers": {"Idempotency-Key": "once"}}

    one, two = await asyncio.gather(*(client.responses.create(input="count", **key) for _ in range(2)))
    again = await events_of(await client.responses.retrieve(one.id, stream=True))

    assert one.to_dict() == two.to_dict() == again[-1]["response"]
