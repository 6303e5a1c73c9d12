"""The log's tails: who brings one into memory, how long it stays, and what is left when the log ends."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import NotFound, NotStoring
from app.ids import BROADCAST
from app.log import Log
from tests.support.logs import Gate, say, texts
from tests.support.memory import MemoryEngine
from tests.support.talk import Talk

pytestmark = pytest.mark.timeout(60)


# Tails in memory


async def test_an_unknown_stream_is_not_found_and_leaves_nothing(log: Log) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await log.tails.hold("conversation/x")

    assert log.tails.held == {}
    assert len(log.tails._loading) == 0


async def test_two_opens_of_a_cold_stream_give_one_tail(log: Log, gate: Gate) -> None:
    gate.shut()
    opening = [asyncio.create_task(log.tails.hold(BROADCAST)) for _ in range(5)]
    await gate.reached.wait()

    gate.open()
    tails = await asyncio.gather(*opening)

    assert len({id(tail) for tail in tails}) == 1
    assert tails[0].holders == 5


async def test_an_open_that_is_cancelled_leaves_the_loading_to_the_next(log: Log, gate: Gate) -> None:
    gate.shut()
    opening = [asyncio.create_task(log.tails.hold(BROADCAST)) for _ in range(3)]
    await gate.reached.wait()
    opening[0].cancel()
    await asyncio.wait({opening[0]})

    gate.open()
    tails = await asyncio.gather(*opening[1:])

    assert tails[0] is tails[1]
    assert tails[0].holders == 2


async def test_a_tail_stays_while_somebody_holds_it_and_goes_with_the_last(log: Log) -> None:
    one, two = await log.tails.hold(BROADCAST), await log.tails.hold(BROADCAST)

    log.tails.release(one)
    assert log.tails.held == {BROADCAST: two}

    log.tails.release(two)
    assert log.tails.held == {}


async def test_a_tail_with_events_that_are_not_settled_stays_although_nobody_holds_it(log: Log) -> None:
    async with log.tails.open(BROADCAST) as tail:
        await log.append(tail, say("a")).committed()

    async with log.tails.open(BROADCAST) as again:
        assert again is tail
        assert again.head == 1


async def test_an_append_holds_its_tail_until_it_is_committed(log: Log, gate: Gate) -> None:
    tail = await log.tails.hold(BROADCAST)
    gate.shut()
    append = log.append(tail, say("a"))
    log.tails.release(tail)

    assert tail.holders == 1
    gate.open()
    await append.committed()
    assert tail.holders == 0


async def test_waking_all_wakes_every_stream(log: Log) -> None:
    talk = await Talk.begin(log, "c")
    async with log.tails.open(BROADCAST) as tail:
        armed = [tail.changed, talk.tail.changed]

        log.tails.wake_all()

        assert [event.is_set() for event in armed] == [True, True]
    talk.leave()


# The end


async def test_closing_commits_what_was_appended(engine: MemoryEngine) -> None:
    async with Log(engine) as log, log.tails.open(BROADCAST) as tail:
        append = log.append(tail, say("a"))

    await append.committed()
    assert texts(engine) == ["a"]
    assert not engine.disk.owned


async def test_closing_fails_what_the_store_does_not_take(engine: MemoryEngine) -> None:
    async with Log(engine) as log, log.tails.open(BROADCAST) as tail:
        engine.refuse = lambda commit: True
        append = log.append(tail, say("a"))

    with pytest.raises(NotStoring):
        await append.committed()
    assert not engine.disk.owned


async def test_closing_leaves_no_task(engine: MemoryEngine) -> None:
    before = asyncio.all_tasks()

    async with Log(engine) as log, log.tails.open(BROADCAST) as tail:
        await log.append(tail, say("a")).committed()

    assert asyncio.all_tasks() == before
