"""Stop: the ending comes in time whatever the generator does (G10), and what follows it is nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app import runner
from tests.support.core import WITHIN, open_core


@pytest.fixture
def soon(monkeypatch) -> None:
    """Abandon a stubborn responder sooner, so that tests of them are short."""
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.05)


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """Something that a thread can wait for; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_reply_is_stopped_before_its_first_token(tmp_path):
    entered, left = asyncio.Event(), asyncio.Event()

    async def silent(prompt):
        try:
            entered.set()
            await asyncio.Event().wait()
            yield "never"
        finally:
            left.set()

    async with open_core(tmp_path, silent) as core:
        asked = await core.ask()
        await entered.wait()
        stopped = await core.stop(asked)

        assert left.is_set()
        assert stopped == await core.ended(asked)
        assert (stopped.status, stopped.text, stopped.first_token_at) == ("cancelled", "", None)
        assert stopped.finish_reason is None
        assert stopped.error is None


async def test_a_reply_is_stopped_in_the_middle_and_keeps_what_was_written(tmp_path):
    left = asyncio.Event()

    async def halting(prompt):
        try:
            yield "Once "
            yield "upon"
            await asyncio.Event().wait()
        finally:
            left.set()

    async with open_core(tmp_path, halting) as core:
        asked = await core.ask()
        await core.until_text(asked, "Once upon")
        await core.stop(asked)
        reply = await core.ended(asked)

    assert left.is_set()
    assert (reply.status, reply.text, reply.usage.output_tokens, reply.usage.partial) == (
        "cancelled",
        "Once upon",
        2,
        True,
    )


async def test_a_responder_that_never_waits_is_stopped_at_a_yield(tmp_path):
    entered, left = asyncio.Event(), asyncio.Event()

    async def busy(prompt):
        entered.set()
        try:
            while True:
                yield "x"
        finally:
            left.set()

    async with open_core(tmp_path, busy, max_reply_bytes=2**30) as core:
        asked = await core.ask()
        await entered.wait()
        await core.stop(asked)
        reply = await core.ended(asked)

    assert left.is_set()
    assert reply.status == "cancelled"
    assert set(reply.text) <= {"x"}


@pytest.mark.parametrize("turns", range(8))
async def test_a_reply_is_stopped_at_any_moment_of_its_start(tmp_path, turns):
    async def quick(prompt):
        yield "Hello"
        await asyncio.Event().wait()

    async with open_core(tmp_path, quick) as core:
        asked = await core.ask()
        for _ in range(turns):
            await asyncio.sleep(0)
        await core.stop(asked)
        reply = await core.ended(asked)

    assert reply.status == "cancelled"
    assert reply.text in ("", "Hello")


async def test_a_reply_is_stopped_while_its_start_is_on_its_way_to_the_store(tmp_path):
    async def quick(prompt):
        yield "Hello"

    async with open_core(tmp_path, quick) as core:
        asked = await core.ask()
        core.engine.passing.clear()
        for _ in range(20):  # turns, in which the start reaches the engine
            await asyncio.sleep(0)
        stopping = asyncio.create_task(core.stop(asked))
        for _ in range(20):
            await asyncio.sleep(0)
        core.engine.passing.set()
        await stopping
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("cancelled", "")


async def test_stopping_twice_ends_a_reply_once(tmp_path):
    async def halting(prompt):
        yield "Hello"
        await asyncio.Event().wait()

    async with open_core(tmp_path, halting) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        first, second = await asyncio.gather(core.stop(asked), core.stop(asked))
        third = await core.stop(asked)

        assert first == second == third == await core.ended(asked)


async def test_stopping_a_reply_that_has_ended_changes_nothing(tmp_path):
    async def quick(prompt):
        yield "Hello"

    async with open_core(tmp_path, quick) as core:
        asked = await core.ask()
        ended = await core.ended(asked)

        assert await core.stop(asked) == ended
        assert await core.ended(asked) == ended


async def test_a_responder_that_swallows_its_cancellation_is_abandoned_within_a_second(tmp_path):
    released, done = asyncio.Event(), asyncio.Event()

    async def deaf(prompt):
        yield "Hello"
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                yield " still here"
        done.set()

    async with open_core(tmp_path, deaf) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        async with asyncio.timeout(WITHIN):
            reply = await core.stop(asked)
        released.set()
        await core.ended(asked)
        events = await core.events(asked)

    assert (reply.status, reply.text) == ("cancelled", "Hello")
    assert events[-1].text == "Hello"
    assert runner.STOP_SECONDS < 1


async def test_a_responder_that_does_not_return_from_its_finally_is_abandoned(tmp_path, soon):
    released, done = asyncio.Event(), asyncio.Event()

    async def clinging(prompt):
        try:
            yield "Hello"
            await asyncio.Event().wait()
        finally:
            await released.wait()
            done.set()

    async with open_core(tmp_path, clinging) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        reply = await core.stop(asked)
        assert not done.is_set()
        released.set()
        await asyncio.wait_for(done.wait(), WITHIN)

        assert reply == await core.ended(asked)
        assert reply.status == "cancelled"


async def test_what_an_abandoned_responder_yields_later_is_dropped(tmp_path, soon):
    released, done = asyncio.Event(), asyncio.Event()

    async def stubborn(prompt):
        try:
            yield "Hello"
            try:
                await released.wait()
            except asyncio.CancelledError:
                await released.wait()
            yield " later"
            yield " and later"
        finally:
            done.set()

    async with open_core(tmp_path, stubborn) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        await core.stop(asked)
        released.set()
        await asyncio.wait_for(done.wait(), WITHIN)

        reply = await core.ended(asked)
        assert (reply.status, reply.text) == ("cancelled", "Hello")


async def test_a_plain_generator_that_blocks_in_its_thread_ends_its_reply_at_once(tmp_path, blocked):
    def blocking(prompt):
        yield "Hello"
        blocked.wait()
        yield " later"

    async with open_core(tmp_path, blocking) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        reply = await core.stop(asked)

        assert not blocked.is_set()
        assert (reply.status, reply.text) == ("cancelled", "Hello")


async def test_a_responder_that_waits_for_a_thread_of_its_own_ends_its_reply_at_once(tmp_path, blocked):
    async def waiting(prompt):
        yield "Hello"
        await asyncio.to_thread(blocked.wait)

    async with open_core(tmp_path, waiting) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        reply = await core.stop(asked)

        assert not blocked.is_set()
        assert (reply.status, reply.text) == ("cancelled", "Hello")
        blocked.set()


async def test_an_exception_on_the_way_out_does_not_change_how_a_stopped_reply_ends(tmp_path):
    async def messy(prompt):
        try:
            yield "Hello"
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("the connection could not be closed")

    async with open_core(tmp_path, messy) as core:
        asked = await core.ask()
        await core.until_text(asked, "Hello")
        await core.stop(asked)

        reply = await core.ended(asked)
        assert (reply.status, reply.error) == ("cancelled", None)
