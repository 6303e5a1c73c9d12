"""The tail: the recent window of one stream in memory, and the wake-up that its subscriptions wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from itertools import accumulate, takewhile
from typing import Protocol

from app.events import Event, MessageCreated, Record, ReplyDelta, ReplyEnded
from app.history import History, fold

WINDOW = 1024
"""How many settled records a tail keeps for readers who are a little behind..."""
WINDOW_BYTES = 2**20
"""... and how many bytes of JSON, whichever is less."""


_MAY_END = {"reply.ended", "conversation.deleted"}


class Batch:
    """The records of one commit on one stream, with room for the encoded forms that its listeners share."""

    __slots__ = ("encoded", "may_end", "records")

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.may_end = not _MAY_END.isdisjoint([record.type for record in records])
        """Whether a stream may be over with it."""
        self.encoded: dict[Hashable, bytes] = {}


class Listener(Protocol):
    """A subscriber that stands at the head and is handed what is published from there on."""

    def take(self, batch: Batch) -> None:
        """Take the newest records at once, or leave them to the subscription's own loop. Never waits."""

    def look(self) -> None:
        """Go back to the subscription's own loop: there may be something to do that is no record."""


class Tail:
    """One stream as this process holds it: what is committed, and what of it is at hand.

    Numbers: `start` precedes the first event that is kept at all, `settled` is the last one in a block, `head` the last
    committed one. The window never begins after `settled`: what is not settled is readable here only, because the
    journal is not read by stream.
    """

    def __init__(
        self,
        name: str,
        epoch: str,
        *,
        start: int = 0,
        settled: int = 0,
        records: Sequence[Record] = (),
        history: History | None = None,
        principal: str = "",
        transient: bool = False,
    ) -> None:
        self.name = name
        self.epoch = epoch
        self.start = start
        self.settled = settled
        self.head = settled + len(records)
        self.history = history
        self.principal = principal
        self.transient = transient
        """Whether it is a conversation that goes once its reply has ended."""
        self.reads = 0
        """How many requests have opened this conversation since it is in memory."""
        self._changed: asyncio.Event | None = None
        self.command = asyncio.Lock()
        """Held by a command from its checks to its commit, so that two commands never see the same state."""
        self.holders = 0
        """How many subscriptions, runners, commands and appends need this tail in memory."""
        self.unsettled_bytes = self._bytes = _size(records)
        self.listeners: dict[Listener, None] = {}
        """The subscribers that stand at the head and wait there, in the order in which they came."""
        self._floor = settled
        self._records = list(records)

    @property
    def changed(self) -> asyncio.Event:
        """An event that the next change sets; it is made for whoever takes it before a look."""
        if self._changed is None:
            self._changed = asyncio.Event()
        return self._changed

    @property
    def unsettled(self) -> int:
        """How many committed records are not in a block yet."""
        return self.head - self.settled

    @property
    def deleted(self) -> bool:
        """Whether it is a conversation that was deleted."""
        return self.history is not None and self.history.deleted

    @property
    def idle(self) -> bool:
        """Whether it is a conversation in which no reply is accepted or running."""
        return self.history is not None and not self.history.running

    def after(self, seq: int, limit: int = WINDOW) -> Sequence[Record] | None:
        """Return the records that follow `seq`, at most `limit`; None when the window begins after them."""
        if seq < self._floor:
            return None
        first = seq - self._floor
        return self._records[first : first + limit]

    def publish(self, records: Sequence[Record], events: Sequence[Event]) -> None:
        """Make committed records readable. Tells nobody: `announce` does, once per commit."""
        self._records += records
        self.head += len(records)
        size = _size(records)
        self.unsettled_bytes += size
        self._bytes += size
        if self.history is None:
            return
        for event in events:
            fold(self.history, event)
            # The engine has the content of what can no longer change; memory stays bounded by what runs.
            match event:
                case ReplyDelta():
                    pass  # by far the most: no other look at them
                case MessageCreated():
                    self.history.forget(event.message.id)
                case ReplyEnded():
                    self.history.forget(event.reply_id)

    def unsettled_records(self, max_bytes: int | None = None) -> Sequence[Record]:
        """Return the records that are not in a block yet.

        Where these have more than twice `max_bytes`, the oldest, until they reach it: a cut that leaves a little would
        hold the journal for that little.
        """
        records = self._records[self.settled - self._floor :]
        if max_bytes is None or self.unsettled_bytes <= 2 * max_bytes:
            return records
        sizes = accumulate(len(record.data) for record in records)
        return records[: 1 + sum(1 for _ in takewhile(lambda size: size < max_bytes, sizes))]

    def settle(self, seq: int) -> None:
        """Note that everything up to `seq` is in blocks, and let go of what lies behind the window."""
        self.settled = seq
        self.unsettled_bytes = _size(self.unsettled_records())
        surplus = 0
        while self._floor + surplus < seq and (len(self._records) - surplus > WINDOW or self._bytes > WINDOW_BYTES):
            self._bytes -= len(self._records[surplus].data)
            surplus += 1
        del self._records[:surplus]
        self._floor += surplus

    def announce(self, records: Sequence[Record]) -> None:
        """Hand one commit's records to the listeners, and wake all others who wait: the pass.

        One loop writes to every subscriber that stands at the head, instead of waking a task for each. It has no await,
        so no listener can be elsewhere than it looks. Whoever is, or cannot take more, is left to its own loop; that
        loop alone defines what a subscriber sees.
        """
        if self.listeners:
            batch = Batch(records)
            for listener in tuple(self.listeners):
                listener.take(batch)
        self._set_changed()

    def wake(self) -> None:
        """Make everybody who waits look again."""
        for listener in tuple(self.listeners):
            listener.look()
        self._set_changed()

    def _set_changed(self) -> None:
        # An event that is set and swapped, not a shared future: a future dies with the first subscriber cancelled.
        woken, self._changed = self._changed, None
        if woken:
            woken.set()


def _size(records: Sequence[Record]) -> int:
    return sum([len(record.data) for record in records])
