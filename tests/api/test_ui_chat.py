"""The AI SDK's door over bare HTTP: where a message goes, what is resumed, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.ids import new_id
from tests.api.answers import check_problem
from tests.api.watched import HALTING, SILENT, WatchedServer
from tests.support.sse import EventStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

ECHO = {"model": "echo"}
SLOW = {"model": "mock", "options": SILENT["options"]}
ONE_TOKEN = {"model": "mock", "options": HALTING["options"]}


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"id": new_id(), "role": "user", "parts": [{"type": "text", "text": text}], **more}


def assistant(id: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "role": "assistant", "parts": [{"type": "step-start"}, *parts]}


async def pour(server: WatchedServer, id: str, *messages: dict[str, Any], **more: Any) -> EventStream:
    return await server.pour({"id": id, "messages": messages, **more}, "/api/chat")


def chunks(stream: EventStream) -> list[dict[str, Any]]:
    *lines, last, nothing = stream.raw.decode().split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line != ": ping"]


async def until(stream: EventStream, type: str) -> None:
    while (await stream.next()).json["type"] != type:
        pass


def text_of(told: list[dict[str, Any]]) -> str:
    return "".join(chunk["delta"] for chunk in told if chunk["type"] == "text-delta")


async def say(server: WatchedServer, id: str, *messages: dict[str, Any], **more: Any) -> tuple[EventStream, list]:
    async with await pour(server, id, *messages, **{**ECHO, **more}) as stream:
        await stream.rest()
    assert stream.status == 200
    return stream, chunks(stream)


async def texts(server: WatchedServer, conversation_id: str) -> list[tuple[str, str | None, str]]:
    messages = (await server.get(f"/conversations/{conversation_id}/messages")).json()["messages"]
    places = {message["id"]: str(place) for place, message in enumerate(messages)}
    return [(message["role"], places.get(message["parent"]), message["text"]) for message in messages]


async def test_a_message_begins_a_conversation_and_is_answered_in_chunks(server: WatchedServer):
    id = new_id()

    stream, told = await say(server, id, user("Hello there"))

    conversation_id, reply_id = stream.headers["x-conversation-id"], stream.headers["x-reply-id"]
    assert stream.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (told[0]["type"], told[0]["messageId"]) == ("start", reply_id)
    assert text_of(told) == "Hello there"
    assert told[-1]["finishReason"] == "stop"
    reply = (await server.get(f"/conversations/{conversation_id}/replies/{reply_id}")).json()["reply"]
    assert reply["text"] == "Hello there"


async def test_the_whole_history_every_time_makes_one_conversation(server: WatchedServer):
    id = new_id()
    first, told = await say(server, id, user("One"))
    history = [user("One"), assistant(told[0]["messageId"], {"type": "text", "text": "O"}), user("Two")]

    second, _ = await say(server, id, *history)

    assert second.headers["x-conversation-id"] == first.headers["x-conversation-id"]
    assert await texts(server, first.headers["x-conversation-id"]) == [
        ("user", None, "One"),
        ("assistant", "0", "One"),
        ("user", "1", "Two"),
        ("assistant", "2", "Two"),
    ]


async def test_a_client_may_send_the_last_message_alone(server: WatchedServer):
    id = new_id()
    first, _ = await say(server, id, user("One"))

    await say(server, id, user("Two"))

    assert (await texts(server, first.headers["x-conversation-id"]))[2] == ("user", "1", "Two")


async def test_an_edited_question_is_another_branch(server: WatchedServer):
    id = new_id()
    first, told = await say(server, id, user("One"))
    answer = assistant(told[0]["messageId"], {"type": "text", "text": "One"})
    await say(server, id, user("One"), answer, user("Two"))

    await say(server, id, user("Other one"), messageId="m1")
    await say(server, id, user("One"), answer, user("Other two"), messageId="m3")

    told = await texts(server, first.headers["x-conversation-id"])
    assert told[4] == ("user", None, "Other one")
    assert told[6] == ("user", "1", "Other two")


@pytest.mark.parametrize("named", [True, False])
async def test_a_reply_is_regenerated_beside_the_old_one(server: WatchedServer, named: bool):
    id = new_id()
    first, told = await say(server, id, user("One"))
    more = {"messageId": told[0]["messageId"]} if named else {}

    again, _ = await say(server, id, user("One"), trigger="regenerate-message", **more)

    assert again.headers["x-reply-id"] != first.headers["x-reply-id"]
    assert await texts(server, first.headers["x-conversation-id"]) == [
        ("user", None, "One"),
        ("assistant", "0", "One"),
        ("assistant", "0", "One"),
    ]


async def test_the_question_that_is_named_is_answered_anew_and_no_later_one(server: WatchedServer):
    id = new_id()
    first, told = await say(server, id, user("One"))
    answer = assistant(told[0]["messageId"], {"type": "text", "text": "One"})
    await say(server, id, user("One"), answer, user("Two"))
    regenerate = {"trigger": "regenerate-message", "messageId": "an id of the client's own"}

    await say(server, id, user("One"), **regenerate)
    await say(server, id, user("One"), answer, user("Two"), **regenerate)
    await say(server, id, user("One"), answer, user("Three"), **regenerate)

    assert (await texts(server, first.headers["x-conversation-id"]))[4:] == [
        ("assistant", "0", "One"),
        ("assistant", "2", "Two"),
        ("user", "1", "Three"),
        ("assistant", "6", "Three"),
    ]


async def test_a_running_reply_is_resumed_from_its_beginning_and_stopped_at_its_own_path(server: WatchedServer):
    id = new_id()
    stream = await pour(server, id, user("Slowly"), **ONE_TOKEN)
    async with stream:
        await until(stream, "text-delta")
    reply_id = stream.headers["x-reply-id"]

    async with await server.listen(f"/api/chat/{id}/stream") as resumed:
        await until(resumed, "text-delta")
        assert resumed.status == 200
        assert (await server.post(f"/api/chat/{id}/stop")).status_code == 204
        await resumed.rest()

    told = chunks(resumed)
    assert (told[0]["type"], told[0]["messageId"]) == ("start", reply_id)
    assert told[-1] == {"type": "abort", "reason": "The reply was stopped."}
    path = f"/conversations/{stream.headers['x-conversation-id']}/replies/{reply_id}"
    assert (await server.get(path)).json()["reply"]["text"] == text_of(told) != ""
    assert (await server.get(f"/api/chat/{id}/stream")).status_code == 204


async def test_there_is_nothing_to_resume_where_nothing_runs(server: WatchedServer):
    assert (await server.get(f"/api/chat/{new_id()}/stream")).status_code == 204
    check_problem(await server.post(f"/api/chat/{new_id()}/stop"), 404)


async def test_our_own_id_names_a_conversation_that_came_by_another_door(server: WatchedServer):
    asked = await server.ask("One", responder="echo")
    await server.ended(asked)
    id = asked["conversation"]["id"]

    stream, _ = await say(server, id, user("Two"))

    assert stream.headers["x-conversation-id"] == id
    assert (await texts(server, id))[2] == ("user", "1", "Two")


async def test_the_next_message_interrupts_a_reply_that_runs(server: WatchedServer):
    id = new_id()
    async with await pour(server, id, user("Slowly"), **ONE_TOKEN) as stream:
        await until(stream, "text-delta")
    reply_id, conversation_id = stream.headers["x-reply-id"], stream.headers["x-conversation-id"]

    await say(server, id, user("Slowly"), assistant(reply_id), user("And now?"))

    stopped = (await server.get(f"/conversations/{conversation_id}/replies/{reply_id}")).json()["reply"]
    assert stopped["status"] == "cancelled"
    assert (await texts(server, conversation_id))[2][:2] == ("user", "1")


async def test_a_history_with_tools_and_images_is_told_without_loss(server: WatchedServer):
    call = {
        "type": "tool-clock",
        "toolCallId": "call-1",
        "state": "output-available",
        "input": {"zone": "UTC"},
        "output": {"time": "12:00"},
    }
    picture = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"}

    stream, _ = await say(
        server,
        new_id(),
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "What is this?"}, picture]},
        assistant(
            "2", {"type": "reasoning", "text": "Hm."}, call, {"type": "step-start"}, {"type": "text", "text": "A."}
        ),
        user("Sure?"),
        system="Be brief.",
    )

    path = f"/conversations/{stream.headers['x-conversation-id']}/messages"
    messages = (await server.get(path)).json()["messages"]
    assert [(message["role"], [part["type"] for part in message["parts"]]) for message in messages] == [
        ("user", ["text", "image"]),
        ("assistant", ["reasoning", "tool_call"]),
        ("tool", ["tool_result"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
        ("assistant", ["text"]),
    ]
    assert messages[1]["parts"][1]["arguments"] == '{"zone":"UTC"}'
    assert messages[2]["parts"] == [{"type": "tool_result", "call_id": "call-1", "result": '{"time":"12:00"}'}]


async def test_the_same_key_is_the_same_reply_from_its_first_chunk(server: WatchedServer):
    body, headers = {"id": new_id(), "messages": [user("Once")], **ECHO}, {"Idempotency-Key": new_id()}
    answers = []
    for _ in range(2):
        async with await server.pour(body, "/api/chat", headers=headers) as stream:
            await stream.rest()
        answers.append((stream.headers["x-reply-id"], chunks(stream)))

    assert answers[0] == answers[1]
    assert stream.headers["idempotency-replayed"] == "true"


async def test_a_hang_up_stops_a_reply_where_that_is_wanted(server: WatchedServer):
    body = {"id": new_id(), "messages": [user("Slowly")], **SLOW}
    async with await server.pour(body, "/api/chat", headers={"x-on-disconnect": "stop"}) as stream:
        await until(stream, "start-step")
    ids = {"conversation": {"id": stream.headers["x-conversation-id"]}, "reply": {"id": stream.headers["x-reply-id"]}}

    # Read by its list, since whoever looks at a reply has come back to it.
    while not any(c["id"] == ids["conversation"]["id"] and not c["running"] for c in await server.state()):
        pass

    assert (await server.ended(ids))["status"] == "cancelled"


TOOL = {"type": "tool-clock", "toolCallId": "c", "state": "input-available", "input": {}}
MESSAGE = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"messages": [MESSAGE]}, 422, "id"),
        ({"id": "", "messages": [MESSAGE]}, 422, "id"),
        ({"id": "x" * 201, "messages": [MESSAGE]}, 422, "id"),
        ({"id": "x"}, 422, "messages"),
        ({"id": "x", "messages": []}, 422, "messages"),
        ({"id": "x", "messages": [MESSAGE | {"role": "tool"}]}, 422, "messages[0].role"),
        ({"id": "x", "messages": [MESSAGE], "trigger": "resume-stream"}, 422, "trigger"),
        ({"id": "x", "messages": [MESSAGE], "model": "nobody"}, 422, "responder"),
        ({"id": "x", "messages": [MESSAGE], "model": "echo", "options": {"loud": 1}}, 422, "options.loud"),
        ({"id": "x", "messages": [MESSAGE | {"parts": []}]}, 422, "messages"),
        ({"id": "x", "messages": [MESSAGE, {"role": "assistant", "parts": MESSAGE["parts"]}]}, 422, "messages"),
        ({"id": "x", "messages": [MESSAGE], "tools": [{"name": ""}]}, 422, "tools"),
        ({"id": "x", "messages": [MESSAGE], "toolChoice": "clock"}, 422, "tool_choice"),
        ({"id": "x", "messages": [MESSAGE | {"parts": [TOOL]}]}, 422, "messages[0].parts[0].type"),
        ({"id": "x", "messages": [MESSAGE | {"parts": [{"type": "file", "mediaType": "audio/wav", "url": "data:,"}]}]},
         422, "messages[0].parts[0].type"),
        ({"id": "x", "messages": [{"role": "assistant", "parts": [TOOL | {"toolCallId": ""}]}]}, 422,
         "messages[0].parts[0]"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_by_name(
    server: WatchedServer, untouched: None, body: dict[str, Any], status: int, path: str
):
    check_problem(await server.post("/api/chat", body), status, path=path)


@pytest.mark.parametrize(
    "messages",
    [[MESSAGE] * 1001, [MESSAGE | {"parts": MESSAGE["parts"] * 10_001}]],
    ids=["messages", "parts"],
)
async def test_a_history_is_bounded_in_number(server: WatchedServer, untouched: None, messages: list[Any]):
    check_problem(await server.post("/api/chat", {"id": "x", "messages": messages}), 413)


async def test_a_word_on_hang_ups_that_is_none_is_refused(server: WatchedServer, untouched: None):
    answer = await server.post("/api/chat", {"id": "x", "messages": [MESSAGE]}, headers={"x-on-disconnect": "later"})

    check_problem(answer, 400, "x-on-disconnect is one of stop, linger and continue.")
