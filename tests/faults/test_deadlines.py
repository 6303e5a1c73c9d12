"""Requests that do not arrive, and connections that are too many: each gets its answer and goes, beside a control."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
import pytest_asyncio

from tests.api.answers import check_problem
from tests.api.bystanders import Control
from tests.api.raw import Raw
from tests.api.watched import WatchedServer, reply_path
from tests.faults import impatient_server
from tests.faults.impatient_server import MAX_STREAMS, PATIENCE, REFUSING, SPARE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LATE = "The request did not arrive in time."
TOO_MANY = "Too many connections are open."


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def untouched(control: Control) -> AsyncIterator[None]:
    """Whatever the test does, the control stream flows on."""
    yield
    await control.flows()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def control(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    """An impatient server, and a stream on it that must not notice anything."""
    command = [sys.executable, str(impatient_server.__file__)]
    async with WatchedServer(tmp_path_factory.mktemp("data"), command=command, max_streams=MAX_STREAMS) as server:
        control = await Control.begin(server)
        while (await server.get(reply_path(control.asked))).json()["reply"]["status"] != "running":
            pass
        yield control
        await control.end()
        await server.kill()
    server.check_log()


async def trickle(raw: Raw, data: bytes) -> None:
    """Send ten bytes a second, until the server has had enough."""
    with suppress(ConnectionError):
        for number in range(len(data)):
            await raw.send(data[number : number + 1])
            await asyncio.sleep(PATIENCE / 5)


async def test_who_connects_and_says_nothing_is_cut_without_a_word(control: Control) -> None:
    async with await Raw.open(control.server) as silent, await Raw.open(control.server) as blank:
        await blank.send(b"\r\n\r\n")

        assert await silent.rest() == b""
        assert await blank.rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 1000,
        "POST /send-message HTTP/1.1" + "\r\nX: a" * 99,
    ],
    ids=["a long header", "many headers"],
)
async def test_a_head_that_comes_byte_by_byte_is_408(control: Control, head: str) -> None:
    async with await Raw.open(control.server) as raw:
        sending = asyncio.create_task(trickle(raw, head.encode()))
        answer = await raw.answer()
        rest = await raw.rest()
        sending.cancel()

    check_problem(answer, 408, LATE)
    assert rest == b""


async def test_the_time_of_a_head_begins_anew_with_each_request(control: Control) -> None:
    async with await Raw.open(control.server) as raw:
        for _ in range(3):
            await raw.ask("GET /health/live")
            assert (await raw.answer()).status_code == 200
            await asyncio.sleep(PATIENCE * 0.8)
        await raw.send(b"GET /health")

        check_problem(await raw.answer(), 408, LATE)


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_comes_byte_by_byte_is_408(control: Control, length: str) -> None:
    async with await Raw.open(control.server) as raw:
        await raw.ask("POST /send-message", "Content-Type: application/json", length)
        sending = asyncio.create_task(trickle(raw, b"3E8\r\n" + b" " * 1000))
        answer = await raw.answer()
        rest = await raw.rest()
        sending.cancel()

    check_problem(answer, 408, LATE)
    assert rest == b""


async def test_a_chunk_of_2_to_the_64_bytes_is_408_when_nothing_more_comes(control: Control) -> None:
    async with await Raw.open(control.server) as raw:
        length = "Transfer-Encoding: chunked"
        await raw.ask("POST /send-message", "Content-Type: application/json", length, body=b"FFFFFFFFFFFFFFFF\r\n{")

        check_problem(await raw.answer(), 408, LATE)


async def test_a_body_that_is_long_and_comes_steadily_is_read(control: Control) -> None:
    body = b'{"message": ' + b" " * 6000 + b'"Hello"}'

    async with await Raw.open(control.server) as raw:
        await raw.ask("POST /send-message", "Content-Type: application/json", f"Content-Length: {len(body)}")
        for start in range(0, len(body), 500):
            await raw.send(body[start : start + 500])
            await asyncio.sleep(PATIENCE / 5)
        answer = await raw.answer()

    assert (answer.status_code, answer.text) == (200, "Message sent successfully!")


async def test_an_answer_ahead_of_a_body_that_never_comes_is_the_last(control: Control) -> None:
    async with await Raw.open(control.server) as raw:
        await raw.ask("POST /nothing", "Content-Length: 1000")
        answer = await raw.answer()

        with suppress(ConnectionResetError):
            assert await raw.rest() == b""

    check_problem(answer, 404, "There is nothing at this path.")


async def test_connections_over_the_limit_are_told_so_and_then_cut(control: Control) -> None:
    async with AsyncExitStack() as stack:
        everybody = [
            await stack.enter_async_context(await Raw.open(control.server))
            for _ in range(MAX_STREAMS + SPARE + 2 * REFUSING)
        ]

        ends = await asyncio.gather(*(end_of(raw) for raw in everybody))

    told = [answer for answer in ends if answer]
    assert 1 <= len(told) <= REFUSING
    for answer in told:
        check_problem(answer, 503, TOO_MANY)
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["connection"] == "close"
    assert ends[0] is None
    assert ends[-1] is None
    assert (await control.server.get("/health/live")).status_code == 200


async def end_of(raw: Raw) -> httpx.Response | None:
    """Wait for the end of a connection on which nothing was asked, and return what the server said all the same."""
    try:
        return await raw.answer()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def test_as_many_files_may_be_open_as_the_system_allows(control: Control) -> None:
    soft, hard = resource.prlimit(control.server.pid, resource.RLIMIT_NOFILE)

    assert soft == hard
