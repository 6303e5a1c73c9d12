"""The rig that the state machine drives: a real log over a real database, and all that is known of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from app.errors import NotFound
from app.events import ConversationDeleted, Record
from app.history import Draft, History, fold
from app.ids import BROADCAST, Cursor, conversation_stream
from app.log import Append, Log
from app.resume import judge
from app.subscription import BEHIND, Subscription
from app.tail import Tail
from tests.support.commits import conversation
from tests.support.crashing import CrashingEngine
from tests.support.reader import Reader
from tests.support.talk import Talk

T = TypeVar("T")

WITHIN = 30.0
FAR = 12
"""How far behind a reader may be here before it is sent on to the head."""
SAID_ONCE = ("reply.delta", "message")
"""The types whose every event has a text of its own, so that a refused one can be told from its retry."""


def open_files(folder: Path) -> list[str]:
    """Return which files of a folder this process has open."""
    links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [str(name) for name in links if folder in name.parents]


class Rig:
    """What is known: `acked` numbers and their bytes by stream, `refused` bytes, and what crashes left unknown."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = folder
        self.engines: list[CrashingEngine] = []
        self.talks: dict[str, Talk] = {}
        self.readers: list[Reader] = []
        self.cursors: list[tuple[str, Cursor]] = []
        self.flights: list[tuple[Append, Talk | None]] = []
        self.epochs: dict[str, str] = {}
        self.acked: dict[str, dict[int, bytes]] = {}
        self.refused: set[bytes] = set()
        self.posted: set[str] = set()
        self.deleted: set[str] = set()
        self.run(self.open())

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call to its end, and take in what became of the appends that were under way."""
        result = self.loop.run_until_complete(asyncio.wait_for(call, WITHIN))
        self.land()
        return result

    @property
    def engine(self) -> CrashingEngine:
        return self.engines[-1]

    # Processes

    async def open(self) -> None:
        self.engines.append(CrashingEngine(self.folder))
        self.log = await Log(self.engine).__aenter__()
        self.channel = await self.log.tails.hold(BROADCAST)
        for id in sorted(self.posted - self.deleted):
            try:
                self.talks[id] = await Talk.resume(self.log, id)
            except NotFound:
                assert any(talk and talk.id == id for _, talk in self.flights), "I3: what was posted is there"
                self.deleted.add(id)
        self.flights.clear()
        await self.check_streams()

    async def close(self) -> None:
        await self.leave()
        await self.log.__aexit__(None, None, None)

    async def crash(self) -> None:
        await self.leave()
        self.log._committing.cancel()
        await asyncio.wait({self.log._committing})
        self.engine.abandon()

    async def leave(self) -> None:
        while self.readers:
            await self.disconnect(self.readers[-1])
        for talk in self.talks.values():
            talk.leave()
        self.talks.clear()
        self.log.tails.release(self.channel)

    async def refuse(self, refuses: bool) -> None:
        """Make the store refuse, or work again: then wait until the log knows, for a probe under way may yet fail."""
        await self.engine.refuse(refuses)
        async with asyncio.timeout(WITHIN):
            while not refuses and not self.log.storing:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)

    def bury(self) -> None:
        """I6: a process that has ended leaves nothing."""
        assert asyncio.all_tasks(self.loop) == set()
        self.loop.close()
        for engine in self.engines:
            engine.bury()
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("engine-")] == []
        assert open_files(self.folder) == []

    # Appends

    def fly(self, append: Append, talk: Talk | None) -> Append:
        self.flights.append((append, talk))
        return append

    async def done(self, append: Append) -> None:
        await asyncio.gather(append.committed(), return_exceptions=True)

    def land(self) -> None:
        flying = []
        for append, talk in self.flights:
            if not append._done.is_set():
                flying.append((append, talk))
            elif append.error:
                self.refused |= {record.data for record in append.records if record.type in SAID_ONCE}
                if talk and talk.id in self.talks:
                    talk.forget_uncommitted()
            else:
                self.note(append.tail, append.records)
                if talk and append.tail.history.deleted:
                    self.deleted.add(talk.id)
        self.flights = flying

    def note(self, tail: Tail, records: list[Record]) -> None:
        """I7: what a number means in an epoch never changes."""
        assert self.epochs.setdefault(tail.name, tail.epoch) == tail.epoch
        known = self.acked.setdefault(tail.name, {})
        for record in records:
            assert known.setdefault(record.seq, record.data) == record.data

    # Readers

    def connect(self, tail: Tail, after: int, pauses: int) -> None:
        async def pause() -> None:
            for _ in range(pauses):
                await asyncio.sleep(0)

        async def begin() -> Reader:
            tail.holders += 1
            return Reader(Subscription(self.engine, tail, after, far_behind=FAR), pause)

        self.readers.append(self.run(begin()))

    async def resume(self, name: str, cursor: Cursor) -> int:
        """Return where a cursor goes on. I1: it is of this epoch and never ahead, whatever crashed in between."""
        async with self.log.tails.open(name) as tail:
            verdict = judge(tail, str(cursor))
            assert verdict.reason is None, (verdict, cursor, tail.head)
            return verdict.after

    async def disconnect(self, reader: Reader) -> None:
        self.readers.remove(reader)
        await reader.leave()
        tail = reader.subscription.tail
        self.note(tail, reader.seen)
        self.cursors.append((tail.name, Cursor(tail.epoch, reader.at)))
        self.log.tails.release(tail)

    def look_at_readers(self) -> None:
        for reader in self.readers:
            if reader.task.done():
                reader.task.result()
            assert reader.at <= reader.subscription.tail.head
            self.note(reader.subscription.tail, reader.seen)

    # Checks

    @property
    def deleting(self) -> set[str]:
        """The talks whose deletion is under way: what is read of them may be gone by the next read."""
        return {talk.id for append, talk in self.flights if talk and isinstance(append.events[-1], ConversationDeleted)}

    async def check_streams(self) -> None:
        await self.check_stream(self.channel)
        for talk in self.talks.values():
            if talk.id not in self.deleted | self.deleting and not talk.tail.history.deleted:
                await self.check_conversation(talk)

    async def check_stream(self, tail: Tail) -> list[Record]:
        """I1, I3 and I7: the log is one run from 1 to its head, with everything acknowledged and nothing refused."""
        subscription, log = Subscription(self.engine, tail, 0, far_behind=None), []
        while subscription.after < tail.head:
            records = await subscription.poll()
            assert records is not BEHIND
            log += records
        assert [record.seq for record in log] == list(range(1, len(log) + 1))
        held = {record.seq: record.data for record in log}
        acked = self.acked.get(tail.name, {})
        assert {seq: held.get(seq) for seq in acked} == acked
        assert not self.refused & set(held.values())
        self.note(tail, log)
        return log

    async def check_conversation(self, talk: Talk) -> None:
        """I2, I4 and I5: folded, the log is what memory and rows hold, and every event belongs here."""
        log = await self.check_stream(talk.tail)
        history, head = History(conversation(talk.id)), len(log)
        for record in log:
            event = record.event()
            named = getattr(event, "reply_id", None) or getattr(event, "message", None) or getattr(event, "reply", None)
            if named is not None:
                assert (named if isinstance(named, str) else named.id).startswith(f"{talk.id}-"), "I5"
            fold(history, event)  # I4: raises for an event after its reply's ending
        rows = await self.engine.conversation(talk.id)
        stored = await self.engine.messages(talk.id, list(history.messages))
        if talk.tail.head != head:
            return  # something landed while the rows were read; the next check has it
        assert history.conversation() == talk.tail.history.conversation()
        if any(talk is other for _, other in self.flights):
            return  # what is under way may be in the rows, where the log has not heard of it
        assert history.conversation() == rows.conversation
        for id, message in history.messages.items():
            if isinstance(message, Draft):
                assert message.reply() == talk.standing(id)
            else:
                assert message == stored[id]

    async def check_quiet(self) -> None:
        """I6: when nobody holds a conversation in which nothing runs, it leaves memory."""
        for id in self.talks:
            self.log.tails.release(self.talks[id].tail)
        names = {conversation_stream(id) for id in self.talks}
        self.talks.clear()
        async with asyncio.timeout(WITHIN):
            while names & self.log.tails.held.keys():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)
        assert self.log.tails.held.keys() <= {BROADCAST}
        assert self.channel.holders == 1
