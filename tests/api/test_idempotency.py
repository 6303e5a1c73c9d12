"""Idempotent POSTs (G9): the same key and the same bytes give the same answer, and act once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.answers import check_problem
from tests.api.watched import JSON, QUICK, SILENT, WatchedServer, path_of, reply_path, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

KEY = "Idempotency-Key"
MALFORMED = "An Idempotency-Key is sent once and has 1 to 255 printable ASCII characters."
OTHER_BYTES = "This Idempotency-Key was used with another body."
DOORS = ["create", "ask", "retry", "say"]


async def door(server: WatchedServer, name: str) -> tuple[str, dict[str, Any]]:
    """Return a path and a body that can be repeated at that door."""
    if name == "create":
        return "/conversations", {"prompt": "Only once", **QUICK}
    if name == "say":
        return "/send-message", {"message": "Said only once"}
    asked = await server.ask("At first", **QUICK)
    await server.ended(asked)
    if name == "ask":
        return path_of(asked) + "/messages", {"prompt": "Only once", **QUICK}
    return reply_path(asked) + "/retry", {"responder": "echo"}


async def count(server: WatchedServer, path: str) -> int:
    """Count what a repeated request could have made twice."""
    if path == "/conversations":
        return len(await server.conversations())
    if path == "/send-message":
        async with await server.listen("/events") as stream:
            return int((await stream.next()).json["cursor"].rpartition("-")[2])
    return len((await server.get("/".join(path.split("/")[:3]) + "/messages?limit=100")).json()["messages"])


def keyed(server: WatchedServer, path: str, body: object, key: str) -> Any:
    return server.post(path, body, headers={KEY: key})


@pytest.mark.parametrize("name", DOORS)
async def test_the_same_request_again_gives_the_same_answer(server: WatchedServer, name: str):
    path, body = await door(server, name)
    first = await keyed(server, path, body, f"again-{name}")
    before = await count(server, path)

    again = [await keyed(server, path, body, f"again-{name}") for _ in range(3)]

    assert first.status_code == (200 if name == "say" else 201)
    assert "idempotency-replayed" not in first.headers
    for answer in again:
        assert (answer.status_code, answer.content) == (first.status_code, first.content)
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.headers.get("location") == first.headers.get("location")
        assert answer.headers["content-type"] == first.headers["content-type"]
    assert await count(server, path) == before


@pytest.mark.parametrize("name", DOORS)
async def test_fifty_requests_at_once_act_once(server: WatchedServer, name: str):
    path, body = await door(server, name)
    before = await count(server, path)

    answers = await asyncio.gather(*(keyed(server, path, body, f"fifty-{name}") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200 if name == "say" else 201}
    assert len({answer.content for answer in answers}) == 1
    assert ["idempotency-replayed" in answer.headers for answer in answers].count(False) == 1
    assert await count(server, path) == before + (2 if name == "ask" else 1)


@pytest.mark.parametrize("name", DOORS)
async def test_other_bytes_under_the_same_key_are_refused(server: WatchedServer, name: str):
    path, body = await door(server, name)
    await keyed(server, path, body, f"bytes-{name}")
    before = await count(server, path)

    other = await server.send(path, json.dumps(body).encode() + b" ", **{KEY: f"bytes-{name}"})

    check_problem(other, 422, OTHER_BYTES, path=KEY)
    assert await count(server, path) == before


@pytest.mark.parametrize("name", [*DOORS, "stop"])
@pytest.mark.parametrize(
    "key",
    [b"", b"x" * 256, b"x" * 10_000, b"caf\xe9", "ключ".encode(), b"a\tb"],
    ids=["empty", "256", "10kB", "latin-1", "utf-8", "tab"],
)
async def test_a_malformed_key_is_refused(server: WatchedServer, name: str, key: bytes):
    path, body = await door(server, "retry" if name == "stop" else name)
    path, body = (path.replace("/retry", "/stop"), {}) if name == "stop" else (path, body)
    before = await count(server, path)

    answer = await server.client.post(server.url + path, json=body, headers=httpx.Headers([(KEY.encode(), key)]))

    check_problem(answer, 400, MALFORMED)
    assert await count(server, path) == before


@pytest.mark.parametrize("name", DOORS)
async def test_a_key_sent_twice_is_refused(server: WatchedServer, name: str):
    path, body = await door(server, name)
    before = await count(server, path)

    answer = await server.client.post(server.url + path, json=body, headers=[(KEY, "one"), (KEY, "one")])

    check_problem(answer, 400, MALFORMED)
    assert await count(server, path) == before


@pytest.mark.parametrize(
    "key", ["x", "x" * 255, "'; DROP TABLE answers; --", '{}~ !"#'], ids=["1", "255", "sql", "odd"]
)
async def test_any_printable_key_works(server: WatchedServer, key: str):
    body = {"prompt": "Any key will do", **QUICK}

    first = await keyed(server, "/conversations", body, key)
    again = await keyed(server, "/conversations", body, key)

    assert first.status_code == 201
    assert again.content == first.content


async def test_a_key_counts_for_its_path_only(server: WatchedServer):
    asked = await server.ask("At first", **QUICK)
    other = await server.ask("At first, elsewhere", **QUICK)
    await server.ended(asked)
    await server.ended(other)
    body = {"prompt": "One key, three paths", **QUICK}
    paths = ["/conversations", path_of(asked) + "/messages", path_of(other) + "/messages"]

    answers = [await keyed(server, path, body, "three paths") for path in paths]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["reply"]["id"] for answer in answers}) == 3
    assert all("idempotency-replayed" not in answer.headers for answer in answers)


async def test_a_refused_request_keeps_no_answer(server: WatchedServer):
    refused = await keyed(server, "/conversations", {"prompt": " "}, "refused first")

    accepted = await keyed(server, "/conversations", {"prompt": "Better now", **QUICK}, "refused first")

    check_problem(refused, 422, path="prompt")
    assert accepted.status_code == 201
    assert "idempotency-replayed" not in accepted.headers


async def test_a_conflict_keeps_no_answer(server: WatchedServer):
    asked = await server.ask("Be quiet", **SILENT)
    path, body = path_of(asked) + "/messages", {"prompt": "When it is over", **QUICK}
    conflict = await keyed(server, path, body, "conflict first")
    await server.stop_reply(asked)

    accepted = await keyed(server, path, body, "conflict first")

    assert (conflict.status_code, accepted.status_code) == (409, 201)


@pytest.mark.parametrize("name", ["create", "ask", "retry"])
async def test_a_streaming_repetition_attaches_to_the_same_reply_from_its_first_event(server, name: str):
    path, body = await door(server, name)
    headers = {KEY: f"stream-{name}"}
    async with await server.pour(body, path, headers=headers) as first:
        await first.rest()

    async with await server.pour(body, path, headers=headers) as again:
        await again.rest()
    async with await server.pour(body, path, headers=headers, accept="text/plain") as text:
        await text.rest()

    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.headers["x-reply-id"] == text.headers["x-reply-id"] == first.headers["x-reply-id"]
    assert again.events() == first.events() != []
    assert text.raw.decode() == text_of([frame.json for frame in first.events()])


async def test_a_streaming_repetition_joins_a_reply_that_still_runs(server: WatchedServer):
    body, headers = {"prompt": "Be quiet", **SILENT}, {KEY: "still running"}
    async with (
        await server.pour(body, headers=headers) as first,
        await server.pour(body, headers=headers) as again,
    ):
        await server.post(f"{first.headers['location']}/replies/{first.headers['x-reply-id']}/stop")

        assert await first.rest()
        await again.rest()

    assert again.events() == first.events()
    assert first.events()[0].event == "message.created"


async def test_fifty_streaming_requests_at_once_share_one_reply(server: WatchedServer):
    before = len(await server.conversations())

    async def pour() -> tuple[str, bytes]:
        async with await server.pour({"prompt": "Share me", **QUICK}, headers={KEY: "fifty streams"}) as stream:
            await stream.rest()
            return stream.headers["x-reply-id"], stream.raw.partition(b"\n\n")[2]

    bodies = await asyncio.gather(*(pour() for _ in range(50)))

    assert len(set(bodies)) == 1
    assert len(await server.conversations()) == before + 1


async def test_keys_survive_kill_9(start_server):
    server = await start_server()
    asked = await server.ask("At first", **QUICK)
    await server.ended(asked)
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/conversations", {"prompt": "Only once, by create", **QUICK}),
        (path_of(asked) + "/messages", {"prompt": "Only once, by ask", **QUICK}),
        (reply_path(asked) + "/retry", {"responder": "echo"}),
        ("/send-message", {"message": "Said only once"}),
    ]
    before = [await keyed(server, path, body, "a key to keep") for path, body in requests]
    async with await server.pour(requests[0][1], headers={KEY: "streamed before"}) as stream:
        await stream.rest()

    await server.restart()

    counts = [await count(server, path) for path, _ in requests]
    after = [await keyed(server, path, body, "a key to keep") for path, body in requests]
    assert [answer.content for answer in after] == [answer.content for answer in before]
    assert [answer.headers.get("idempotency-replayed") for answer in after] == ["true"] * 4
    assert [await count(server, path) for path, _ in requests] == counts
    other = await server.send("/conversations", b'{"prompt": "Other bytes"}', **{KEY: "a key to keep"})
    check_problem(other, 422, OTHER_BYTES, path=KEY)
    async with await server.pour(requests[0][1], headers={KEY: "streamed before"}) as again:
        await again.rest()
    assert again.events() == stream.events() != []


async def test_keys_with_headers_in_any_case_are_the_same(server: WatchedServer):
    content = json.dumps({"prompt": "Any case", **QUICK}).encode()

    first = await server.client.post(server.url + "/conversations", content=content, headers=JSON | {KEY: "case"})
    again = await server.client.post(
        server.url + "/conversations", content=content, headers=JSON | {KEY.upper(): "case"}
    )

    assert again.content == first.content
