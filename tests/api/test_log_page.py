"""The log as JSON: what a stream would send, page by page, and the long poll."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, SILENT, WatchedServer, path_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


async def page(server: WatchedServer, asked: dict[str, Any], query: str = "", **more: Any) -> dict[str, Any]:
    answer = await server.get(f"{path_of(asked)}/log{query}", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_page_holds_what_the_stream_sends_after_a_cursor(server: WatchedServer):
    asked = await server.ask("The same as the stream", **QUICK)
    await server.ended(asked)
    async with await server.listen(asked["events"] + "?until=idle", asked["cursor"]) as stream:
        await stream.rest()

    given = await page(server, asked, f"?after={asked['cursor']}")

    assert given.keys() == {"hello", "events", "cursor"}
    assert given["hello"] == stream.frames[0].json
    assert given["events"] == [frame.json | {"id": frame.id} for frame in stream.events()]
    assert given["cursor"] == stream.events()[-1].id
    assert await page(server, asked, headers={"Last-Event-ID": asked["cursor"]}) == given


async def test_without_a_cursor_there_is_a_snapshot(server: WatchedServer):
    asked = await server.ask("Where does it stand?", **QUICK)
    await server.ended(asked)
    snapshot = (await server.get(path_of(asked))).json()

    given = await page(server, asked)

    assert given["snapshot"] == snapshot
    assert given["events"] == []
    assert given["cursor"] == given["hello"]["cursor"] == snapshot["cursor"]
    assert given["hello"]["reason"] is None


@pytest.mark.parametrize(("cursor", "reason"), [("rubbish", "epoch"), ("{epoch}-000000999999", "ahead")])
async def test_a_cursor_that_is_refused_has_its_verdict_and_a_snapshot(server: WatchedServer, cursor: str, reason: str):
    asked = await server.ask("A bad cursor", **QUICK)
    epoch = asked["cursor"].partition("-")[0]

    given = await page(server, asked, f"?after={cursor.format(epoch=epoch)}")

    assert (given["hello"]["resumed"], given["hello"]["reason"]) == (False, reason)
    assert given["snapshot"]["conversation"]["id"] == asked["conversation"]["id"]


async def test_pages_are_bounded_and_join_without_a_seam(server: WatchedServer):
    asked = await server.ask("word " * 2500, responder="echo")
    await server.ended(asked)
    log = await server.log_of(asked)

    pages = [await page(server, asked, "?from=start")]
    while pages[-1]["events"]:
        pages.append(await page(server, asked, f"?after={pages[-1]['cursor']}"))

    assert [len(given["events"]) for given in pages] == [1000, 1000, len(log) - 2000, 0]
    assert [event for given in pages for event in given["events"]] == log


async def test_a_page_of_long_events_ends_before_a_mebibyte(server: WatchedServer):
    asked = await server.ask("x" * 200_000 + " y", responder="echo")
    await server.ended(asked)
    for _ in range(3):
        again = await server.ask("z" * 250_000, f"{path_of(asked)}/messages", responder="echo")
        await server.ended(again)

    answer = await server.get(f"{path_of(asked)}/log?from=start")

    events = answer.json()["events"]
    assert len(answer.content) < 2**20 + 4096
    assert 3 < len(events) < len(await server.log_of(asked))


async def test_a_poll_waits_for_the_next_event(server: WatchedServer):
    asked = await server.ask("Wait for me", **HALTING)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        cursor = (await stream.until("reply.delta")).id

    waiting = asyncio.create_task(page(server, asked, f"?after={cursor}&wait=30"))
    await server.stop_reply(asked)

    assert [event["type"] for event in (await waiting)["events"]] == ["reply.ended"]


async def test_a_poll_whose_time_is_up_holds_nothing(server: WatchedServer):
    asked = await server.ask("Nothing comes", **SILENT)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        cursor = (await stream.until("reply.started")).id

    given = await page(server, asked, f"?after={cursor}&wait=0.05")

    assert (given["events"], given["cursor"]) == ([], cursor)
    await server.stop_reply(asked)


async def test_a_poll_of_a_conversation_that_is_deleted_says_so(server: WatchedServer):
    status = 404
    while status == 404:  # the deletion came first, and there was nothing to wait for
        asked = await server.ask("Go while I wait", **SILENT)
        async with await server.listen(asked["events"], asked["cursor"]) as stream:
            cursor = (await stream.until("reply.started")).id
        waiting = asyncio.create_task(server.get(f"{path_of(asked)}/log?after={cursor}&wait=30"))

        await server.client.delete(server.url + path_of(asked))

        status = (answer := await waiting).status_code

    assert status == 200
    types = [event["type"] for event in answer.json()["events"]]
    assert types in (["reply.ended", "conversation.deleted"], ["reply.ended"])


@pytest.mark.parametrize(("query", "path"), [("?wait=31", "wait"), ("?wait=-1", "wait"), ("?from=end", "from")])
async def test_a_bad_query_is_refused(server: WatchedServer, query: str, path: str):
    asked = await server.ask("Bad queries", **QUICK)

    check_problem(await server.get(f"{path_of(asked)}/log{query}"), 422, path=path)


async def test_the_log_of_nothing_is_not_found(server: WatchedServer):
    check_problem(await server.get("/conversations/nosuch/log"), 404)


@pytest.mark.parametrize("what", ["log?after={cursor}&wait=30", "replies/{reply}?wait=30"])
async def test_a_poll_whose_client_is_gone_leaves_its_place(
    start_server: Callable[..., Awaitable[WatchedServer]], what: str
):
    server = await start_server(max_streams=1)
    asked = await server.ask("Wait, and go", **SILENT)
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        cursor = (await stream.until("reply.started")).id
    path = f"{path_of(asked)}/{what.format(cursor=cursor, reply=asked['reply']['id'])}"

    async def is_full() -> bool:
        return (await server.get(path.replace("wait=30", "wait=0.01"))).status_code == 429

    async def wait_in_the_only_place() -> asyncio.StreamWriter:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = asyncio.ensure_future(reader.read(1))
            while not answer.done():  # refused, because the question after it came first
                if await is_full():
                    answer.cancel()
                    return writer
            writer.close()

    async with asyncio.timeout(30):
        while await is_full():  # until the stream is known to be gone
            pass
        writer = await wait_in_the_only_place()
        writer.transport.abort()
        while await is_full():
            pass
