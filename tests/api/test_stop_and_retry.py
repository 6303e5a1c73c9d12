"""Stop, which works at any time and from anywhere (G10), and retry, which makes a new reply beside the old one."""

from __future__ import annotations

import asyncio
import hashlib
import time

import httpx
import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of, reply_path, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

SEEDED = {"responder": "mock", "options": {"tokens": 60, "first_token_delay": 0, "tokens_per_second": None, "seed": 7}}


async def test_stop_before_the_first_token(server: WatchedServer):
    asked = await server.ask("Say nothing", **SILENT)
    started = time.monotonic()

    answer = await server.post(reply_path(asked) + "/stop")

    reply = answer.json()["reply"]
    assert answer.status_code == 200
    assert time.monotonic() - started < 60
    assert (reply["status"], reply["text"], reply["parts"]) == ("cancelled", "", [])
    assert (reply["finish_reason"], reply["error"], reply["first_token_at"]) == (None, None, None)
    assert reply["usage"]["partial"] is True
    log = await server.log_of(asked)
    assert [event["type"] for event in log][-1] == "reply.ended"
    assert log[-1]["text_sha256"] == hashlib.sha256(b"").hexdigest()


async def test_stop_in_the_middle_keeps_what_was_said(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)
    async with await server.listen(asked["events"] + "?until=idle", asked["cursor"]) as stream:
        await stream.until("reply.delta")

        reply = await server.stop_reply(asked)

        await stream.rest()
        events = [frame.json for frame in stream.events()]
    assert reply["status"] == events[-1]["status"] == "cancelled"
    assert reply["text"] == events[-1]["text"] == text_of(events) != ""
    assert reply["usage"]["partial"] is True
    assert (await server.get(path_of(asked))).json()["conversation"]["running"] == []


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_stop_takes_no_body_or_an_empty_one(server: WatchedServer, body: bytes):
    asked = await server.ask("Say nothing", **SILENT)

    answer = await server.send(reply_path(asked) + "/stop", body)

    assert answer.json()["reply"]["status"] == "cancelled"


async def test_stopping_twice_is_stopping_once(server: WatchedServer):
    asked = await server.ask("Say nothing", **SILENT)

    first = await server.post(reply_path(asked) + "/stop")
    second = await server.post(reply_path(asked) + "/stop")

    assert (second.status_code, second.json()) == (200, first.json())
    assert [event["type"] for event in await server.log_of(asked)].count("reply.ended") == 1


async def test_stopping_a_complete_reply_changes_nothing(server: WatchedServer):
    asked = await server.ask("All is said", **QUICK)
    reply = await server.ended(asked)
    log = await server.log_of(asked)

    answer = await server.post(reply_path(asked) + "/stop")

    assert (answer.status_code, answer.json()) == (200, {"reply": reply})
    assert await server.log_of(asked) == log


async def test_ten_stops_at_once_end_a_reply_once(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)

    answers = await asyncio.gather(*(server.post(reply_path(asked) + "/stop") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert [event["type"] for event in await server.log_of(asked)].count("reply.ended") == 1


async def test_stop_works_from_another_connection_and_on_a_resumed_stream(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        cursor = (await stream.until("reply.delta")).id
    async with (
        await server.listen(asked["events"] + "?until=idle", cursor) as resumed,
        httpx.AsyncClient(timeout=60, trust_env=False) as elsewhere,
    ):
        assert (await resumed.next()).json["resumed"] is True

        answer = await elsewhere.post(server.url + reply_path(asked) + "/stop")

        frames = await resumed.rest()
    assert answer.status_code == 200
    assert [frame.event for frame in frames] == ["reply.ended"]
    assert frames[0].json["status"] == "cancelled"


async def test_a_stopped_prompt_in_the_queue_never_starts(server: WatchedServer):
    first = await server.ask("The long one", **SILENT)
    queued = await server.ask("The queued one", path_of(first) + "/messages", if_running="queue", **QUICK)

    reply = await server.stop_reply(queued)

    assert (reply["status"], reply["started_at"], reply["text"]) == ("cancelled", None, "")
    assert (await server.get(reply_path(first))).json()["reply"]["status"] == "running"
    await server.stop_reply(first)
    events = [e for e in await server.log_of(first) if e.get("reply_id") == queued["reply"]["id"]]
    assert [event["type"] for event in events] == ["reply.ended"]


async def test_a_subscriber_that_leaves_does_not_stop_a_reply(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        await stream.until("reply.delta")

    assert (await server.get(reply_path(asked))).json()["reply"]["status"] == "running"
    await server.stop_reply(asked)


async def test_retry_answers_the_same_prompt_beside_the_old_reply(server: WatchedServer):
    asked = await server.ask("Say it again", **SEEDED)
    old = await server.ended(asked)
    before = await server.log_of(asked)

    answer = await server.post(reply_path(asked) + "/retry")

    again = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == path_of(asked)
    assert again["message"] == asked["message"]
    assert again["reply"]["id"] != old["id"]
    assert again["reply"]["parent"] == old["parent"]
    assert again["conversation"]["head"] == again["reply"]["id"]
    new = await server.ended(again)
    assert (new["responder"], new["text"]) == (old["responder"], old["text"])  # the old seed, too
    log = await server.log_of(asked)
    assert log[: len(before)] == before
    assert again["cursor"] == before[-1]["id"]
    assert [event["type"] for event in log[len(before) :][:2]] == ["reply.created", "reply.started"]
    assert (await server.get(reply_path(asked))).json()["reply"] == old


async def test_a_retry_may_name_another_responder_and_options(server: WatchedServer):
    asked = await server.ask("Say it again", **SEEDED)
    old = await server.ended(asked)

    by_echo = await server.ask_retry(asked, responder="echo")
    seeded = await server.ask_retry(asked, options={**SEEDED["options"], "seed": 8})

    assert (by_echo["responder"], by_echo["text"]) == ("echo", "Say it again")
    assert seeded["responder"] == "mock"
    assert seeded["text"] != old["text"]


async def test_a_stopped_reply_can_be_retried(server: WatchedServer):
    asked = await server.ask("Say nothing at first", **SILENT)
    await server.stop_reply(asked)

    reply = await server.ask_retry(asked, responder="echo")

    assert reply["text"] == "Say nothing at first"


async def test_a_running_or_queued_reply_cannot_be_retried(server: WatchedServer):
    asked = await server.ask("The long one", **SILENT)
    queued = await server.ask("The queued one", path_of(asked) + "/messages", if_running="queue", **QUICK)
    running = [asked["reply"]["id"], queued["reply"]["id"]]

    answers = [await server.post(reply_path(one) + "/retry") for one in (asked, queued)]

    for answer in answers:
        check_problem(answer, 409, "This reply has not ended.", running=running)
    await server.client.delete(server.url + path_of(asked))


@pytest.mark.parametrize(
    ("body", "path"),
    [({"responder": "nobody"}, "responder"), ({"options": {"seed": -1}}, "options.seed"), ({"options": 1}, "options")],
)
async def test_a_bad_retry_is_refused(server: WatchedServer, body: dict, path: str):
    asked = await server.ask("Say it again", **SEEDED)
    await server.ended(asked)
    log = await server.log_of(asked)

    answer = await server.post(reply_path(asked) + "/retry", body)

    check_problem(answer, 422, path=path)
    assert await server.log_of(asked) == log
