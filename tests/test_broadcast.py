"""The broadcast channel: what is said to everybody, and who has joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app import broadcast
from app.broadcast import Broadcast, join_notice
from app.errors import Draining, Invalid, NotStoring, TooLarge
from app.events import BroadcastMessage
from app.idempotency import Answers, Key
from app.ids import BROADCAST
from app.settings import Settings
from tests.support.core import WITHIN, Core, open_core


async def echo(prompt):
    yield prompt.text


@pytest.fixture
async def core(tmp_path) -> AsyncIterator[Core]:
    async with open_core(tmp_path, echo) as core:
        yield core


@pytest.fixture
async def channel(core) -> AsyncIterator[Broadcast]:
    async with core.log.tails.open(BROADCAST) as tail:
        yield Broadcast(core.log, tail, core.running, Answers(core.engine), Settings(max_broadcast_bytes=20))


def said(channel: Broadcast) -> list[str]:
    records = channel.tail.after(0)
    assert records is not None
    events = [record.event() for record in records]
    return [event.text for event in events if isinstance(event, BroadcastMessage)]


@pytest.mark.parametrize(
    "text", ["Hello, all", "", "\r\n\n\r", "event: x\nid: 1\n\n", "\u2028\x85\x1c", "x" * 20, "👋" * 5]
)
async def test_a_message_is_in_the_log_as_it_was_sent_when_it_was_said(channel, text):
    again = await channel.say(text)

    assert said(channel) == [text]
    assert not again


@pytest.mark.parametrize("text", ["\0", "Hello\0all"])
async def test_nul_is_refused(channel, text):
    with pytest.raises(Invalid) as refused:
        await channel.say(text)

    assert refused.value.path == "message"
    assert said(channel) == []


@pytest.mark.parametrize("text", ["x" * 21, "é" * 11, "👋" * 5 + "!"])
async def test_a_message_over_the_limit_in_bytes_is_refused(channel, text):
    with pytest.raises(TooLarge):
        await channel.say(text)

    assert said(channel) == []


async def test_messages_are_numbered_in_the_order_in_which_they_were_said(channel):
    await asyncio.gather(*(channel.say(str(number)) for number in range(20)))

    assert said(channel) == [str(number) for number in range(20)]
    assert channel.tail.head == 20


async def test_a_message_with_a_key_is_said_once(channel):
    key = Key.of("local", "POST", "/send-message", "once", b"x")

    answers = [await channel.say("Hello", key) for _ in range(3)]

    assert answers == [False, True, True]
    assert said(channel) == ["Hello"]


async def test_a_message_that_was_not_stored_was_not_said(core, channel):
    core.engine.full = True
    with pytest.raises(NotStoring):
        await channel.say("lost")
    core.engine.full = False

    await channel.say("kept")

    assert said(channel) == ["kept"]
    assert channel.tail.head == 1


async def test_a_server_that_drains_takes_no_messages_but_knows_those_that_it_took(core, channel):
    key = Key.of("local", "POST", "/send-message", "once", b"x")
    await channel.say("before", key)
    await core.running.drain(0, asyncio.Event())

    with pytest.raises(Draining):
        await channel.say("after")

    assert await channel.say("before", key)
    assert said(channel) == ["before"]


async def test_messages_are_there_after_a_restart(tmp_path):
    for text in ("one", "two"):
        async with open_core(tmp_path, echo) as core, core.log.tails.open(BROADCAST) as tail:
            channel = Broadcast(core.log, tail, core.running, Answers(core.engine), Settings())
            await channel.say(text)
            heard, epoch = said(channel), tail.epoch

    assert heard == ["one", "two"]
    async with open_core(tmp_path, echo) as core, core.log.tails.open(BROADCAST) as tail:
        assert tail.epoch == epoch


async def test_joins_that_come_together_are_told_together_and_are_not_in_the_log(channel):
    woken = channel.tail.changed
    for _ in range(500):
        channel.join()
    assert channel.told == 0

    await asyncio.wait_for(woken.wait(), WITHIN)

    assert channel.told == 500
    assert said(channel) == []


async def test_a_join_after_a_notice_is_told_by_the_next_one(channel):
    for joins in (1, 2):
        woken = channel.tail.changed
        channel.join()
        await asyncio.wait_for(woken.wait(), WITHIN)
        assert channel.told == joins


def test_a_notice_says_how_many_joined():
    assert join_notice(1) == "A new user joined!"
    assert join_notice(3) == "3 new users joined!"
    assert broadcast.JOINS_TOLD_EVERY < 1
