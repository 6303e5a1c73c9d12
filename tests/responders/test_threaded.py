from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
from contextlib import aclosing

import pytest

from responders.base import ResponderError
from responders.threaded import AHEAD, THREAD_PREFIX, in_thread

NAME = "tried"


def threads():
    return [thread for thread in threading.enumerate() if thread.name == f"{THREAD_PREFIX}{NAME}"]


async def read(generator, into=None):
    """The pieces of a reply, which are in `into` even when it raises."""
    got = [] if into is None else into
    async with aclosing(in_thread(NAME, generator)) as pieces:
        async for piece in pieces:
            got.append(piece)
    return got


async def wait_until(true):
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come to that")


@pytest.fixture(autouse=True)
async def no_thread_stays():
    yield
    await wait_until(lambda: not threads())


class Gate:
    """A plain generator that blocks in its second step until it is let through."""

    def __init__(self):
        self.blocked = threading.Event()
        self.opened = threading.Event()
        self.closed_in = None

    def __call__(self):
        try:
            yield "first"
            self.blocked.set()
            self.opened.wait(60)
            yield "second"
            yield "third"
        finally:
            self.closed_in = threading.current_thread().name


async def test_pieces_arrive_in_their_order():
    pieces = await read(str(number) for number in range(1000))

    assert pieces == [str(number) for number in range(1000)]


async def test_a_generator_that_yields_nothing_ends():
    assert await read(iter_nothing()) == []


def iter_nothing():
    return
    yield


async def test_a_returned_value_is_nothing():
    def generator():
        yield "one"
        return "two"

    assert await read(generator()) == ["one"]


async def test_it_runs_in_a_thread_of_its_own_with_the_reader_s_context():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("the reader's")

    def generator():
        yield threading.current_thread().name
        yield variable.get()

    assert await read(generator()) == [f"{THREAD_PREFIX}{NAME}", "the reader's"]


async def test_it_runs_only_a_few_pieces_ahead():
    made = 0

    def generator():
        nonlocal made
        for made in range(1, 201):  # noqa: B007 - read by the test
            yield "piece"

    ahead = []
    async with aclosing(in_thread(NAME, generator())) as pieces:
        async for _ in pieces:
            target = min(200, len(ahead) + 1 + AHEAD)
            await wait_until(lambda target=target: made >= target)
            ahead.append(made - len(ahead) - 1)

    assert len(ahead) == 200
    assert max(ahead) <= AHEAD + 1


@pytest.mark.parametrize("error", [ValueError("out of ink"), ResponderError("Ask later."), StopAsyncIteration("odd")])
async def test_an_exception_travels_after_the_pieces_before_it(error):
    def generator():
        yield "one"
        raise error

    got = []
    with pytest.raises((type(error), RuntimeError)) as caught:
        await read(generator(), into=got)

    assert got == ["one"]
    assert error in (caught.value, caught.value.__cause__)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
async def test_an_exception_that_would_stop_the_reader_comes_as_a_runtime_error(error):
    def generator():
        yield "one"
        raise error

    with pytest.raises(RuntimeError, match=f"the responder raised {type(error).__name__}") as caught:
        await read(generator())

    assert caught.value.__cause__ is error


async def test_a_closed_generator_is_closed_at_its_next_yield_in_its_thread():
    gate = Gate()
    pieces = in_thread(NAME, gate())
    await anext(pieces)

    await pieces.aclose()
    closed_early = gate.closed_in
    gate.opened.set()
    await wait_until(lambda: not threads())

    assert closed_early is None
    assert gate.closed_in == f"{THREAD_PREFIX}{NAME}"


async def test_a_generator_that_waits_for_room_is_closed_at_once():
    made = 0
    closed = threading.Event()

    def generator():
        nonlocal made
        try:
            while True:
                made += 1
                yield "piece"
        finally:
            closed.set()

    pieces = in_thread(NAME, generator())
    await anext(pieces)
    await wait_until(lambda: made == 1 + AHEAD + 1)

    await pieces.aclose()

    await wait_until(closed.is_set)


async def test_a_cancellation_returns_at_once_while_the_thread_blocks():
    gate = Gate()
    reading = asyncio.create_task(read(gate()))
    await wait_until(gate.blocked.is_set)

    reading.cancel()
    done, _ = await asyncio.wait({reading}, timeout=30)

    assert reading in done
    assert reading.cancelled()
    assert threads()
    gate.opened.set()


async def test_a_generator_that_is_never_asked_starts_no_thread():
    started = []

    def generator():
        started.append(True)
        yield "one"

    await in_thread(NAME, generator()).aclose()

    assert not started
    assert not threads()


@pytest.mark.parametrize("clinging", [True, False])
async def test_what_is_raised_after_a_stop_is_logged_and_hurts_nobody(clinging, caplog):
    def generator():
        try:
            while True:
                yield "piece"
        finally:
            if clinging:
                yield "one more"
            raise ValueError("not done")

    pieces = in_thread(NAME, generator())
    await anext(pieces)

    with caplog.at_level(logging.WARNING, "responders.threaded"):
        await pieces.aclose()
        await wait_until(lambda: not threads())

    assert [record.message for record in caplog.records] == ["a responder raised after it was stopped"]


def test_a_loop_that_is_closed_meanwhile_is_met_in_quiet():
    gate = Gate()
    loop = asyncio.new_event_loop()
    pieces = in_thread(NAME, gate())
    loop.run_until_complete(anext(pieces))
    assert gate.blocked.wait(60)

    loop.close()
    gate.opened.set()
    for thread in threads():
        thread.join(60)

    assert gate.closed_in == f"{THREAD_PREFIX}{NAME}"
    del pieces
    gc.collect()


async def test_many_at_once_do_not_mix():
    texts = [[f"{reply}-{number}" for number in range(50)] for reply in range(20)]

    assert await asyncio.gather(*(read(piece for piece in text) for text in texts)) == texts
