"""The log and the SQLite engine against what is known of them: any order of writing, reading, failing and crashing."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app import cadence
from app import log as log_module
from app import subscription as subscription_module
from app import tail as tail_module
from app.engine import blocks, queries
from app.errors import NotFound, NotStoring
from app.events import BroadcastMessage
from app.ids import conversation_stream
from tests.support.machine import Rig
from tests.support.talk import Talk

MOST_TALKS = 4

picks = st.integers(0, 2**16)


class LogMachine(RuleBasedStateMachine):
    """Picks are numbers, taken modulo what there is: so every example can be run whatever happened before."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self.temporary.name))
        self.failing = False
        self.count = 0

    def teardown(self) -> None:
        rig = self.rig
        try:
            rig.run(self.finish())
            rig.run(rig.close())
            rig.bury()
        finally:
            self.temporary.cleanup()

    async def finish(self) -> None:
        await self.rig.refuse(False)
        for append, _ in list(self.rig.flights):
            await self.rig.done(append)
        self.rig.land()
        for talk in self.live_talks():
            for reply_id in list(talk.drafts):
                await self.rig.fly(talk.end(reply_id, "cancelled"), talk).committed()
        self.rig.land()
        for reader in list(self.rig.readers):
            await reader.reach(reader.subscription.tail.head)
            await self.rig.disconnect(reader)
        await self.rig.check_streams()
        await self.rig.check_quiet()

    def live_talks(self) -> list[Talk]:
        gone = self.rig.deleted | self.rig.deleting
        return [talk for id, talk in sorted(self.rig.talks.items()) if id not in gone]

    def pick_reply(self, pick: int, status: str | None = None) -> tuple[Talk, str] | None:
        replies = [
            (talk, id)
            for talk in self.live_talks()
            for id, draft in talk.drafts.items()
            if status is None or draft.status == status
        ]
        return replies[pick % len(replies)] if replies else None

    def append(self, append: object, talk: Talk | None, waits: bool) -> None:
        self.rig.fly(append, talk)
        self.rig.run(self.rig.done(append) if waits else asyncio.sleep(0))

    def unique(self) -> str:
        self.count += 1
        return f"{self.count} "

    # Writing

    @initialize()
    def begin_with_two_replies(self) -> None:
        for _ in range(2):
            self.post(starts=True)

    @rule(starts=st.booleans())
    def post(self, starts: bool) -> None:
        if len(self.live_talks()) >= MOST_TALKS:
            return
        id = f"c{self.count}x"
        self.count += 1
        try:
            talk = self.rig.run(Talk.begin(self.rig.log, id))
        except NotStoring:
            assert self.failing
            with pytest.raises(NotFound):
                self.rig.run(self.rig.log.tails.hold(conversation_stream(id)))
            return
        assert not self.failing
        self.rig.talks[id] = talk
        self.rig.posted.add(id)
        if starts:
            (reply_id,) = talk.drafts
            self.append(talk.start(reply_id), talk, waits=True)

    @rule(pick=picks, waits=st.booleans())
    def ask_again(self, pick: int, waits: bool) -> None:
        talks = [talk for talk in self.live_talks() if not any(talk is other for _, other in self.rig.flights)]
        if talks:
            talk = talks[pick % len(talks)]
            self.append(talk.ask(), talk, waits)

    @rule(pick=picks, waits=st.booleans())
    def start(self, pick: int, waits: bool) -> None:
        if found := self.pick_reply(pick, "accepted"):
            talk, reply_id = found
            self.append(talk.start(reply_id), talk, waits)

    @rule(pick=picks, texts=st.integers(1, 5), times=st.integers(1, 6), waits=st.booleans())
    def say(self, pick: int, texts: int, times: int, waits: bool) -> None:
        """The runners' part: all running replies grow, one append each at a time."""
        for n in range(times):
            if found := self.pick_reply(pick + n, "running"):
                talk, reply_id = found
                self.append(talk.say(reply_id, *(self.unique() for _ in range(texts))), talk, waits)

    @rule(pick=picks, status=st.sampled_from(["completed", "cancelled"]), waits=st.booleans())
    def end(self, pick: int, status: str, waits: bool) -> None:
        if found := self.pick_reply(pick):
            talk, reply_id = found
            self.append(talk.end(reply_id, status), talk, waits)

    @rule(pick=picks, waits=st.booleans())
    def rename(self, pick: int, waits: bool) -> None:
        if talks := self.live_talks():
            talk = talks[pick % len(talks)]
            self.append(talk.rename(self.unique()), talk, waits)

    @rule(pick=picks, waits=st.booleans())
    def delete(self, pick: int, waits: bool) -> None:
        if talks := [talk for talk in self.live_talks() if not talk.drafts]:
            talk = talks[pick % len(talks)]
            self.append(talk.delete(), talk, waits)

    @rule(count=st.integers(1, 6), waits=st.booleans())
    def broadcast(self, count: int, waits: bool) -> None:
        texts = [BroadcastMessage(self.unique()) for _ in range(count)]
        self.append(self.rig.log.append(self.rig.channel, texts), None, waits)

    @rule(turns=st.integers(1, 20))
    def let_others_run(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.rig.run(turn())

    # Failing and crashing

    @rule(texts=st.integers(1, 3), mends=st.sampled_from([True, True, True, False]))
    def fail(self, texts: int, mends: bool) -> None:
        """The store refuses what is said now; mostly it works again after that."""
        self.refuse(True)
        for n in range(3):
            self.say(n, texts, 1, waits=n == 1)
        self.broadcast(texts, waits=True)
        self.refuse(not mends)

    def refuse(self, refuses: bool) -> None:
        self.failing = refuses
        self.rig.run(self.rig.refuse(refuses))

    @precondition(lambda self: self.failing)
    @rule()
    def mend(self) -> None:
        self.refuse(False)

    @precondition(lambda self: self.rig.posted)
    @rule(how=st.sampled_from(["crash", "crash", "close"]))
    def restart(self, how: str) -> None:
        self.failing = False
        self.rig.run(self.rig.crash() if how == "crash" else self.rig.close())
        self.rig.run(self.rig.open())

    # Reading

    @rule(pick=picks, part=st.floats(0, 1), pauses=st.integers(0, 5))
    def subscribe(self, pick: int, part: float, pauses: int) -> None:
        tails = [self.rig.channel, *(talk.tail for talk in self.live_talks())]
        tail = tails[pick % len(tails)]
        self.rig.connect(tail, tail.start + int(part * (tail.head - tail.start)), pauses)

    @precondition(lambda self: self.rig.readers)
    @rule(pick=picks)
    def disconnect(self, pick: int) -> None:
        self.rig.run(self.rig.disconnect(self.rig.readers[pick % len(self.rig.readers)]))

    @precondition(lambda self: self.rig.cursors)
    @rule(pick=picks, pauses=st.integers(0, 5))
    def reconnect(self, pick: int, pauses: int) -> None:
        name, cursor = self.rig.cursors.pop(pick % len(self.rig.cursors))
        tails = {tail.name: tail for tail in [self.rig.channel, *(talk.tail for talk in self.live_talks())]}
        if name in tails:
            self.rig.connect(tails[name], self.rig.run(self.rig.resume(name, cursor)), pauses)

    @rule()
    def read_everything(self) -> None:
        self.rig.run(self.rig.check_streams())

    @invariant()
    def readers_see_one_unbroken_run(self) -> None:
        self.rig.look_at_readers()

    @invariant()
    def what_was_acknowledged_is_in_memory(self) -> None:
        for talk in self.live_talks():
            assert len(self.rig.acked.get(talk.tail.name, {})) <= talk.tail.head


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_log_keeps_its_invariants_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in [
        (cadence, "QUIET", 0.0),
        (cadence, "BUSY", 0.0),
        (log_module, "PROBE_INTERVAL", 0.001),
        (log_module, "SETTLE_EVERY", 6),
        (log_module, "SETTLE_LATE", 8),
        (tail_module, "WINDOW", 4),
        (subscription_module, "READ_AT_ONCE", 3),
        (blocks, "BLOCK_RECORDS", 4),
        (queries, "BLOCK_RECORDS", 4),
    ]:
        monkeypatch.setattr(module, name, value)

    run_state_machine_as_test(
        LogMachine,
        settings=settings(
            max_examples=50,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # threads make a smaller example another one; the whole one is printed
            suppress_health_check=list(HealthCheck),
        ),
    )
