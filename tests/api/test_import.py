"""Imports: an exported conversation comes back as a new one, whole, in one commit, or is refused by name."""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from app.events import Event
from app.history import History, fold
from app.messages import Conversation
from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

IMPORT = "/conversations/import"
AT_ONCE = {"first_token_delay": 0, "tokens_per_second": None}
AT = "2026-01-02T03:04:05.678901Z"

Export = dict[str, Any]


async def export(server: WatchedServer, path: str) -> Export:
    """Return a conversation as the page exports it: with every message whole."""
    conversation = (await server.get(path)).json()["conversation"]
    messages: list[Any] = []
    place = ""
    while place is not None:
        page = (await server.get(f"{path}/messages?limit=3&before={place}")).json()
        messages, place = page["messages"] + messages, page["next"]
    return {"conversation": conversation, "messages": messages}


async def take(server: WatchedServer, exported: Export, **more: Any) -> dict[str, Any]:
    """Import, and return the 201's body."""
    answer = await server.post(IMPORT, exported, **more)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == path_of(answer.json())
    return answer.json()


def with_ids_of(exported: Export, other: Export) -> list[Any]:
    """Return the messages of an export with the ids of another one's messages, place by place."""
    ids = {a["id"]: b["id"] for a, b in zip(exported["messages"], other["messages"], strict=True)}
    return [m | {"id": ids[m["id"]], "parent": ids.get(m["parent"])} for m in exported["messages"]]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def told(server: WatchedServer) -> Export:
    """An export with a system text, branches, reasoning, tools, and replies that ended in every way but one."""
    text = "Où sont les mouettes? 🕊\u2028\0\r\n\u202e鯨"
    mock = {"responder": "mock"}
    parts = {"reasoning_tokens": 5, "tool_call": True}
    asked = await server.ask(text, system="You are a lighthouse.", title="Gulls 鯨", **QUICK)
    await server.ended(asked)
    messages = path_of(asked) + "/messages"
    rich = await server.ask("And then?", messages, **mock, options=AT_ONCE | parts | {"tokens": 40})
    await server.ended(rich)
    failing = await server.ask_retry(rich, responder="mock", options=AT_ONCE | {"tokens": 20})
    halted = await server.ask("Stop", messages, parent=asked["reply"]["id"], **HALTING)
    async with await server.listen(halted["events"], halted["cursor"]) as stream:
        await stream.until("reply.delta")
    queued = await server.ask("Never", messages, parent=halted["reply"]["id"], if_running="queue", **QUICK)
    await server.stop_reply(queued)
    await server.stop_reply(halted)
    await server.ended(await server.ask("From the root", messages, parent=None, **QUICK))
    exported = await export(server, path_of(asked))
    replies = [message for message in exported["messages"] if message["role"] == "assistant"]
    assert {reply["status"] for reply in replies} == {"completed", "cancelled"}
    assert [reply for reply in replies if reply["started_at"] is None]
    # A responder that fails is an error in the server's log, and only a restart interrupts: both are made of others.
    halted_reply = next(reply for reply in replies if reply["id"] == halted["reply"]["id"])
    halted_reply["status"] = "interrupted"
    failed_reply = next(reply for reply in replies if reply["id"] == failing["id"])
    failed_reply |= {"status": "failed", "finish_reason": None, "error": {"code": "idle", "message": "Nothing came."}}
    failed_reply["usage"]["partial"] = True
    return exported


async def test_what_was_exported_reads_the_same_but_for_its_ids(server: WatchedServer, told: Export):
    imported = await take(server, told)

    again = await export(server, path_of(imported))
    assert again["messages"] == with_ids_of(told, again)
    assert not {m["id"] for m in told["messages"]} & {m["id"] for m in again["messages"]}
    assert again["conversation"] == imported["conversation"]
    assert imported["conversation"] == told["conversation"] | {
        "id": imported["conversation"]["id"],
        "head": again["messages"][-1]["id"],
        "updated_at": imported["conversation"]["updated_at"],
    }
    assert imported["conversation"]["updated_at"] > told["conversation"]["updated_at"]
    assert await take(server, again), "and an import can be exported"


async def test_the_log_of_an_import_is_whole_and_adds_up_to_its_messages(server: WatchedServer, told: Export):
    imported = await take(server, told)

    log = await server.log_of(imported)

    again = await export(server, path_of(imported))
    begun = msgspec.convert(imported["conversation"] | {"head": None}, Conversation)
    history = History(begun)
    for event in log:
        fold(history, msgspec.convert({k: v for k, v in event.items() if k != "id"}, Event))
    assert [event["id"].rpartition("-")[2] for event in log] == [f"{n:012d}" for n in range(1, len(log) + 1)]
    assert imported["cursor"] == log[0]["id"].rpartition("-")[0] + "-" + "0" * 12
    assert json.loads(msgspec.json.encode(list(history.messages.values()))) == again["messages"]
    assert json.loads(msgspec.json.encode(history.conversation())) == again["conversation"]


async def test_a_snapshot_can_be_posted_back_as_it_is(server: WatchedServer):
    asked = await server.ask("A small one", **QUICK)
    await server.ended(asked)
    snapshot = (await server.get(path_of(asked))).json()

    imported = await take(server, snapshot)

    again = (await server.get(path_of(imported))).json()
    assert again["messages"] == with_ids_of(snapshot, again)


@pytest.mark.parametrize(("asking", "ready"), [(SILENT, "reply.started"), (HALTING, "reply.delta")])
async def test_a_reply_that_had_not_ended_is_interrupted(server: WatchedServer, asking: dict, ready: str):
    asked = await server.ask("Go on for ever", **asking)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        await stream.until(ready)
    queued = await server.ask("And then?", path_of(asked) + "/messages", if_running="queue", **QUICK)
    exported = await export(server, path_of(asked))
    assert [m["status"] for m in exported["messages"]] == ["completed", "running", "completed", "accepted"]

    imported = await take(server, exported)

    _, ran, _, waited = (await export(server, path_of(imported)))["messages"]
    for reply, before in ((ran, exported["messages"][1]), (waited, exported["messages"][3])):
        assert reply["status"] == "interrupted"
        assert reply["ended_at"] == imported["conversation"]["updated_at"]
        assert reply["usage"]["partial"]
        assert reply["usage"]["estimated"]
        for same in ("parts", "text", "created_at", "started_at", "first_token_at", "error", "finish_reason"):
            assert reply[same] == before[same]
    assert imported["conversation"]["running"] == []
    await server.stop_reply(queued)
    await server.stop_reply(asked)


async def test_an_import_goes_on_like_any_other_conversation(server: WatchedServer, told: Export):
    imported = await take(server, told)
    messages = path_of(imported) + "/messages"

    asked = await server.ask("Where were we?", messages, **QUICK)
    reply = await server.ended(asked)
    retried = await server.ask_retry(asked)

    assert asked["message"]["parent"] == imported["conversation"]["head"]
    assert (reply["text"], retried["text"]) == ("Where were we?", "Where were we?")


async def test_an_unknown_responder_is_kept_and_refused_when_it_is_asked_again(server: WatchedServer, told: Export):
    changed = copy.deepcopy(told)
    place = next(n for n, m in enumerate(changed["messages"]) if m["role"] == "assistant")
    changed["messages"][place]["responder"] = "oracle"
    imported = await take(server, changed)
    reply = (await export(server, path_of(imported)))["messages"][place]

    answer = await server.post(f"{path_of(imported)}/replies/{reply['id']}/retry")

    assert reply["responder"] == "oracle"
    check_problem(answer, 422, path="responder")


async def test_an_import_is_listed_and_found_and_told_to_those_who_follow_the_list(server: WatchedServer):
    prompt = simple("Have you seen a zygopetalum?")
    async with await server.listen("/conversations/events") as stream:
        await stream.until("snapshot")

        imported = await take(server, told_by(prompt))

        while (await stream.until("conversation.changed")).json["conversation"] != imported["conversation"]:
            pass
    found = (await server.get("/conversations?q=zygopetalum")).json()["conversations"]
    listed = (await server.get("/conversations?limit=100")).json()["conversations"]
    assert [each["id"] for each in found] == [imported["conversation"]["id"]]
    assert imported["conversation"] in listed


async def test_a_repeated_import_is_made_once(server: WatchedServer, told: Export):
    headers = {"Idempotency-Key": "import-once"}
    first = await take(server, told, headers=headers)
    before = await server.conversations()

    answers = await asyncio.gather(*(server.post(IMPORT, told, headers=headers) for _ in range(3)))
    other = await server.post(IMPORT, told_by(simple("Another one")), headers=headers)

    for answer in answers:
        assert (answer.status_code, answer.json()) == (201, first)
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.headers["location"] == path_of(first)
    check_problem(other, 422, "This Idempotency-Key was used with another body.", path="Idempotency-Key")
    assert await server.conversations() == before


async def test_a_tool_message_and_an_image_are_kept(server: WatchedServer):
    picture = simple("Look", 0, parts=[{"type": "text", "text": "Look"}, {"type": "image", "url": "data:,x"}])
    tool = simple("", 1, role="tool", parent="0", parts=[{"type": "tool_result", "call_id": "c", "result": "7"}])
    exported = told_by(picture, tool, reply(2, parent="1"))

    imported = await take(server, exported)

    again = await export(server, path_of(imported))
    assert again["messages"] == with_ids_of(exported, again)


# Refusals


def simple(text: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return a user's message; its id is its number."""
    parts = [{"type": "text", "text": text}]
    whole = {"id": str(number), "role": "user", "parent": None, "parts": parts, "text": text}
    return whole | {"status": "completed", "created_at": AT} | more


def reply(number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a completed reply to message 0."""
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    times = dict.fromkeys(["started_at", "first_token_at", "ended_at"], AT)
    own = {"parent": "0", "responder": "echo", "finish_reason": "stop", "usage": usage, "error": None}
    return simple("a heron sings", number, role="assistant") | own | times | more


def told_by(*messages: Any, **conversation: Any) -> Export:
    """Return an export of messages."""
    return {"conversation": {"title": "An import"} | conversation, "messages": list(messages)}


def after_prompt(*path: str | int, value: Any) -> Export:
    """Return an export of a prompt and a reply in which the value at a path is another one; `...` takes it away."""
    exported = told_by(simple("Sing"), reply())
    *way, last = path
    place: Any = exported
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return exported


FIELDS: list[tuple[tuple[str | int, ...], Any]] = [
    (("conversation",), ...),
    (("conversation",), None),
    (("conversation", "title"), ...),
    (("conversation", "title"), " "),
    (("conversation", "title"), "x" * 501),
    (("conversation", "x"), 1),
    (("conversation", "running"), 1),
    (("conversation", "created_at"), "2026-01-02T03:04:05"),
    (("messages",), ...),
    (("messages",), []),
    (("messages",), {}),
    (("messages", 1), None),
    (("messages", 1), []),
    (("cursor",), 1),
    (("x",), 1),
    *((("messages", 1, name), ...) for name in sorted(reply())),
    *((("messages", 1, name), 1.5) for name in sorted(reply())),
    (("messages", 1, "x"), 1),
    (("messages", 1, "id"), "0"),
    (("messages", 1, "id"), ""),
    (("messages", 1, "id"), "x" * 201),
    (("messages", 0, "parent"), "0"),
    (("messages", 0, "parent"), "1"),
    (("messages", 1, "parent"), "2"),
    (("messages", 1, "parent"), None),
    (("messages", 1, "role"), "oracle"),
    (("messages", 0, "status"), "running"),
    (("messages", 1, "status"), "done"),
    (("messages", 0, "text"), "Song"),
    (("messages", 1, "text"), ""),
    (("messages", 0, "parts"), []),
    (("messages", 0, "created_at"), "2026-01-02T03:04:05+01:00"),
    (("messages", 1, "ended_at"), "0001-01-01T00:00:00+23:59"),
    (("messages", 1, "ended_at"), "yesterday"),
    (("messages", 1, "ended_at"), 10**20),
    (("messages", 1, "responder"), ""),
    (("messages", 1, "responder"), "x" * 201),
    (("messages", 1, "usage", "input_tokens"), -1),
    (("messages", 1, "usage", "output_tokens"), 2**53),
    (("messages", 1, "usage", "total_tokens"), ...),
    (("messages", 1, "usage", "partial"), True),
    (("messages", 1, "usage", "x"), 1),
    (("messages", 1, "parts", 0, "type"), "image"),
    (("messages", 1, "parts", 0, "type"), "tape"),
    (("messages", 1, "parts", 0, "text"), ...),
    (("messages", 1, "parts", 0, "url"), "x"),
    # What does not go with a reply that has completed.
    *((("messages", 1, name), None) for name in ("started_at", "first_token_at", "ended_at", "finish_reason", "usage")),
    (("messages", 1, "error"), {"code": "x", "message": "y"}),
]


def spelled(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


@pytest.mark.usefixtures("untouched")
async def test_what_is_wrong_is_named(server: WatchedServer):
    for path, value in FIELDS:
        answer = await server.post(IMPORT, after_prompt(*path, value=value))

        check_problem(answer, 422, path=spelled(path))


ODD = {
    "a part of a tool in a prompt": (
        [simple("", parts=[{"type": "tool_call", "call_id": "c", "name": "n", "arguments": "{}"}])],
        "messages[0].parts[0].type",
    ),
    "an image of the system": (
        [simple("", role="system", parts=[{"type": "image", "url": "x"}])],
        "messages[0].parts[0].type",
    ),
    "half a tool call": (
        [simple("Sing"), reply(parts=[{"type": "tool_call", "call_id": "c", "name": "n"}], text="")],
        "messages[1].parts[0].arguments",
    ),
    "a reply to a reply": ([simple("Sing"), reply(), reply(2, parent="1")], "messages[2].parent"),
    "an outline": (
        [simple("Sing"), {"id": "1", "parent": "0", "role": "assistant", "status": "completed"}],
        "messages[1].parts",
    ),
    "words of an accepted reply": ([simple("Sing"), reply(status="accepted")], "messages[1].parts"),
    "the end of a running reply": ([simple("Sing"), reply(status="running")], "messages[1].ended_at"),
    "a failure without an error": ([simple("Sing"), reply(status="failed", finish_reason=None)], "messages[1].error"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ODD)
async def test_what_no_events_could_tell_is_refused(server: WatchedServer, name: str):
    messages, path = ODD[name]

    answer = await server.post(IMPORT, told_by(*messages))

    check_problem(answer, 422, path=path)


def _said(*texts: str, **more: Any) -> dict[str, Any]:
    return {"parts": [{"type": "text", "text": text} for text in texts], "text": "".join(texts)} | more


TOO_LARGE = {
    "a prompt": ([simple("x" * 262_145)], "messages[0] is longer than 262144 bytes."),
    "a reply": ([simple("Sing"), reply(**_said("é" * 524_289))], "messages[1] is longer than 1048576 bytes."),
    "parts": ([simple("Sing"), reply(**_said(*["x" * 1000] * 986))], "messages[1] is longer than 1048576 bytes."),
    "messages": ([simple("x", n) for n in range(1001)], "A conversation holds 1000 messages at most."),
    "all parts": (
        [simple("Sing"), reply(1, **_said(*["x"] * 5000)), reply(2, **_said(*["x"] * 5000))],
        "An import has at most 10000 parts in all its messages.",
    ),
    "the body": ([simple("quetzal" + "x" * 8 * 2**20)], "The body is too large."),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", TOO_LARGE)
async def test_what_is_too_large_is_413(server: WatchedServer, name: str):
    messages, detail = TOO_LARGE[name]

    answer = await server.post(IMPORT, told_by(*messages))

    check_problem(answer, 413, detail)


async def test_what_is_as_large_as_may_be_is_taken(server: WatchedServer):
    prompt, long = simple("x" * 262_144), reply(**_said("é" * 524_288))

    imported = await take(server, told_by(prompt, long))

    again = await export(server, path_of(imported))
    assert [m["text"] for m in again["messages"]] == [prompt["text"], long["text"]]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("unit", ["[]", "{}", '"\\ud800"', "[[", "0", '{"role":"user"}'])
async def test_a_long_body_of_anything_is_refused_like_a_short_one(server: WatchedServer, unit: str):
    body = '{"conversation":{"title":"quetzal"},"messages":[' + ",".join([unit] * (2**21 // len(unit))) + "]}"

    answer = await server.send(IMPORT, body.encode())

    assert answer.status_code in (400, 422)
    check_problem(answer, answer.status_code, path=answer.json().get("path"))


@pytest.mark.usefixtures("untouched")
async def test_a_field_that_comes_twice_in_a_long_body_is_named(server: WatchedServer):
    body = json.dumps(told_by(*(simple("quetzal " * 1000, n) for n in range(40))))

    answer = await server.send(IMPORT, body.replace('"status"', '"id": "x", "status"', 1).encode())

    check_problem(answer, 422, "The field is given more than once.", path="id")


async def test_bodies_that_were_read_take_no_memory(server: WatchedServer):
    body = json.dumps(told_by(simple("Sing"))).encode() + b" " * (7 * 2**20)
    await server.send(IMPORT, body)
    before = resident(server)

    for spoiled in [body, body.replace(b"user", b"oracle")] * 8:
        assert (await server.send(IMPORT, spoiled)).status_code in (201, 422)

    assert resident(server) - before < 60 * 2**20


def resident(server: WatchedServer) -> int:
    """Return how many bytes of memory the server has."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Faults


async def test_an_import_survives_a_kill(start_server: Callable[..., Awaitable[WatchedServer]], told: Export):
    server = await start_server()
    imported = await take(server, told)
    before = await export(server, path_of(imported))

    await server.restart()

    log = await server.log_of(imported)
    assert await export(server, path_of(imported)) == before
    assert len(log) == int(log[-1]["id"].rpartition("-")[2])
    asked = await server.ask("Still there?", path_of(imported) + "/messages", **QUICK)
    assert (await server.ended(asked))["text"] == "Still there?"
