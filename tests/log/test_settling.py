"""The log over time: settling, what a tail lets go, deletion, and the journal that a kill leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from app import cadence
from app import log as log_module
from app.errors import NotFound
from app.events import BroadcastMessage
from app.ids import BROADCAST
from app.log import SETTLE_BYTES, SETTLE_EVERY, Log
from app.subscription import BEHIND, Subscription
from tests.support.logs import running_talk, until
from tests.support.memory import Disk, MemoryEngine

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def no_pacing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "QUIET", 0)
    monkeypatch.setattr(cadence, "BUSY", 0)


# Settling


async def test_a_conversation_in_which_nothing_runs_is_settled_and_let_go(log: Log, disk: Disk) -> None:
    talk, reply_id = await running_talk(log)
    await talk.say(reply_id, "a", "b").committed()
    assert "conversation/c" not in disk.state.blocks

    await talk.end(reply_id).committed()
    talk.leave()
    await until(lambda: not log.tails.held)

    assert [r.seq for block in disk.state.blocks["conversation/c"] for r in block] == list(range(1, 7))
    assert disk.state.journal["conversation/c"] == ()
    assert log._since == {}
    assert log._due == {}


async def test_a_conversation_in_which_a_reply_runs_is_kept_in_the_journal(log: Log, disk: Disk) -> None:
    talk, reply_id = await running_talk(log)
    for _ in range(20):
        await talk.say(reply_id, "a").committed()

    assert len(disk.state.journal["conversation/c"]) == 23
    assert "conversation/c" not in disk.state.blocks
    talk.leave()
    assert "conversation/c" in log.tails.held


async def test_a_long_reply_is_settled_while_it_runs(log: Log, disk: Disk) -> None:
    talk, reply_id = await running_talk(log)

    await talk.say(reply_id, *["x"] * SETTLE_EVERY).committed()
    await until(lambda: "conversation/c" in disk.state.blocks)
    await talk.say(reply_id, "y").committed()

    assert len(disk.state.journal["conversation/c"]) == 1
    assert talk.tail.unsettled == 1
    talk.leave()


async def test_a_few_long_messages_are_settled_as_many_short_ones_are(log: Log, disk: Disk) -> None:
    async with log.tails.open(BROADCAST) as tail:
        for _ in range(20):
            await log.append(tail, [BroadcastMessage("x" * (SETTLE_BYTES // 16))]).committed()
        await until(lambda: tail.unsettled_bytes < SETTLE_BYTES)

        assert BROADCAST in disk.state.blocks
        assert tail.unsettled < 16


async def test_much_at_once_is_settled_in_several_commits(log: Log, disk: Disk, engine: MemoryEngine) -> None:
    sizes: list[int] = []
    engine.refuse = lambda commit: sizes.extend(sum(len(r.data) for r in s.records) for s in commit.settlements)
    talk, reply_id = await running_talk(log)
    talk.say(reply_id, *["x" * (SETTLE_BYTES // 4)] * 20)

    await talk.end(reply_id).committed()
    talk.leave()
    await until(lambda: not log.tails.held)

    assert len(sizes) >= 6
    assert max(sizes[:-1]) < 1.5 * SETTLE_BYTES
    assert [r.seq for block in disk.state.blocks["conversation/c"] for r in block] == list(range(1, 25))
    assert disk.state.journal["conversation/c"] == ()
    assert log._since == {}


async def test_a_silent_stream_does_not_hold_the_journal_for_ever(
    log: Log, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SETTLE_LATE", 20)
    silent, silent_reply = await running_talk(log, "silent")
    busy, busy_reply = await running_talk(log, "busy")

    for _ in range(10):
        await busy.say(busy_reply, "a").committed()
    assert silent.tail.unsettled
    for _ in range(12):
        await busy.say(busy_reply, "a").committed()

    assert silent.tail.unsettled == 0
    assert disk.state.journal["conversation/silent"] == ()
    await silent.say(silent_reply, "and on").committed()
    assert silent.standing(silent_reply).text == "and on"
    silent.leave()
    busy.leave()


async def test_a_settlement_that_fails_is_done_later(
    log: Log, engine: MemoryEngine, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PROBE_INTERVAL", 0.01)
    talk, reply_id = await running_talk(log)
    engine.refuse = lambda commit: bool(commit.settlements)
    await talk.end(reply_id).committed()
    talk.leave()
    await until(lambda: log._put_off)
    assert disk.state.journal["conversation/c"]

    engine.refuse = lambda commit: False
    await until(lambda: "conversation/c" not in log.tails.held)

    assert disk.state.journal["conversation/c"] == ()
    assert not log._put_off


async def test_a_settlement_that_can_never_succeed_fails_no_events_and_no_other_settlement(
    log: Log, engine: MemoryEngine, disk: Disk
) -> None:
    engine.refuse = lambda commit: any(settlement.stream == "conversation/bad" for settlement in commit.settlements)
    talks = [await running_talk(log, id) for id in ("bad", "good")]

    appends = [talk.end(reply_id) for talk, reply_id in talks]
    for append in appends:
        await append.committed()
    for talk, _ in talks:
        talk.leave()
    await until(lambda: "conversation/good" not in log.tails.held)
    async with log.tails.open(BROADCAST) as tail:
        for _ in range(10):
            await log.append(tail, [BroadcastMessage("a")]).committed()

    assert log.storing
    assert disk.state.journal["conversation/good"] == ()
    assert [record.seq for record in disk.state.journal["conversation/bad"]] == [1, 2, 3, 4]


async def test_the_broadcast_channel_keeps_its_last_messages(
    log: Log, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "BROADCAST_KEPT", 2500)
    async with log.tails.open(BROADCAST) as tail:
        for _ in range(10):
            await log.append(tail, [BroadcastMessage("x")] * 1000).committed()
        await until(lambda: tail.unsettled < SETTLE_EVERY)

        stored = await engine.stream(BROADCAST)
        assert stored.first <= 7501
        assert stored.first > 10_000 - 2500 - 1024
        assert 7500 >= tail.start >= 6500
        assert await Subscription(engine, tail, 3000, far_behind=None).poll() is BEHIND
        assert (await Subscription(engine, tail, tail.start, far_behind=None).poll())[0].seq == tail.start + 1


# Deletion


async def test_a_deleted_conversation_is_gone_for_good_and_leaves_no_tail(log: Log, disk: Disk) -> None:
    talk, reply_id = await running_talk(log)
    await talk.end(reply_id).committed()

    await talk.delete().committed()
    assert talk.tail.history.deleted
    talk.leave()

    with pytest.raises(NotFound):
        await log.tails.hold("conversation/c")
    assert log.tails.held == {}
    assert log._since == {}
    assert log._due == {}
    assert "conversation/c" not in disk.state.salts


async def test_deleting_at_once_after_the_ending_does_not_break_the_settling(log: Log) -> None:
    talks = [await running_talk(log, f"c{n}") for n in range(5)]
    appends = []
    for talk, reply_id in talks:
        appends += [talk.end(reply_id), talk.delete()]
        await asyncio.sleep(0)

    for append in appends:
        await append.committed()
    for talk, _ in talks:
        talk.leave()
    assert log._since == {}, "what is gone waits for no settling"
    other, reply_id = await running_talk(log, "other")
    await other.end(reply_id).committed()
    other.leave()

    await until(lambda: not log.tails.held)
    assert log.storing
    assert log._due == {}
