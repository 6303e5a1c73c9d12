"""Ids and query values that somebody made up: 404 in the same words as any other, 422 by name."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.api.answers import check_problem
from tests.api.bystanders import Control
from tests.api.watched import QUICK, WatchedServer, path_of, reply_path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.usefixtures("untouched"),
]

NO_CONVERSATION = "There is no such conversation."
NO_REPLY = "There is no such reply."
ON_CONVERSATION = {
    "read": ("GET", "", b""),
    "rename": ("PATCH", "", b'{"title": "quetzal"}'),
    "delete": ("DELETE", "", b""),
    "stream": ("GET", "/events", b""),
    "messages": ("GET", "/messages", b""),
    "ask": ("POST", "/messages", b'{"prompt": "quetzal"}'),
    "reply": ("GET", "/replies/x", b""),
    "stop": ("POST", "/replies/x/stop", b"{}"),
    "retry": ("POST", "/replies/x/retry", b"{}"),
}
ON_REPLY = {"read": ("GET", ""), "wait": ("GET", "?wait=5"), "stop": ("POST", "/stop"), "retry": ("POST", "/retry")}
IDS = {
    "unknown": "a" * 26,
    "short": "x",
    "10 kB": "x" * 10_000,
    "sql": "' OR 1=1; --",
    "like": "%",
    "braces": "{conversation_id:str}",
    "newline": "a\nb\r\n\r\nc",
    "NUL": "\0",
    "dots": "...",
    "unicode": "鯨\u202e\u200b",
    "stream name": "broadcast",
    "minus": "-1",
    "null": "null",
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def asked(server: WatchedServer) -> dict:
    """An idle conversation that is to stay as it is."""
    asked = await server.ask("Leave me alone", **QUICK)
    await server.ended(asked)
    return asked


async def send_to_conversation(server: WatchedServer, id: str) -> list[httpx.Response]:
    return [
        await server.send(f"/conversations/{quote(id, safe='')}{path}", body, method=method)
        for method, path, body in ON_CONVERSATION.values()
    ]


async def send_to_reply(server: WatchedServer, asked: dict, id: str) -> list[httpx.Response]:
    return [
        await server.send(f"{path_of(asked)}/replies/{quote(id, safe='')}{path}", b"", method=method)
        for method, path in ON_REPLY.values()
    ]


@pytest.mark.parametrize("name", IDS)
async def test_an_unknown_conversation_is_404_for_every_call(server: WatchedServer, name: str):
    answers = await send_to_conversation(server, IDS[name])

    for answer in answers:
        check_problem(answer, 404, NO_CONVERSATION)


@pytest.mark.parametrize("name", IDS)
async def test_an_unknown_reply_is_404_for_every_call(server: WatchedServer, asked: dict, name: str):
    answers = await send_to_reply(server, asked, IDS[name])

    for answer in answers:
        check_problem(answer, 404, NO_REPLY)


async def test_an_id_in_upper_case_is_another_id(server: WatchedServer, asked: dict):
    of_conversation = await send_to_conversation(server, asked["conversation"]["id"].upper())
    of_reply = await send_to_reply(server, asked, asked["reply"]["id"].upper())

    for answer in of_conversation:
        check_problem(answer, 404, NO_CONVERSATION)
    for answer in of_reply:
        check_problem(answer, 404, NO_REPLY)


async def test_the_reply_of_another_conversation_is_as_unknown(server: WatchedServer, asked: dict, control: Control):
    answers = await send_to_reply(server, asked, control.asked["reply"]["id"])

    for answer in answers:
        check_problem(answer, 404, NO_REPLY)


async def test_a_message_that_is_no_reply_is_404(server: WatchedServer, asked: dict):
    answers = await send_to_reply(server, asked, asked["message"]["id"])

    for answer in answers:
        check_problem(answer, 404, NO_REPLY)


@pytest.mark.parametrize("path", ["/conversations/a%2Fb", "/nothing", "/conversations//events", "/%00", "/%ff"])
async def test_a_path_of_nothing_is_404(server: WatchedServer, path: str):
    answer = await server.get(path)

    check_problem(answer, 404)


@pytest.mark.parametrize("path", ["/conversations?{}", "{conversation}/messages?{}"], ids=["list", "messages"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={value}", "limit") for value in ["0", "101", "-1", "x", "1e1", "0x10", "1_0", "+5", "%20", "NaN"]),
        *((f"limit={value}", "limit") for value in ["1.5", "1.0", "%D9%A1", "%00", "9" * 5000, ".", "1."]),
        ("limit=1&limit=2", "limit"),
        *((f"before={value}", "before") for value in ["x", "-1", "0", "%00", "AAAA", "x" * 10_000, "%D9%A1", "'%20OR"]),
        ("before=a&before=b", "before"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_bad_query_value_of_a_list_is_422_and_named(server, asked: dict, path: str, query: str, field: str):
    url = path.replace("{conversation}", path_of(asked)).replace("{}", query)

    answer = await server.get(url)

    check_problem(answer, 422, path=field)


@pytest.mark.parametrize(
    "wait",
    ["-1", "30.1", "31", "x", "1e1", "NaN", "inf", "%20", "+5", "1_0", "%D9%A1", "9" * 400, "1&wait=1"],
    ids=lambda value: value[:20],
)
async def test_a_bad_wait_is_422_and_named(server: WatchedServer, asked: dict, wait: str):
    answer = await server.get(f"{reply_path(asked)}?wait={wait}")

    check_problem(answer, 422, path="wait")


async def test_a_list_of_one_conversation_takes_no_place_of_another_list(server: WatchedServer, asked: dict):
    place = (await server.get("/conversations?limit=1")).json()["next"]

    answer = await server.get(f"{path_of(asked)}/messages?before={place}")

    check_problem(answer, 422, path="before")
