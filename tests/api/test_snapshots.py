"""What a snapshot holds: all messages in outline, the newest ones whole, running replies in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.watched import HALTING, QUICK, WatchedServer, path_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

OUTLINE = {"id", "parent", "role", "status"}


async def talk(server: WatchedServer, prompts: list[str]) -> dict[str, Any]:
    """Ask one after the other, and return the last 201."""
    asked = await server.ask(prompts[0], **QUICK)
    await server.ended(asked)
    for prompt in prompts[1:]:
        asked = await server.ask(prompt, path_of(asked) + "/messages", **QUICK)
        await server.ended(asked)
    return asked


async def snapshot_of(server: WatchedServer, asked: dict[str, Any]) -> dict[str, Any]:
    return (await server.get(path_of(asked))).json()


async def test_a_snapshot_holds_the_last_50_messages_whole(server: WatchedServer):
    asked = await talk(server, [f"Question {number}" for number in range(27)])

    messages = (await snapshot_of(server, asked))["messages"]

    everything = (await server.get(path_of(asked) + "/messages?limit=100")).json()["messages"]
    assert len(messages) == 54
    assert messages[4:] == everything[4:]
    assert messages[:4] == [{key: message[key] for key in OUTLINE} for message in everything[:4]]


async def test_a_snapshot_ends_within_256_kib_of_content(server: WatchedServer):
    asked = await talk(server, [f"{number} " + "x" * 60_000 for number in range(4)])

    answer = await server.get(path_of(asked))

    messages = answer.json()["messages"]
    whole = [set(message) != OUTLINE for message in messages]
    assert len(messages) == 8
    assert whole == sorted(whole)  # the newest ones
    assert whole[-1]
    assert not whole[0]
    assert len(answer.content) < 256 * 1024 * 1.1
    assert sum(len(message["text"].encode()) for message in messages if "text" in message) <= 256 * 1024


async def test_messages_of_other_branches_are_outlines(server: WatchedServer):
    asked = await talk(server, ["The old root", "A follow-up"])
    beside = await server.ask("The new root", path_of(asked) + "/messages", parent=None, **QUICK)
    reply = await server.ended(beside)

    messages = (await snapshot_of(server, asked))["messages"]

    assert [set(message) for message in messages[:4]] == [OUTLINE] * 4
    assert messages[4:] == [beside["message"], reply]


async def test_a_running_reply_is_in_full_on_any_branch(server: WatchedServer):
    running = await server.ask("Say one word", **HALTING)
    async with await server.listen(running["events"], running["cursor"]) as stream:
        word = (await stream.until("reply.delta")).json["text"]
    beside = await server.ask("Another root", path_of(running) + "/messages", parent=None, **QUICK)
    await server.ended(beside)

    snapshot = await snapshot_of(server, running)

    reply = snapshot["messages"][1]
    assert (reply["id"], reply["status"], reply["text"]) == (running["reply"]["id"], "running", word)
    assert snapshot["conversation"]["running"] == [running["reply"]["id"]]
    await server.stop_reply(running)


async def test_a_snapshot_is_true_at_its_cursor(server: WatchedServer):
    options = {"responder": "mock", "options": {"tokens": 10_000, "tokens_per_second": 300, "first_token_delay": 0}}
    asked = await server.ask("Talk while I come and go", **options)
    seen = []

    for _ in range(10):
        async with await server.listen(asked["events"] + "?until=idle") as stream:
            snapshot = await stream.until("snapshot")
            before = snapshot.json["messages"][1].get("text", "")
            first = await stream.next()
            seen.append((snapshot.id, before, first.id))
    await server.stop_reply(asked)

    log = await server.log_of(asked)
    for at, text, first in seen:
        told = [event for event in log if event["id"] <= at]
        assert text == "".join(event["text"] for event in told if event["type"] == "reply.delta")
        assert first == log[len(told)]["id"]


async def test_a_snapshot_frame_is_one_line_of_json(server: WatchedServer):
    asked = await talk(server, ["One\r\ntwo\n\nthree\u2028four\x00five"])

    async with await server.listen(asked["events"] + "?until=idle") as stream:
        await stream.rest()

    line = stream.raw.partition(b"event: snapshot\n")[2]
    assert line.startswith(b"data: ")
    assert line.endswith(b"\n\n")
    assert line.count(b"\n") == 2
    assert json.loads(line[6:])["messages"][0]["text"] == "One\r\ntwo\n\nthree\u2028four\x00five"
