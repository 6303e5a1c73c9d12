"""Prompts that follow a reply which has not ended: `if_running`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


def further(asked: dict[str, Any]) -> str:
    return path_of(asked) + "/messages"


async def kinds(server: WatchedServer, asked: dict[str, Any]) -> list[tuple[str, str]]:
    """What happened to the replies, in order: (type, reply)."""
    log = await server.log_of(asked)
    return [(e["type"], e["reply_id"]) for e in log if e["type"] in ("reply.started", "reply.ended")]


PACED = {"responder": "echo", "options": {"tokens_per_second": 10}}


@pytest.mark.parametrize(("kind", "ending"), [(SILENT, "cancelled"), (PACED, "completed")], ids=["stopped", "complete"])
async def test_a_queued_prompt_starts_when_the_reply_before_it_has_ended(server: WatchedServer, kind, ending: str):
    first = await server.ask("The long one", **kind)

    second = await server.ask("The next one", further(first), if_running="queue", **QUICK)
    assert second["reply"]["status"] == "accepted"
    assert second["conversation"]["running"] == [first["reply"]["id"], second["reply"]["id"]]
    if ending == "cancelled":
        await server.stop_reply(first)

    assert (await server.ended(second))["text"] == "The next one"
    assert (await server.ended(first))["status"] == ending
    assert second["message"]["parent"] == first["reply"]["id"]
    a, b = first["reply"]["id"], second["reply"]["id"]
    assert await kinds(server, first) == [
        ("reply.started", a),
        ("reply.ended", a),
        ("reply.started", b),
        ("reply.ended", b),
    ]


async def test_ten_prompts_may_wait_and_the_eleventh_may_not(server: WatchedServer):
    asked = first = await server.ask("The long one", **SILENT)
    waiting = []
    for number in range(10):
        asked = await server.ask(f"Waiting {number}", further(asked), if_running="queue", **QUICK)
        waiting.append(asked)

    refused = await server.post(further(asked), {"prompt": "One too many", "if_running": "queue", **QUICK})

    check_problem(refused, 429, "10 prompts are waiting in this conversation, which is the limit.")
    assert int(refused.headers["retry-after"]) >= 1
    await server.stop_reply(first)
    assert [(await server.ended(one))["status"] for one in waiting] == ["completed"] * 10
    started = [reply for kind, reply in await kinds(server, first) if kind == "reply.started"]
    assert started == [first["reply"]["id"], *(one["reply"]["id"] for one in waiting)]


async def test_there_is_room_again_when_one_of_ten_has_been_stopped(server: WatchedServer):
    asked = first = await server.ask("The long one", **SILENT)
    for number in range(10):
        asked = await server.ask(f"Waiting {number}", further(asked), if_running="queue", **QUICK)

    await server.stop_reply(asked)

    again = await server.ask("Room for me", further(asked), parent=asked["message"]["parent"], if_running="queue")
    assert again["reply"]["status"] == "accepted"
    await server.client.delete(server.url + path_of(first))


async def test_interrupting_stops_the_reply_before(server: WatchedServer):
    first = await server.ask("The long one", **HALTING)
    async with await server.listen(first["events"], first["cursor"]) as stream:
        await stream.until("reply.delta")

        second = await server.ask("The urgent one", further(first), if_running="interrupt", **QUICK)

        ended = await stream.until("reply.ended")
        created = await stream.until("message.created")
    assert (ended.json["reply_id"], ended.json["status"]) == (first["reply"]["id"], "cancelled")
    assert created.json["message"] == second["message"]
    assert second["conversation"]["running"] == [second["reply"]["id"]]
    assert second["message"]["parent"] == first["reply"]["id"]
    assert (await server.ended(second))["text"] == "The urgent one"


async def test_interrupting_a_queued_prompt_takes_its_place(server: WatchedServer):
    first = await server.ask("The long one", **SILENT)
    queued = await server.ask("The queued one", further(first), if_running="queue", **QUICK)

    urgent = await server.ask("The urgent one", further(first), if_running="interrupt", **QUICK)

    assert (await server.ended(queued))["status"] == "cancelled"
    assert urgent["conversation"]["running"] == [first["reply"]["id"], urgent["reply"]["id"]]
    await server.stop_reply(first)
    assert (await server.ended(urgent))["status"] == "completed"


@pytest.mark.parametrize("if_running", ["queue", "interrupt", None])
async def test_if_running_means_nothing_when_nothing_runs(server: WatchedServer, if_running: str | None):
    first = await server.ask("A short one", **QUICK)
    reply = await server.ended(first)

    second = await server.ask("Another short one", further(first), if_running=if_running, **QUICK)

    assert (await server.ended(second))["status"] == "completed"
    assert (await server.ended(first)) == reply


async def test_another_value_of_if_running_is_refused(server: WatchedServer):
    asked = await server.ask("A short one", **QUICK)

    answer = await server.post(further(asked), {"prompt": "Now or never", "if_running": "now"})

    check_problem(answer, 422, path="if_running")


async def test_a_retry_that_would_wait_is_in_the_queue_like_any_other(server: WatchedServer):
    first = await server.ask("The long one", **SILENT)
    behind = {"parent": first["reply"]["id"], "if_running": "queue", **QUICK}
    queued = [await server.ask(f"Next {n}", further(first), **behind) for n in range(10)]
    stopped = queued[0]
    await server.stop_reply(stopped)
    await server.ask("The tenth again", further(first), **behind)

    answer = await server.post(f"{path_of(stopped)}/replies/{stopped['reply']['id']}/retry")

    check_problem(answer, 429, "10 prompts are waiting in this conversation, which is the limit.")
    await server.stop_reply(first)
