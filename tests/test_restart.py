"""What a drain, a crash and the next start make of the replies that have not ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from app.errors import Draining
from app.events import ReplyStarted
from tests.support.core import WITHIN, open_core
from tests.support.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def quick(prompt):
    yield prompt.text


# Drain


async def test_a_server_that_drains_takes_nothing_new_and_lets_what_runs_end(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        await core.until_text(asked, "a ")
        draining = asyncio.create_task(core.running.drain(WITHIN, asyncio.Event()))
        await core.running.draining.wait()
        with pytest.raises(Draining):
            await core.ask("b")

        stage.cue("a")
        await draining

        assert (await core.ended(asked)).status == "completed"


async def test_what_runs_when_the_drain_time_is_up_is_interrupted(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        await core.until_text(asked, "a ")

        await core.running.drain(0.01, asyncio.Event())

        reply = await core.ended(asked)
        assert (reply.status, reply.text, reply.usage.partial) == ("interrupted", "a ", True)
        assert stage.on == 0


async def test_a_second_signal_ends_the_drain_at_once(tmp_path, stage):
    hurry = asyncio.Event()
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        await core.until_text(asked, "a ")
        draining = asyncio.create_task(core.running.drain(3600, hurry))
        await core.running.draining.wait()

        hurry.set()
        await asyncio.wait_for(draining, WITHIN)

        assert (await core.ended(asked)).status == "interrupted"


async def test_a_drain_leaves_alone_what_has_not_started_and_the_next_start_runs_it(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        first = await core.ask("a")
        await core.until_text(first, "a ")
        second = await core.follow(first, "b", if_running="queue")
        await core.running.drain(0, asyncio.Event())
        assert (await core.ended(first)).status == "interrupted"
        assert (await core.reply(second)).status == "accepted"

    stage.cue("b")
    async with open_core(tmp_path, stage) as core:
        assert (await core.ended(second)).status == "completed"
        assert stage.order == ["a", "b"]


async def test_a_reply_whose_start_is_not_stored_stays_accepted_over_a_drain(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        core.engine.full = True
        await asyncio.wait_for(core.engine.refused.wait(), WITHIN)
        core.engine.full = False  # so that an ending would be stored
        await core.running.drain(0, asyncio.Event())
        assert (await core.reply(asked)).status == "accepted"
        assert not any(isinstance(event, ReplyStarted) for event in await core.events(asked))

    stage.cue("a")
    async with open_core(tmp_path, stage) as core:
        assert (await core.ended(asked)).status == "completed"
        assert stage.order == ["a"]


# Restart


async def test_a_reply_that_was_running_ends_interrupted_after_a_restart(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        await core.until_text(asked, "a ")
        core.crash()

    async with open_core(tmp_path, stage) as core:
        reply = await core.ended(asked)

    assert (reply.status, reply.text, reply.finish_reason, reply.error) == ("interrupted", "a ", None, None)
    assert reply.usage.partial
    assert stage.order == ["a"]


async def test_replies_that_were_accepted_start_after_a_restart_in_order_and_within_the_limit(tmp_path, stage):
    names = ["b", "c", "d", "e"]
    async with open_core(tmp_path, stage) as core:
        first = [await core.ask("a") for _ in names]
        later = [await core.follow(one, name, if_running="queue") for one, name in zip(first, names, strict=True)]
        for one in first:
            await core.until_text(one, "a ")
        core.crash()

    stage.order.clear()
    stage.most = 0
    async with open_core(tmp_path, stage, max_running=1) as core:
        assert [(await core.ended(one)).status for one in first] == ["interrupted"] * 4
        await core.until_text(later[0], "b ")
        for name in names:
            stage.cue(name)
        assert [(await core.ended(one)).text for one in later] == ["b done", "c done", "d done", "e done"]

    assert stage.order == names
    assert stage.most == 1


async def accepted_and_left(folder: Any, source: Callable[..., Any], **fields: Any) -> Any:
    """Return a prompt whose reply did not start before its server ended."""
    async with open_core(folder, source) as core:
        asked = await core.ask("a", **fields)
        core.engine.full = True
        await core.running.drain(0, asyncio.Event())
        return asked


async def test_a_reply_whose_responder_is_gone_after_a_restart_says_so(tmp_path, stage):
    asked = await accepted_and_left(tmp_path, stage)

    async with open_core(tmp_path, quick) as core:
        reply = await core.ended(asked)
        assert (reply.status, reply.error.code) == ("failed", "unknown_responder")
        assert (await core.ended(await core.ask("Hello"))).text == "Hello"


async def test_a_reply_whose_options_are_not_valid_any_more_says_so(tmp_path):
    class Early:
        __name__ = "answer"

        class Options(msgspec.Struct):
            words: int = 1

        async def __call__(self, prompt):
            yield "early"

    class Late(Early):
        class Options(msgspec.Struct):
            letters: int = 1

    asked = await accepted_and_left(tmp_path, Early(), options={"words": 3})

    async with open_core(tmp_path, Late()) as core:
        reply = await core.ended(asked)

    assert (reply.status, reply.text) == ("failed", "")
    assert reply.error.message.startswith("The options of this reply are not valid any more: ")
