"""The log under thousands of interleavings: writers, failing commits, settling, readers that come, lag and go.

One seed is one interleaving, by `tests.support.scheduler`; all numbers of the log are small, so that every path is
taken often. Each run asserts G3, I1, I2, I4, I6 and I7, and that no wake-up is lost.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from app import log as log_module
from app import subscription as subscription_module
from app import tail as tail_module
from app.engine.base import Commit
from app.errors import NotFound, NotStoring
from app.events import BroadcastMessage, Record
from app.history import History, fold
from app.ids import BROADCAST
from app.log import Append, Log
from app.subscription import Subscription
from tests.support import memory
from tests.support.commits import conversation
from tests.support.memory import Disk, MemoryEngine
from tests.support.reader import Reader, at_once
from tests.support.scheduler import naming, run_seeded
from tests.support.talk import Talk

SEEDS = 1600
CHUNKS = 8


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in [
        (log_module, "SETTLE_EVERY", 7),
        (log_module, "SETTLE_LATE", 10),
        (tail_module, "WINDOW", 4),
        (subscription_module, "READ_AT_ONCE", 4),
        (memory, "BLOCK", 3),
    ]:
        monkeypatch.setattr(module, name, value)


class Run:
    """One run; `said` are the texts of each reply that were acknowledged, in order."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.disk = Disk()
        self.engine = MemoryEngine(self.disk, self.pause)
        self.said: dict[str, str] = {}
        self.refusals = chance.choice([0.0, 0.0, 0.1, 0.3])
        self.readers: list[Reader] = []
        self.names = [BROADCAST]
        self.deleted: set[str] = set()

    async def pause(self) -> None:
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(0)

    def refuse(self, commit: Commit) -> bool:
        return self.chance.random() < self.refusals

    async def main(self) -> None:
        async with Log(self.engine) as log:
            self.engine.refuse = self.refuse
            writers = [self.talk(log, f"c{n}") for n in range(self.chance.randrange(1, 3))]
            await asyncio.gather(*writers, self.broadcast(log), self.come_and_go(log))
            self.refusals = 0.0
            async with log.tails.open(BROADCAST) as tail:
                await log.append(tail, [BroadcastMessage("the last")]).committed()
            await self.see_off_readers()
            await self.quiet(log)
            await self.check_talks(log)
        assert not self.disk.owned

    # Writers

    async def talk(self, log: Log, id: str) -> None:
        talk = await self.persist(lambda: Talk.begin(log, id))
        self.names.append(talk.tail.name)
        for _ in range(self.chance.randrange(1, 3)):
            for reply_id in list(talk.drafts):
                await self.write(talk, reply_id)
            if self.chance.random() < 0.5:
                await self.persist(lambda: self.retry(talk, talk.ask))
        for reply_id in list(talk.drafts):
            await self.write(talk, reply_id)
        if self.chance.random() < 0.3:
            await self.persist(lambda: self.retry(talk, talk.delete))
            self.deleted.add(talk.tail.name)
        talk.leave()

    async def write(self, talk: Talk, reply_id: str) -> None:
        """Do what a runner does: say things without waiting, and end where the log stands when one was not stored."""
        self.said[reply_id] = ""
        await self.persist(lambda: self.retry(talk, lambda: talk.start(reply_id)))
        appends: list[tuple[Append, str]] = []
        for n in range(self.chance.randrange(12)):
            if appends and appends[-1][0].error:
                break
            text = f"{n} "
            appends.append((talk.say(reply_id, text), text))
            await self.pause()
        failed = False
        for append, text in appends:
            try:
                await append.committed()
            except NotStoring:
                failed = True
            else:
                assert not failed, "what follows a text that was not stored is not stored either"
                self.said[reply_id] += text
        if failed:
            talk.forget_uncommitted()
        await self.persist(lambda: self.retry(talk, lambda: talk.end(reply_id)))

    async def broadcast(self, log: Log) -> None:
        async with log.tails.open(BROADCAST) as tail:
            for n in range(self.chance.randrange(15)):
                append = log.append(tail, [BroadcastMessage(str(n))])
                if self.chance.random() < 0.5:
                    await asyncio.gather(append.committed(), return_exceptions=True)
                await self.pause()

    async def retry(self, talk: Talk, append: object) -> None:
        try:
            await append().committed()
        except NotStoring:
            talk.forget_uncommitted()
            raise

    async def persist(self, attempt: object) -> object:
        while True:
            try:
                return await attempt()
            except NotStoring:
                await self.pause()

    # Readers

    async def come_and_go(self, log: Log) -> None:
        for _ in range(self.chance.randrange(1, 6)):
            name = self.chance.choice(self.names)
            try:
                tail = await log.tails.hold(name)
            except NotFound:
                continue
            after = self.chance.randrange(tail.start, tail.head + 1)
            subscription = Subscription(self.engine, tail, after, far_behind=self.chance.choice([None, 10]))
            self.readers.append(Reader(subscription, self.chance.choice([self.pause, at_once]), self.chance))
            for _ in range(self.chance.randrange(4)):
                await self.pause()
            if self.chance.random() < 0.3:
                await self.chance.choice(self.readers).leave()

    async def see_off_readers(self) -> None:
        for reader in self.readers:
            tail = reader.subscription.tail
            if not reader.task.done():
                await reader.reach(tail.head)
            await reader.leave()
            if tail.name not in self.deleted:
                log = self.stored(tail.name)
                assert reader.seen == [log[record.seq - 1] for record in reader.seen], "I1, I7"

    async def quiet(self, log: Log) -> None:
        """I6: when nobody reads or writes, no conversation is in memory."""
        for reader in self.readers:
            log.tails.release(reader.subscription.tail)
        await asyncio.sleep(2 * log_module.PROBE_INTERVAL)  # what could not be settled is tried again by then
        for _ in range(2000):
            if not log.tails.held.keys() - {BROADCAST}:
                break
            await asyncio.sleep(0)
        assert not log.tails.held.keys() - {BROADCAST}
        assert not {tail.name for tail in log._since} - {BROADCAST}
        assert not log._due.keys() - {BROADCAST}

    # What is stored

    def stored(self, name: str) -> list[Record]:
        state = self.disk.state
        found = [record for block in state.blocks.get(name, ()) for record in block]
        found += state.journal.get(name, ())
        assert [record.seq for record in found] == list(range(1, len(found) + 1)), "G3"
        return found

    async def check_talks(self, log: Log) -> None:
        for name in self.names[1:]:
            id = name.partition("/")[2]
            if name in self.deleted:
                assert await self.engine.conversation(id) is None
                continue
            history = History(conversation(id))
            for record in self.stored(name):
                fold(history, record.event())  # I4: raises for an event after its reply's ending
            rows = await self.engine.conversation(id)
            assert history.conversation() == rows.conversation
            assert history.running == []
            for reply_id in (m.id for m in history.messages.values() if m.role == "assistant"):
                assert history.messages[reply_id].text == self.said[reply_id], "I2"
                whole = await self.engine.messages(id, [reply_id])
                assert whole[reply_id] == history.messages[reply_id]
            async with log.tails.open(name) as tail:
                assert tail.history.conversation() == rows.conversation


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_interleaving_keeps_the_invariants(chunk: int) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        with naming(seed):
            run_seeded(seed, Run(Random(seed)).main())
