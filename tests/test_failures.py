"""Replies that fail: a responder's mistakes end its own reply, and the store's troubles cost what was not stored."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app import runner
from app.errors import NotStoring
from app.events import ReplyDelta
from responders.base import Finish, Image, Reasoning, ResponderError, Text, ToolCall, ToolResult, Usage
from tests.support.core import WITHIN, open_core

SAID_NOTHING = "The responder failed; the server's log says why."

NO_PIECES = {
    "a number": 5,
    "None": None,
    "bytes": b"bytes",
    "a list": ["text"],
    "an image": Image("https://example.com/cat.png"),
    "text of a number": Text(5),
    "reasoning of None": Reasoning(None),
    "a call without arguments": ToolCall("a", "find", None),
    "a result that is no text": ToolResult("a", {"x": 1}),
    "usage in words": Usage("one", 2, 3),
    "usage without numbers": Usage(None, None, None),
    "an unknown reason to finish": Finish("bored"),
    "a reason that is none": Finish(None),
}


def raise_(error: BaseException) -> None:
    raise error


RAISED: dict[str, tuple[Callable[[], Any], str]] = {
    "an exception": (lambda: 1 // 0, SAID_NOTHING),
    "a secret": (lambda: raise_(ValueError("the key is 1234")), SAID_NOTHING),
    "an exit": (lambda: sys.exit(3), SAID_NOTHING),
    "an interrupt": (lambda: raise_(KeyboardInterrupt()), SAID_NOTHING),
    "an end of iteration": (lambda: raise_(StopAsyncIteration()), SAID_NOTHING),
    "a timeout": (lambda: raise_(TimeoutError()), SAID_NOTHING),
    "a cancellation": (lambda: raise_(asyncio.CancelledError()), "The responder cancelled itself."),
    "a word to the user": (lambda: raise_(ResponderError("Too many words.")), "Too many words."),
    "no word to the user": (lambda: raise_(ResponderError()), "The responder failed."),
    "half a character": (lambda: raise_(ResponderError("a\ud83d")), "a\ufffd"),
    "a long story": (lambda: raise_(ResponderError("x" * 5000)), "x" * runner.MAX_ERROR_CHARACTERS),
}


async def wrong(prompt):
    """Yield something, and then what is no piece or an error."""
    if prompt.text == "fine":
        yield "All is well."
        return
    yield "Before. "
    if prompt.text in NO_PIECES:
        yield NO_PIECES[prompt.text]
    else:
        RAISED[prompt.text][0]()
    yield "After."


def wrong_in_thread(prompt):
    """Do the same as a plain generator."""
    yield "Before. "
    RAISED[prompt.text][0]()


@pytest.mark.parametrize("what", NO_PIECES)
async def test_what_is_no_piece_fails_the_reply_and_nothing_else(tmp_path, what):
    async with open_core(tmp_path, wrong) as core:
        reply = await core.ended(await core.ask(what))
        other = await core.ended(await core.ask("fine"))

    assert (reply.status, reply.text, reply.error.code) == ("failed", "Before. ", "responder_error")
    assert reply.error.message == SAID_NOTHING
    assert other.text == "All is well."


@pytest.mark.parametrize("source", [wrong, wrong_in_thread])
@pytest.mark.parametrize("what", RAISED)
async def test_an_error_ends_the_reply_as_failed_and_tells_only_what_it_should(tmp_path, what, source):
    async with open_core(tmp_path, source, wrong) as core:
        reply = await core.ended(await core.ask(what))
        other = await core.ended(await core.ask("fine", responder="wrong"))

    assert (reply.status, reply.text, reply.error.code) == ("failed", "Before. ", "responder_error")
    in_thread = source is wrong_in_thread and what == "a cancellation"  # there it is an error like any other
    assert reply.error.message == (SAID_NOTHING if in_thread else RAISED[what][1])
    assert reply.finish_reason is None
    assert other.status == "completed"


async def test_a_failed_reply_is_readable_after_a_restart(tmp_path):
    async with open_core(tmp_path, wrong) as core:
        asked = [await core.ask(what) for what in NO_PIECES]
        before = [await core.ended(one) for one in asked]

    async with open_core(tmp_path, wrong) as core:
        assert [await core.ended(one) for one in asked] == before


async def test_a_responder_that_is_silent_for_too_long_fails(tmp_path):
    left = asyncio.Event()

    async def silent(prompt):
        try:
            yield "Hello"
            await asyncio.Event().wait()
        finally:
            left.set()

    async with open_core(tmp_path, silent, reply_idle_seconds=0.1) as core:
        reply = await core.ended(await core.ask())

    assert (reply.status, reply.text, reply.error.code) == ("failed", "Hello", "idle")
    assert left.is_set()


async def test_a_slow_store_does_not_make_a_responder_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.05)

    async def prompt_one(prompt):
        yield "Hello"

    async with open_core(tmp_path, prompt_one, reply_idle_seconds=0.1) as core:
        asked = await core.ask()
        core.engine.full = True
        async with asyncio.timeout(WITHIN):
            for _ in range(6):  # refusals, 50 ms apart
                core.engine.refused.clear()
                await core.engine.refused.wait()
        core.engine.full = False
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("completed", "Hello")


async def test_a_responder_that_has_to_wait_for_the_store_is_not_idle(tmp_path):
    kilobyte = "x" * 1024

    async def eager(prompt):
        for _ in range(300):
            yield kilobyte

    async with open_core(tmp_path, eager, reply_idle_seconds=0.05) as core:
        asked = await core.ask()
        await core.until(asked, "running")
        core.engine.passing.clear()
        await asyncio.sleep(0.2)  # decides nothing: four times as long as the responder may be silent
        core.engine.passing.set()
        reply = await core.ended(asked)

    assert (reply.status, len(reply.text)) == ("completed", 300 * 1024)


@pytest.fixture
def quick_retry(monkeypatch) -> None:
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)


async def test_a_reply_whose_store_fails_is_interrupted_with_exactly_what_was_stored(tmp_path, quick_retry):
    go, left = asyncio.Event(), asyncio.Event()

    async def telling(prompt):
        try:
            yield "one "
            await go.wait()
            for word in ("two ", "three "):
                yield word
            await asyncio.Event().wait()
        finally:
            left.set()

    async with open_core(tmp_path, telling) as core:
        asked = await core.ask()
        await core.until_text(asked, "one ")
        core.engine.full = True
        go.set()
        await asyncio.wait_for(core.engine.refused.wait(), WITHIN)
        assert (await core.reply(asked)).text == "one "
        core.engine.full = False
        await core.stop(asked)
        reply = await core.ended(asked)
        events = await core.events(asked)

    assert (reply.text, reply.usage.partial) == ("one ", True)
    assert [event.text for event in events if isinstance(event, ReplyDelta)] == ["one "]
    assert left.is_set()


async def test_a_piece_after_a_lost_one_is_not_stored(tmp_path, quick_retry):
    go, more = asyncio.Event(), asyncio.Event()

    async def telling(prompt):
        yield "one "
        await go.wait()
        yield "two "
        await more.wait()
        yield "three "
        yield "four"

    async with open_core(tmp_path, telling) as core:
        asked = await core.ask()
        await core.until_text(asked, "one ")
        core.engine.full = True
        go.set()
        await asyncio.wait_for(core.engine.refused.wait(), WITHIN)
        core.engine.full = False
        more.set()
        reply = await core.ended(asked)

    assert (reply.status, reply.text, reply.error) == ("interrupted", "one ", None)


async def test_what_was_written_behind_a_lost_piece_is_not_stored_either(tmp_path):
    go, more, all_yielded = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def telling(prompt):
        yield "one "
        await go.wait()
        yield "two "
        await more.wait()
        yield "three"
        all_yielded.set()
        await asyncio.Event().wait()

    async with open_core(tmp_path, telling) as core:
        asked = await core.ask()
        await core.until_text(asked, "one ")
        core.engine.passing.clear()
        go.set()
        await asyncio.wait_for(core.engine.reached.wait(), WITHIN)
        more.set()
        await asyncio.wait_for(all_yielded.wait(), WITHIN)
        core.engine.full = True
        core.engine.passing.set()
        await asyncio.wait_for(core.engine.refused.wait(), WITHIN)
        core.engine.full = False
        await core.stop(asked)
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("cancelled", "one ")


async def test_an_ending_is_written_until_it_is_stored(tmp_path, quick_retry):
    go = asyncio.Event()

    async def telling(prompt):
        yield "all"
        await go.wait()

    async with open_core(tmp_path, telling) as core:
        asked = await core.ask()
        await core.until_text(asked, "all")
        core.engine.full = True
        go.set()
        async with asyncio.timeout(WITHIN):
            for _ in range(3):
                core.engine.refused.clear()
                await core.engine.refused.wait()
        core.engine.full = False
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("interrupted", "all")


async def test_who_stops_a_reply_while_the_disk_is_full_is_told_and_it_ends_once_it_can(tmp_path, quick_retry):
    async def telling(prompt):
        yield "one"
        await asyncio.Event().wait()

    async with open_core(tmp_path, telling) as core:
        asked = await core.ask()
        await core.until_text(asked, "one")
        core.engine.full = True
        with pytest.raises(NotStoring):
            await core.running.stop(asked.reply.id, within=0.05)
        core.engine.full = False
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("cancelled", "one")


async def test_nothing_is_accepted_while_the_disk_is_full(tmp_path):
    async with open_core(tmp_path, wrong) as core:
        core.engine.full = True
        with pytest.raises(NotStoring):
            await core.ask("fine")
        assert await core.engine.conversations("local", None, 10) == ([], None)

        core.engine.full = False
        assert (await core.ended(await core.ask("fine"))).status == "completed"
