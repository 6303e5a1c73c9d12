"""The log: numbers, group commit, failures, and what it keeps in memory."""

from __future__ import annotations

import asyncio

import pytest

from app.cadence import FULL, QUIET
from app.engine.base import Commit
from app.errors import NotFound, NotStoring
from app.events import BroadcastMessage, ReplyStarted
from app.ids import BROADCAST
from app.log import Log
from app.subscription import Subscription
from tests.support.commits import NOW
from tests.support.logs import Gate, once, say, texts
from tests.support.memory import Disk, MemoryEngine
from tests.support.reader import Reader
from tests.support.scheduler import run_seeded
from tests.support.talk import Talk

pytestmark = pytest.mark.timeout(60)


# Numbers, and publishing after the commit


async def test_events_are_numbered_from_one_without_holes(log: Log) -> None:
    async with log.tails.open(BROADCAST) as tail:
        first = log.append(tail, say("a") + say("b"))
        second = log.append(tail, say("c"))
        await second.committed()

        assert (first.first, second.first, tail.head) == (1, 3, 3)
        assert [record.seq for record in tail.after(0)] == [1, 2, 3]


async def test_nothing_is_readable_before_it_is_committed(log: Log, engine: MemoryEngine, gate: Gate) -> None:
    async with log.tails.open(BROADCAST) as tail:
        reader = Reader(Subscription(engine, tail, 0))
        gate.shut()
        append = log.append(tail, say("a"))
        await gate.reached.wait()

        assert tail.head == 0
        assert reader.seen == []

        gate.open()
        await append.committed()
        await reader.reach(1)
        assert texts(engine) == ["a"]
        await reader.leave()


async def test_what_was_appended_is_readable_when_committed_returns(log: Log) -> None:
    async with log.tails.open(BROADCAST) as tail:
        append = log.append(tail, say("a"))
        await append.committed()

        assert tail.after(append.first - 1)[0].event() == BroadcastMessage("a")


async def test_an_append_of_rows_alone_takes_no_number(log: Log) -> None:
    async with log.tails.open(BROADCAST) as tail:
        await log.append(tail, ()).committed()

        await (append := log.append(tail, say("a"))).committed()

        assert append.first == 1


# Group commit


async def test_everything_appended_while_a_commit_runs_shares_the_next_one(
    log: Log, engine: MemoryEngine, gate: Gate
) -> None:
    talks = [await Talk.begin(log, f"c{n}") for n in range(5)]
    engine.commits.clear()
    gate.shut()
    first = talks[0].rename("A")
    await gate.reached.wait()
    behind = [talk.rename("B") for talk in talks for _ in range(3)]

    gate.open()
    await asyncio.gather(first.committed(), *(append.committed() for append in behind))

    assert [len(commit.entries) for commit in engine.commits] == [1, 15]
    for talk in talks:
        talk.leave()


def test_a_quiet_log_commits_at_once_and_a_busy_one_every_few_milliseconds() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        engine = MemoryEngine(Disk())
        waits: list[float] = []

        async def write() -> None:
            for _ in range(50):
                began = loop.time()
                await log.append(tail, say()).committed()
                waits.append(loop.time() - began)
                await asyncio.sleep(QUIET / 7)

        async with Log(engine) as log, log.tails.open(BROADCAST) as tail:
            await asyncio.sleep(1)
            began, before = loop.time(), len(engine.commits)
            await log.append(tail, say()).committed()
            assert loop.time() == began, "nobody waits on a quiet log"
            for _ in range(FULL):
                await log.append(tail, say()).committed()
            assert loop.time() - began <= QUIET * 1.01, "one after another is quiet enough"

            await asyncio.gather(*(write() for _ in range(20)))
            took = loop.time() - began

        commits = len(engine.commits) - before
        assert max(waits) <= QUIET * 1.01, "a busy log keeps nobody waiting longer than a turn"
        assert took / QUIET * 0.9 <= commits <= took / QUIET + 2 * FULL

    run_seeded(1, main())


async def test_a_waiter_that_is_cancelled_takes_neither_the_commit_nor_others_with_it(
    log: Log, engine: MemoryEngine, gate: Gate
) -> None:
    async with log.tails.open(BROADCAST) as tail:
        gate.shut()
        append = log.append(tail, say("a"))
        waiters = [asyncio.create_task(append.committed()) for _ in range(2)]
        await gate.reached.wait()
        waiters[0].cancel()
        await asyncio.wait({waiters[0]})

        gate.open()
        await waiters[1]

        assert texts(engine) == ["a"]


# Failures


async def test_a_failed_commit_raises_publishes_nothing_and_takes_no_number(log: Log, engine: MemoryEngine) -> None:
    async with log.tails.open(BROADCAST) as tail:
        reader = Reader(Subscription(engine, tail, 0))
        engine.refuse = once()

        with pytest.raises(NotStoring):
            await log.append(tail, say("lost")).committed()
        assert tail.head == 0
        assert not log.storing
        await (append := log.append(tail, say("kept"))).committed()

        assert append.first == 1
        assert log.storing
        await reader.reach(1)
        assert [record.event().text for record in reader.seen] == ["kept"] == texts(engine)
        await reader.leave()


async def test_a_failed_commit_fails_everything_appended_behind_it(log: Log, engine: MemoryEngine, gate: Gate) -> None:
    talk = await Talk.begin(log, "c")
    (reply_id,) = talk.drafts
    await talk.start(reply_id).committed()
    engine.refuse = once()
    gate.shut()
    appends = [talk.say(reply_id, "one ")]
    await gate.reached.wait()
    appends += [talk.say(reply_id, "two "), talk.say(reply_id, "three ")]

    gate.open()
    results = await asyncio.gather(*(append.committed() for append in appends), return_exceptions=True)

    assert [type(result) for result in results] == [NotStoring] * 3
    assert talk.standing(reply_id).text == "", "a text with a hole in it is worse than none"
    talk.forget_uncommitted()
    await talk.say(reply_id, "four").committed()
    assert talk.standing(reply_id).text == "four"
    talk.leave()


async def test_an_engine_that_breaks_its_contract_does_not_end_the_log(
    log: Log, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(commit: Commit) -> bool:
        engine.refuse = lambda commit: False
        raise RuntimeError("secret")

    engine.refuse = explode
    async with log.tails.open(BROADCAST) as tail:
        with pytest.raises(NotStoring) as failed:
            await log.append(tail, say("lost")).committed()
        await log.append(tail, say("kept")).committed()

    assert "secret" not in str(failed.value)
    assert "secret" in caplog.text
    assert texts(engine) == ["kept"]


async def test_an_event_that_cannot_be_written_fails_its_caller_and_nobody_else(log: Log, engine: MemoryEngine) -> None:
    async with log.tails.open(BROADCAST) as tail:
        first = log.append(tail, say("first"))
        with pytest.raises(UnicodeEncodeError):
            log.append(tail, say("\ud800"))
        second = log.append(tail, say("second"))

        await asyncio.gather(first.committed(), second.committed())

        assert tail.holders == 1
    assert texts(engine) == ["first", "second"]


async def test_a_conversation_that_could_not_be_stored_is_not_there(log: Log, engine: MemoryEngine) -> None:
    engine.refuse = once()

    with pytest.raises(NotStoring):
        await Talk.begin(log, "c")

    with pytest.raises(NotFound):
        await log.tails.hold("conversation/c")
    assert log.tails.held == {}


# A mistake of ours


async def test_a_log_that_cannot_trust_its_memory_takes_nothing_more(engine: MemoryEngine) -> None:
    async with Log(engine) as log:
        talk = await Talk.begin(log, "c")
        impossible = log.append(talk.tail, [ReplyStarted("a reply that was never created", NOW)])
        await impossible.committed()

        later = log.append(talk.tail, [ReplyStarted("any", NOW)])

        with pytest.raises(NotStoring):
            await later.committed()
        assert not log.storing
        talk.leave()
