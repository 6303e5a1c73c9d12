"""The tails of this process: loaded when somebody needs a stream, let go when nobody does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from weakref import WeakValueDictionary

import msgspec

from app.engine.base import CreateStream, Engine
from app.errors import NotFound, NotStoring
from app.events import Record, ReplyDelta, ReplyToolCall, ReplyToolResult
from app.history import Draft, History
from app.ids import BROADCAST, new_salt
from app.subscription import BEHIND, Subscription
from app.tail import Tail


class Tails:
    """Every stream that is in memory; `held` has them by name. One stream never has two tails."""

    def __init__(self, engine: Engine) -> None:
        self.held: dict[str, Tail] = {}
        self._engine = engine
        self._loading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Tail]:
        """Hold a stream's tail. Raises `NotFound`."""
        tail = await self.hold(name)
        try:
            yield tail
        finally:
            self.release(tail)

    async def hold(self, name: str) -> Tail:
        """Return a stream's tail, held until `release`. Raises `NotFound`."""
        tail = self.held.get(name)
        if tail is None:
            # Two tails of one stream would number the same events twice, so only one task loads it.
            lock = self._loading.setdefault(name, asyncio.Lock())
            async with lock:
                tail = self.held.get(name) or await self._load(name, ())
                self.held[name] = tail
        tail.holders += 1
        return tail

    def share(self, tail: Tail) -> None:
        """Hold a tail that somebody holds already once more, until one more `release`."""
        tail.holders += 1

    def release(self, tail: Tail) -> None:
        """Let go of a tail; the last holder of a settled one takes it out of memory."""
        tail.holders -= 1
        if tail.transient:
            tail.wake()  # it goes when nobody else holds it
        self.forget_unused(tail)

    def forget_unused(self, tail: Tail) -> None:
        """Take a tail out of memory unless somebody holds it, or the journal alone has some of its events."""
        if not tail.holders and not tail.unsettled and self.held.get(tail.name) is tail:
            del self.held[tail.name]

    def create(
        self, name: str, *, history: History | None = None, principal: str = "", transient: bool = False
    ) -> tuple[Tail, CreateStream]:
        """Return a new stream's tail, held until `release`, and the row that its first append must carry."""
        salt = new_salt()
        epoch = self._engine.epoch(salt)
        tail = Tail(name, epoch, history=history, principal=principal, transient=transient)
        tail.holders += 1
        self.held[name] = tail
        return tail, CreateStream(salt)

    async def take_up(self, name: str, records: Sequence[Record]) -> Tail:
        """Load a stream whose newest records are in the journal still."""
        self.held[name] = tail = await self._load(name, records)
        return tail

    def wake_all(self) -> None:
        """Make every subscription look at the world again."""
        for tail in self.held.values():
            tail.wake()

    async def _load(self, name: str, records: Sequence[Record]) -> Tail:
        stored = await self._engine.stream(name)
        if stored is None:
            raise NotFound("There is no such conversation.")  # the broadcast channel's stream always is
        if records and records[0].seq != stored.last + 1:
            raise NotStoring(f"Events of {name} are missing between its blocks and the journal.")
        tail = Tail(name, stored.epoch, start=stored.first - 1, settled=stored.last, records=records)
        if name == BROADCAST:
            return tail
        conversation = await self._engine.conversation(name.partition("/")[2])
        if conversation is None:
            raise NotFound("There is no such conversation.")
        tail.principal = conversation.principal
        tail.transient = conversation.transient
        tail.history = History(conversation.conversation, conversation.outlines)
        try:
            for reply_id in tail.history.running:
                tail.history.messages[reply_id] = await self._redraft(tail, tail.history.id, reply_id)
        except (msgspec.MsgspecError, ValueError) as error:
            raise NotStoring(f"The events of {name} cannot be read: {error}.") from error
        return tail

    async def _redraft(self, tail: Tail, conversation_id: str, reply_id: str) -> Draft:
        stored = await self._engine.reply(conversation_id, reply_id)
        if stored is None:
            raise NotStoring(f"Reply {reply_id} has no row.")
        draft = Draft(stored.reply)
        subscription = Subscription(self._engine, tail, stored.after, far_behind=None)
        while subscription.after < tail.head:
            records = await subscription.poll()
            if records is BEHIND:
                raise NotStoring(f"The events of reply {reply_id} are missing.")
            for record in records:
                event = record.event()
                if isinstance(event, ReplyDelta | ReplyToolCall | ReplyToolResult) and event.reply_id == reply_id:
                    draft.apply(event)
        return draft
