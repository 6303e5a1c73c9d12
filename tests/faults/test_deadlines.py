"""Requests that do not arrive, and connections that are too many: each gets its answer and goes, beside a control."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest
import pytest_asyncio

from tests.api import chats
from tests.api.answers import check_problem
from tests.api.bystanders import Control
from tests.api.raw import Raw
from tests.api.watched import QUICK, WatchedServer, path_of, reply_path
from tests.faults import impatient_server
from tests.faults.impatient_server import MAX_STREAMS, PATIENCE, REFUSING, SPARE, STALL, UNREAD
from tests.faults.stalled import Stalled, stalled_reader

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LATE = "The request did not arrive in time."
TOO_MANY = "Too many connections are open."
ANSWERS = 6
"""How many long answers are more than the buffers of the system hold."""


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


async def test_those_who_are_refused_take_no_place_and_a_stream_that_ends_keeps_its_own(control: Control) -> None:
    body = json.dumps(
        {"prompt": "Hi", "responder": "mock", "options": {"tokens": 20, "tokens_per_second": 20}}
    ).encode()
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(await Raw.open(control.server))
        sse = ("Content-Type: application/json", "Accept: text/event-stream", f"Content-Length: {len(body)}")
        await stream.ask("POST /conversations", *sse, body=body)
        await stream.reader.readuntil(b"event: hello")
        idle = []
        for _ in range(MAX_STREAMS + SPARE + 5):
            idle.append(await stack.enter_async_context(await Raw.open(control.server)))
            await idle[-1].ask("GET /health/live")  # at once, for who is silent is cut
        answers = [answer for raw in idle if (answer := await end_of(raw))]
        assert {answer.status_code for answer in answers} == {200, 503}

        end = await stream.reader.readuntil(b"\r\n0\r\n\r\n")
        assert b"event: reply.ended" in end
        await asyncio.sleep(PATIENCE * 1.5)  # longer than a new connection may be silent
        await stream.ask("GET /health/live")
        assert (await stream.answer()).status_code == 200

        for raw, answer in zip(idle, answers, strict=True):
            if answer.status_code == 503:
                raw.writer.transport.abort()
        over = [await stack.enter_async_context(await Raw.open(control.server)) for _ in range(5)]
        refused = [await end_of(raw) for raw in over]
        assert [answer.status_code for answer in refused if answer] == [503] * 5
        for raw in idle[:2]:
            await raw.ask("GET /health/live", "Connection: close")
            assert (await raw.answer()).status_code == 200
            assert await raw.rest() == b""
        late = await stack.enter_async_context(await Raw.open(control.server))
        await late.ask("GET /health/live")
        assert (await late.answer()).status_code == 200


async def test_who_takes_nothing_of_an_answer_is_cut_and_no_request_was_begun_behind_it(control: Control) -> None:
    server = control.server
    path = await long_page(control)
    async with await server.listen("/events") as channel, stalled_reader(server, path) as reader:
        get = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        post = b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        reader.connection.send((post + b'Content-Length: 20\r\n\r\n{"message":"behind"}' + get) * ANSWERS)
        await taken_on(control, reader)
        await asyncio.sleep(2.5 * STALL)
        whole = await count_answers(reader)
        await server.post("/send-message", {"message": "the last"})

        heard = [""]
        while heard[-1] != "the last":
            heard.append((await channel.next()).data)

    # The page that is cut may be the one after a message, which the system had taken whole.
    assert heard.count("behind") in (whole, whole + 1)
    assert whole + 1 < ANSWERS


async def test_of_many_who_read_nothing_the_first_are_cut_at_once(control: Control) -> None:
    path = await long_page(control)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(unread(control, path)) for _ in range(UNREAD + 2)]

        answers = await asyncio.gather(*(count_answers(reader) for reader in readers))

    assert max(answers[:2]) < ANSWERS
    assert answers[2:] == [ANSWERS] * UNREAD


async def long_page(control: Control) -> str:
    """Return where an answer of a megabyte is."""
    asked = await control.server.ask("x" * 250_000, **QUICK)
    await control.server.ended(asked)
    path = path_of(asked) + "/messages"
    await control.server.ended(await control.server.ask("x" * 250_000, path, **QUICK))
    return path


@asynccontextmanager
async def unread(control: Control, path: str) -> AsyncIterator[Stalled]:
    """Ask for more than the buffers of the system hold, and read nothing of it."""
    async with stalled_reader(control.server, path) as reader:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
        reader.connection.send((request + b"\r\n") * (ANSWERS - 2) + request + b"Connection: close\r\n\r\n")
        await taken_on(control, reader)
        yield reader


async def taken_on(control: Control, reader: Stalled) -> None:
    """Wait until the server has answered a reader as far as it does."""
    while not reader.held:
        await control.server.get("/health/live")
    for _ in range(20):
        await control.server.get("/health/live")


async def count_answers(reader: Stalled) -> int:
    """Read what there is, and say how many whole answers it is."""
    received = b""
    reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)  # or this takes its time
    async with await reader.wake() as stream:
        with suppress(ConnectionError):
            while piece := await stream.reader.read(2**20):
                received += piece
    return received.count(b'],"next":')


async def test_as_many_files_may_be_open_as_the_system_allows(control: Control) -> None:
    soft, hard = resource.prlimit(control.server.pid, resource.RLIMIT_NOFILE)

    assert soft == hard


async def test_an_abandoned_completion_is_stopped_unless_somebody_reads_it(control: Control) -> None:
    server = control.server

    async def abandon() -> str:
        async with await chats.pour(server, "Say one word", **chats.ONE_TOKEN) as stream:
            await stream.next()
        return stream.headers["x-conversation-id"]

    missed, read = await abandon(), await abandon()
    async with await server.listen(f"/conversations/{read}/events") as reader:
        await reader.next()
        later = await abandon()

        await chats.stopped(server, later)

        left = {each["id"]: each["running"] for each in await server.state()}
        assert (left[missed], left[later]) == ([], [])
        (goes_on,) = left[read]
        await server.post(f"/conversations/{read}/replies/{goes_on}/stop")
