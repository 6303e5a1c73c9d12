"""Limits (G8): what goes over one is refused, what is at it is not, and the server says so beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of, reply_path
from tests.support.sse import EventStream

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

LIMITS = {
    "max_prompt_bytes": 1000,
    "max_reply_bytes": 700,
    "max_messages": 6,
    "max_running": 5,
    "max_streams": 4,
    "max_broadcast_bytes": 300,
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    """A server with low limits."""
    async with WatchedServer(tmp_path_factory.mktemp("narrow"), **LIMITS) as server:
        yield server
        await server.kill()
    server.check_log()


async def test_the_limits_are_listed(narrow: WatchedServer):
    limits = (await narrow.get("/limits")).json()

    assert limits == LIMITS | {
        "max_waiting": 10,
        "max_query_characters": 500,
        "max_searches": 8,
        "max_import_bytes": 8 * 2**20,
        "max_import_parts": 10_000,
        "max_imports": 4,
        "max_wait_seconds": 30.0,
        "reply_idle_seconds": 120.0,
    }


async def test_fifty_prompts_at_once_start_exactly_as_many_replies_as_may_run(narrow: WatchedServer):
    before = len(await narrow.conversations())

    answers = await asyncio.gather(
        *(narrow.post("/conversations", {"prompt": f"Prompt {n} of fifty", **SILENT}) for n in range(50))
    )

    accepted = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(accepted) == 5
    for answer in refused:
        check_problem(answer, 429, "5 replies are running, which is the limit.")
        assert int(answer.headers["retry-after"]) >= 1
    assert len(await narrow.conversations()) == before + 5
    for asked in accepted:
        await narrow.stop_reply(asked)


async def test_a_reply_that_ends_makes_room_for_another(narrow: WatchedServer):
    running = [await narrow.ask("Be quiet", **SILENT) for _ in range(5)]
    ended = await narrow.ask("Retry me", path_of(running[0]) + "/messages", if_running="queue", **QUICK)
    refused = [
        await narrow.post("/conversations", {"prompt": "No room", **QUICK}),
        await narrow.post(path_of(running[1]) + "/messages", {"prompt": "No room", "parent": None, **QUICK}),
    ]

    await narrow.stop_reply(running[0])

    assert (await narrow.ended(ended))["status"] == "completed"
    for answer in refused:
        check_problem(answer, 429, "5 replies are running, which is the limit.")
    assert await narrow.ask("There is room now", **QUICK)
    for asked in running:
        await narrow.stop_reply(asked)


async def test_a_retry_counts_as_well(narrow: WatchedServer):
    ended = await narrow.ask("Retry me", **QUICK)
    await narrow.ended(ended)
    running = [await narrow.ask("Be quiet", **SILENT) for _ in range(5)]

    answer = await narrow.post(reply_path(ended) + "/retry")

    check_problem(answer, 429, "5 replies are running, which is the limit.")
    for asked in running:
        await narrow.stop_reply(asked)


async def test_a_full_conversation_takes_no_more(narrow: WatchedServer):
    asked = await narrow.ask("Message 1", **QUICK)
    await narrow.ended(asked)
    for number in (3, 5):
        asked = await narrow.ask(f"Message {number}", path_of(asked) + "/messages", **QUICK)
        await narrow.ended(asked)
    before = (await narrow.get(path_of(asked))).json()

    ask = await narrow.post(path_of(asked) + "/messages", {"prompt": "Message 7", **QUICK})
    retry = await narrow.post(reply_path(asked) + "/retry")

    for answer in (ask, retry):
        check_problem(answer, 413, "The conversation is full: it holds 6 messages at most.")
    assert len(before["messages"]) == 6
    assert (await narrow.get(path_of(asked))).json() == before


@pytest.mark.parametrize("letter", ["x", "é", "鯨", "🐋"])
async def test_a_prompt_at_the_limit_is_taken_and_a_byte_more_is_not(narrow: WatchedServer, letter: str):
    width = len(letter.encode())
    prompt = letter * (1000 // width) + "x" * (1000 % width)
    before = await narrow.conversations()

    refused = await narrow.post("/conversations", {"prompt": prompt + "x", **QUICK})
    accepted = await narrow.ask(prompt, **QUICK)

    check_problem(refused, 413, "The prompt is longer than 1000 bytes.")
    assert accepted["message"]["text"] == prompt
    assert set(await narrow.conversations()) == {*before, accepted["conversation"]["id"]}


async def test_the_limit_of_a_prompt_holds_for_system_texts_and_further_prompts(narrow: WatchedServer):
    asked = await narrow.ask("x" * 1000, system="y" * 1000, **QUICK)
    await narrow.ended(asked)

    system = await narrow.post("/conversations", {"prompt": "The system", "system": "y" * 1001})
    further = await narrow.post(path_of(asked) + "/messages", {"prompt": "x" * 1001})

    check_problem(system, 413, "The system is longer than 1000 bytes.")
    check_problem(further, 413, "The prompt is longer than 1000 bytes.")


async def test_a_body_over_the_cap_is_refused_before_it_is_read(server: WatchedServer, narrow: WatchedServer):
    body = b'{"prompt": "quetzal' + b"x" * 1_000_000 + b'"}'

    answers = [await narrow.send("/conversations", body), await narrow.send("/send-message", body)]

    for answer in answers:
        check_problem(answer, 413, "The body is too large.")


async def test_a_reply_at_its_limit_is_complete_with_length(narrow: WatchedServer):
    options = {"tokens": 1000, "tokens_per_second": None, "first_token_delay": 0}
    asked = await narrow.ask("Say too much", responder="mock", options=options)

    reply = await narrow.ended(asked)

    log = await narrow.log_of(asked)
    assert (reply["status"], reply["finish_reason"]) == ("completed", "length")
    assert len(reply["text"].encode()) == 700
    assert log[-1]["text"] == reply["text"]
    assert "partial" not in reply["usage"]


async def test_a_reply_is_cut_between_characters(narrow: WatchedServer):
    asked = await narrow.ask("鯨" * 250, **QUICK)

    reply = await narrow.ended(asked)

    assert reply["finish_reason"] == "length"
    assert reply["text"] == "鯨" * (700 // 3)


async def test_a_reply_of_exactly_the_limit_is_not_cut(narrow: WatchedServer):
    asked = await narrow.ask("x" * 700, **QUICK)

    reply = await narrow.ended(asked)

    assert (len(reply["text"]), reply["finish_reason"]) == (700, "stop")


async def open_stream(server: WatchedServer, path: str) -> EventStream:
    """Open a stream as soon as there is room: one that was cut counts until the server has noticed."""
    async with asyncio.timeout(20):
        while (await (stream := await server.listen(path)).next()).event == "bye":
            stream.cut()
    return stream


async def open_streams(server: WatchedServer, path: str, count: int) -> list[EventStream]:
    return [await open_stream(server, path) for _ in range(count)]


async def test_a_stream_too_many_ends_cleanly_and_is_told_to_come_back(narrow: WatchedServer):
    asked = await narrow.ask("Be quiet", **SILENT)
    streams = await open_streams(narrow, asked["events"], 4)
    refused = [
        await narrow.listen(asked["events"]),
        await narrow.listen("/events"),
        await narrow.listen(asked["events"], asked["cursor"]),
    ]

    frames = [await stream.rest() for stream in refused]

    for stream, said in zip(refused, frames, strict=True):
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert [frame.event for frame in said] == ["bye"]
        assert said[0].json["reason"] == "overloaded"
        assert said[0].json["retry_after"] == stream.parser.retry / 1000
        assert stream.raw.startswith(b"retry: ")
        stream.cut()
    await narrow.stop_reply(asked)
    for stream in streams:
        assert (await stream.until("reply.ended")).json["status"] == "cancelled"
        stream.cut()


async def test_a_stream_that_ends_makes_room_for_another(narrow: WatchedServer):
    asked = await narrow.ask("All is said", **QUICK)
    await narrow.ended(asked)
    streams = await open_streams(narrow, asked["events"], 4)

    streams.pop().cut()

    again = await open_stream(narrow, asked["events"])
    for stream in [*streams, again]:
        stream.cut()


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
async def test_a_post_whose_stream_is_one_too_many_is_refused_before_anything_happens(
    narrow: WatchedServer, accept: str
):
    asked = await narrow.ask("Say one word", **HALTING)
    streams = await open_streams(narrow, asked["events"], 4)
    before = await narrow.conversations()

    refused = await narrow.post("/conversations", {"prompt": "Answer me", **QUICK}, headers={"Accept": accept})
    accepted = await narrow.ask("Answer me in JSON", **QUICK)

    check_problem(refused, 429, "4 streams are open, which is the limit; ask for JSON instead.")
    assert int(refused.headers["retry-after"]) >= 1
    assert len(await narrow.conversations()) == len(before) + 1
    while (await narrow.get(reply_path(accepted))).json()["reply"]["status"] != "completed":
        pass
    await narrow.stop_reply(asked)
    for other in streams:
        other.cut()


async def test_a_call_that_waits_counts_as_a_stream(narrow: WatchedServer):
    asked = await narrow.ask("Say one word", **HALTING)
    streams = await open_streams(narrow, asked["events"], 3)
    path = reply_path(asked)
    refused: list[httpx.Response] = []
    waiting: set[asyncio.Task[httpx.Response]] = set()

    while not waiting:  # a stream that was cut before may still have the fourth place
        tasks = [asyncio.create_task(narrow.get(path + "?wait=30")) for _ in range(2)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        refused += [task.result() for task in done]
    refused.append(await narrow.get(f"{path_of(asked)}/log?wait=1&after={asked['cursor']}"))
    at_once = await narrow.get(path)

    for answer in refused:
        check_problem(answer, 429, "4 streams are open, which is the limit.")
        assert int(answer.headers["retry-after"]) >= 1
    assert at_once.json()["reply"]["ended_at"] is None
    await narrow.stop_reply(asked)
    for task in waiting:
        assert (await task).json()["reply"]["status"] == "cancelled"
    for stream in streams:
        stream.cut()


async def test_a_broadcast_at_the_limit_is_taken_and_a_byte_more_is_not(narrow: WatchedServer):
    stream = await open_stream(narrow, "/events")

    refused = await narrow.post("/send-message", {"message": "é" * 150 + "x"})
    accepted = await narrow.post("/send-message", {"message": "é" * 150})

    check_problem(refused, 413, "A broadcast message has at most 300 bytes.")
    assert accepted.status_code == 200
    while not (frame := await stream.next()).id:
        pass
    assert (frame.data, frame.seq) == ("é" * 150, 1)
    stream.cut()
