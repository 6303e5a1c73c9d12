"""Taking an exported conversation in as a new one: the one commit of it, and how many may come at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from app.engine.base import AddMessage, CreateConversation, Rename, Row
from app.errors import TooMany
from app.history import History
from app.idempotency import Answers, Key
from app.ids import Cursor, conversation_stream
from app.log import Log
from app.messages import Conversation
from app.retold import Retold
from app.running import Running

MAX_IMPORT_BYTES = 8 * 2**20
"""How long the body of an import may be: it is one commit, and no other can be made meanwhile."""
MAX_IMPORT_PARTS = 10_000
"""How many parts all messages of an import may have together: each is an event."""
MAX_IMPORTS = 4
"""How many imports may be on their way at a time; one of them at a time is more than bytes."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an import: the stream at `events` tells the whole conversation after `cursor`."""

    conversation: Conversation
    cursor: str
    events: str


class Imports:
    """What takes conversations in; `turn` is held by the one that is being read and stored."""

    def __init__(self, log: Log, running: Running, answers: Answers) -> None:
        self.turn = asyncio.Lock()
        self._log = log
        self._running = running
        self._answers = answers
        self._places = MAX_IMPORTS

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep one of the places for bodies that come in. Raises `TooMany`."""
        if not self._places:
            raise TooMany(f"{MAX_IMPORTS} imports are on their way, which is the limit.")
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def take(self, principal: str, retold: Retold, *, key: Key | None = None) -> tuple[Imported, bool]:
        """Store a conversation in one commit; says too whether the answer was kept from an earlier request.

        Raises `Draining`, `Invalid` (another body under the same key) and `NotStoring`.
        """
        async with self._answers.once(key) as kept:
            if kept:
                return msgspec.json.decode(kept.answer, type=Imported), True
            self._running.check_open()
            new = retold.conversation
            begun = msgspec.structs.replace(new, head=None)
            stream = conversation_stream(new.id)
            tail, created = self._log.tails.create(stream, history=History(begun), principal=principal)
            try:
                imported = Imported(
                    conversation=new, cursor=str(Cursor(tail.epoch, 0)), events=f"/conversations/{new.id}/events"
                )
                rows: list[Row] = [created, CreateConversation(principal, begun)]
                rows += map(AddMessage, retold.messages)
                rows.append(Rename(new.title, new.updated_at))
                if key:
                    rows.append(key.keep(msgspec.json.encode(imported)))
                await self._log.append(tail, retold.events, rows).committed()
                return imported, False
            finally:
                self._log.tails.release(tail)
