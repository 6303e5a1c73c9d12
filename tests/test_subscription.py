"""Subscriptions: one reader, then readers under thousands of interleavings."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from app import subscription as subscription_module
from app import tail as tail_module
from app.api.stream import Watch
from app.engine.base import Settlement
from app.events import BroadcastMessage, Record
from app.subscription import BEHIND, FAR_BEHIND, Subscription
from app.tail import Batch, Tail
from tests.support.commits import commit, new_stream, records
from tests.support.memory import Disk, MemoryEngine
from tests.support.reader import Reader, at_once
from tests.support.scheduler import naming, run_seeded

SEEDS = 4000
CHUNKS = 8


async def stored(last: int, **more: int) -> tuple[MemoryEngine, Tail]:
    """Return a stream of settled events whose tail holds none of them."""
    engine = MemoryEngine(Disk())
    await engine.claim()
    await engine.commit(commit(new_stream("s", last)))
    await engine.commit(commit(settle=[Settlement("s", records(1, last), more.get("keep_from", 0))]))
    return engine, Tail("s", "epoch", start=more.get("start", 0), settled=last)


# One reader


async def test_at_the_head_there_is_nothing_to_read() -> None:
    engine, tail = await stored(5)

    assert list(await Subscription(engine, tail, 5).poll()) == []


async def test_the_window_is_read_without_the_engine() -> None:
    tail = Tail("s", "epoch", settled=5, records=records(6, 9))
    subscription = Subscription(None, tail, 6)

    assert list(await subscription.poll()) == records(7, 9)
    assert subscription.after == 9


async def test_below_the_window_the_engine_is_read_in_batches_up_to_the_head() -> None:
    engine, tail = await stored(4000)
    subscription = Subscription(engine, tail, 0)
    batches = []

    while batch := await subscription.poll():
        batches.append(batch)

    assert [record for batch in batches for record in batch] == records(1, 4000)
    assert len(batches) == 4


async def test_a_cursor_at_the_limit_is_served_and_one_beyond_it_is_behind() -> None:
    engine, tail = await stored(FAR_BEHIND + 10)

    assert (await Subscription(engine, tail, 10).poll())[0].seq == 11
    assert await Subscription(engine, tail, 9).poll() is BEHIND


async def test_who_asks_for_the_whole_log_is_never_too_far_behind() -> None:
    engine, tail = await stored(FAR_BEHIND + 10)

    assert (await Subscription(engine, tail, 0, far_behind=None).poll())[0].seq == 1


async def test_a_cursor_below_the_first_kept_event_is_behind() -> None:
    engine, tail = await stored(100, start=50)

    assert await Subscription(engine, tail, 49, far_behind=None).poll() is BEHIND
    assert (await Subscription(engine, tail, 50, far_behind=None).poll())[0].seq == 51


async def test_events_that_went_while_they_were_asked_for_are_behind_and_not_waited_for() -> None:
    engine, tail = await stored(100)
    engine.disk.state = Disk().state  # dropped by a deletion

    assert await Subscription(engine, tail, 7).poll() is BEHIND


async def test_an_answer_that_begins_later_than_asked_is_behind() -> None:
    engine, tail = await stored(3000, keep_from=2500)  # blocks of 1024: the first two are gone

    assert await Subscription(engine, tail, 7, far_behind=None).poll() is BEHIND


async def test_a_subscriber_at_the_head_waits_for_the_next_event() -> None:
    tail = Tail("s", "epoch", records=records(1, 2))
    reader = Reader(Subscription(None, tail, 2))
    await asyncio.sleep(0)

    tail.publish(records(3, 4), [BroadcastMessage("")] * 2)
    tail.wake()
    await asyncio.wait_for(reader.reach(4), 5)

    assert reader.seen == records(3, 4)
    await reader.leave()


async def test_all_subscribers_share_the_same_records() -> None:
    tail = Tail("s", "epoch", records=records(1, 2))

    one, two = [await Subscription(None, tail, 0).poll() for _ in range(2)]

    assert all(a is b for a, b in zip(one, two, strict=True))


# Interleavings


@pytest.fixture(autouse=True)
def small_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "chunk" in request.fixturenames:
        monkeypatch.setattr(tail_module, "WINDOW", 5)
        monkeypatch.setattr(subscription_module, "READ_AT_ONCE", 4)


class Stream:
    """A tail and its blocks, written by hand: every step of the log, with any number of turns between them."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.tail = Tail("s", "epoch")
        self.log: list[Record] = []
        self.blocks: list[list[Record]] = []

    async def pause(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def read(self, stream: str, after: int, limit: int) -> list[Record]:
        await self.pause()
        found = []
        for block in self.blocks:
            found += [record for record in block if record.seq > after]
            if len(found) >= limit:
                break
        await self.pause()
        return found

    def append(self) -> None:
        new = records(len(self.log) + 1, len(self.log) + self.chance.randrange(1, 6))
        self.log += new
        self.tail.publish(new, [BroadcastMessage("")] * len(new))
        self.tail.announce(new)

    def settle(self) -> None:
        if self.tail.unsettled:
            self.blocks.append(list(self.tail.unsettled_records()))
            self.tail.settle(self.blocks[-1][-1].seq)

    def drop(self) -> None:
        if len(self.blocks) > 2:
            del self.blocks[0]
            self.tail.start = max(self.tail.start, self.blocks[0][0].seq - 1)


async def scenario(chance: Random) -> None:
    stream = Stream(chance)
    drops = chance.random() < 0.3
    readers: list[Reader] = []

    async def write() -> None:
        for _ in range(chance.randrange(4, 20)):
            steps = [stream.append, stream.append, stream.settle, *([stream.drop] if drops else [])]
            chance.choice(steps)()
            await stream.pause()

    async def come_and_go() -> None:
        for _ in range(chance.randrange(1, 5)):
            after = chance.randrange(stream.tail.head + 1)
            far_behind = chance.choice([None, None, 12])
            subscription = Subscription(stream, stream.tail, after, far_behind=far_behind)
            readers.append(Reader(subscription, chance.choice([stream.pause, at_once]), chance))
            await stream.pause()
            if chance.random() < 0.3:
                await chance.choice(readers).leave()

    await asyncio.gather(write(), come_and_go())

    for reader in readers:
        if not reader.task.done():
            await reader.reach(stream.tail.head)
        await reader.leave()
        assert reader.seen == [stream.log[record.seq - 1] for record in reader.seen]
        if not drops and reader.subscription._far_behind is None:
            assert not reader.jumps, "nothing was dropped, so nobody is behind"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_interleaving_gives_every_reader_one_unbroken_run(chunk: int) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        with naming(seed):
            run_seeded(seed, scenario(Random(seed)))


def test_the_scheduler_finds_a_wake_up_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener without room that does not wake its loop."""

    def take_or_leave(self: Watch, batch: Batch) -> None:
        if self._stream.wire.has_room:
            take(self, batch)

    take = Watch.take
    monkeypatch.setattr(Watch, "take", take_or_leave)
    found = 0
    for seed in range(100):
        try:
            run_seeded(seed, scenario(Random(seed)))
        except AssertionError:
            found += 1
    assert found
