"""Messages over HTTP: ask, branch, page, wait."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of, reply_path, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


def further(asked: dict[str, Any]) -> str:
    return path_of(asked) + "/messages"


async def messages_of(server: WatchedServer, asked: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await server.get(further(asked))
    assert answer.status_code == 200, answer.text
    return answer.json()["messages"]


async def test_a_further_prompt_follows_the_head(server: WatchedServer):
    first = await server.ask("The first question", **QUICK)
    await server.ended(first)

    answer = await server.post(further(first), {"prompt": "The second question", **QUICK})

    second = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == path_of(first)
    assert second["message"]["parent"] == first["reply"]["id"]
    assert second["reply"]["parent"] == second["message"]["id"]
    assert second["conversation"]["head"] == second["reply"]["id"]
    await server.ended(second)
    log = await server.log_of(second)
    new = [event for event in log if event["id"] > second["cursor"]]
    assert new[0]["message"] == second["message"]
    assert new[1]["reply"] == second["reply"]


async def test_the_final_text_is_the_same_everywhere(server: WatchedServer):
    text = "Zeilen\r\n\r\nund\u2028Wörter \U0001f9ea  event: evil\n\ndata: x"
    asked = await server.ask(text, **QUICK)
    reply = await server.ended(asked)

    log = await server.log_of(asked)

    ending = log[-1]
    assert reply["text"] == text_of(log) == ending["text"] == text
    assert reply["parts"] == [{"type": "text", "text": text}]
    assert ending["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert (reply["status"], reply["finish_reason"], reply["error"]) == ("completed", "stop", None)
    assert reply["usage"] == ending["usage"]
    assert reply["ended_at"] == ending["at"]
    assert (await messages_of(server, asked))[-1] == reply


async def test_editing_a_question_is_posting_beside_it(server: WatchedServer):
    first = await server.ask("Root question", **QUICK)
    await server.ended(first)
    second = await server.ask("A follow-up", further(first), **QUICK)
    await server.ended(second)

    edited = await server.ask("An edited follow-up", further(first), parent=first["reply"]["id"], **QUICK)
    new_root = await server.ask("An edited root", further(first), parent=None, **QUICK)
    await server.ended(edited)
    await server.ended(new_root)

    assert edited["message"]["parent"] == second["message"]["parent"]
    assert new_root["message"]["parent"] is None
    assert new_root["conversation"]["head"] == new_root["reply"]["id"]
    created = [asked[kind]["id"] for asked in (first, second, edited, new_root) for kind in ("message", "reply")]
    assert [message["id"] for message in await messages_of(server, first)] == created


async def test_a_responder_sees_its_own_branch_only(server: WatchedServer):
    first = await server.ask("alpha", responder="mock", options={"tokens": 1, "first_token_delay": 0})
    await server.ended(first)
    beside = await server.ask("beta gamma", further(first), parent=None, **QUICK)

    reply = await server.ended(beside)

    # echo does not count tokens, so the server estimates them from the words of the branch
    assert reply["usage"]["input_tokens"] == 2


async def test_pages_of_messages_reach_back_to_the_first(server: WatchedServer):
    asked = await server.ask("Question 0", **QUICK)
    await server.ended(asked)
    for number in range(1, 4):
        await server.ended(await server.ask(f"Question {number}", further(asked), **QUICK))
    everything = (await server.get(further(asked) + "?limit=100")).json()

    pages, place = [], ""
    while place is not None:
        page = (await server.get(further(asked) + f"?limit=3&before={place}")).json()
        pages.append(page["messages"])
        place = page["next"]

    assert everything["next"] is None
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [message for page in pages[::-1] for message in page] == everything["messages"]


async def test_a_page_holds_a_running_reply_as_it_stands(server: WatchedServer):
    asked = await server.ask("Say one word", **HALTING)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        word = (await stream.until("reply.delta")).json["text"]

    running = (await messages_of(server, asked))[-1]

    await server.stop_reply(asked)
    assert (running["status"], running["text"]) == ("running", word)


@pytest.mark.parametrize("parent", ["", "nosuchmessage", "x" * 10_000, "'; DROP TABLE messages; --", "\u0000"])
async def test_an_unknown_parent_is_refused(server: WatchedServer, parent: str):
    asked = await server.ask("A parent", **QUICK)
    await server.ended(asked)
    before = await messages_of(server, asked)

    answer = await server.post(further(asked), {"prompt": "An orphan", "parent": parent})

    check_problem(answer, 422, "There is no such message in this conversation.", path="parent")
    assert await messages_of(server, asked) == before


async def test_a_parent_in_another_conversation_is_as_unknown(server: WatchedServer):
    mine = await server.ask("My conversation", **QUICK)
    other = await server.ask("The other conversation", **QUICK)
    await server.ended(mine)
    await server.ended(other)

    answer = await server.post(further(mine), {"prompt": "A stranger", "parent": other["reply"]["id"]})

    check_problem(answer, 422, "There is no such message in this conversation.", path="parent")


async def test_a_prompt_behind_a_running_reply_conflicts(server: WatchedServer):
    asked = await server.ask("Think for long", **SILENT)

    answer = await server.post(further(asked), {"prompt": "Hurry up please"})

    check_problem(answer, 409, "The reply that this prompt follows has not ended.", running=[asked["reply"]["id"]])
    assert len(await messages_of(server, asked)) == 2
    await server.stop_reply(asked)


async def test_a_prompt_on_another_branch_does_not_conflict(server: WatchedServer):
    asked = await server.ask("Think for long", **SILENT)

    beside = await server.ask("Meanwhile, this", further(asked), parent=None, **QUICK)
    at_question = await server.ask("And this", further(asked), parent=asked["message"]["id"], **QUICK)

    assert beside["conversation"]["running"] == [asked["reply"]["id"], beside["reply"]["id"]]
    assert (await server.ended(beside))["status"] == "completed"
    assert (await server.ended(at_question))["status"] == "completed"
    await server.stop_reply(asked)


async def test_whoever_has_seen_the_ending_gets_no_conflict(server: WatchedServer):
    asked = await server.ask("Round 0", **QUICK)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        for number in range(1, 30):
            await stream.until("reply.ended")

            asked = await server.ask(f"Round {number}", further(asked), **QUICK)

            assert asked["message"]["parent"] is not None


async def test_wait_answers_at_once_without_it_and_when_its_time_is_up(server: WatchedServer):
    asked = await server.ask("Wait for me", **SILENT)
    started = time.monotonic()

    at_once = await server.get(reply_path(asked))
    zero = await server.get(reply_path(asked) + "?wait=0")
    soon = await server.get(reply_path(asked) + "?wait=0.2")

    taken = time.monotonic() - started
    await server.stop_reply(asked)
    assert {answer.json()["reply"]["ended_at"] for answer in (at_once, zero, soon)} == {None}
    assert 0.2 <= taken < 20  # and not as long as a call may wait


async def test_wait_answers_when_the_reply_has_ended(server: WatchedServer):
    asked = await server.ask("Wait for me", **SILENT)
    waiting = asyncio.create_task(server.get(reply_path(asked) + "?wait=30"))
    await asyncio.wait({waiting}, timeout=0.1)  # most likely it waits by now; the assertion holds either way

    stopped = await server.stop_reply(asked)

    assert (await asyncio.wait_for(waiting, 20)).json()["reply"] == stopped


async def test_wait_ends_with_the_conversation(server: WatchedServer):
    asked = await server.ask("Wait for nothing", **SILENT)
    waiting = asyncio.create_task(server.get(reply_path(asked) + "?wait=30"))
    await asyncio.wait({waiting}, timeout=0.1)

    await server.client.delete(server.url + path_of(asked))

    answer = await asyncio.wait_for(waiting, 20)
    assert answer.status_code in (200, 404)
    assert answer.status_code == 404 or answer.json()["reply"]["status"] == "cancelled"
