"""What happens once whoever asked has left: an abandoned reply is stopped, a transient conversation is dropped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

from app.engine.base import DropConversation
from app.errors import NotFound, NotStoring
from app.events import ConversationDeleted
from app.log import Log
from app.running import Running
from app.snapshots import history_of
from app.tail import Tail

LINGER_SECONDS = 10.0
"""How long an abandoned reply goes on for somebody to come back to it."""
READ_WITHIN = 30.0
"""How long a transient conversation whose reply has ended waits for somebody to read it; whoever reads has all the time
that its stream has."""


class Departures:
    """Replies and conversations that go when nobody needs them any more; it owns the tasks that wait for that."""

    def __init__(self, log: Log, running: Running) -> None:
        self._log = log
        self._running = running
        self._tasks: set[asyncio.Task[None]] = set()

    def hung_up(self, tail: Tail, reply_id: str, seconds: float = LINGER_SECONDS) -> None:
        """Stop a reply in so many seconds, unless it has ended, or another request has read it since (G10)."""
        self._spawn(tail, self._abandon(tail, reply_id, tail.reads, seconds))

    def drop_when_read(self, tail: Tail, *, unread: bool = True) -> None:
        """Drop a conversation once its replies have ended and nobody reads it any more; first somebody has to."""
        self._spawn(tail, self._drop_when_read(tail, unread=unread))

    async def drop(self, tail: Tail, *, head: str | None = None) -> bool:
        """Stop what runs, and remove a conversation with all that it holds; with `head`, only while that is its head.

        Says whether it did. Raises `NotFound` and `NotStoring`.
        """
        async with tail.command:
            history = history_of(tail)
            if head is not None and history.head != head:
                return False
            await asyncio.gather(*(self._running.stop(reply_id) for reply_id in history.running))
            await self._log.append(tail, [ConversationDeleted()], [DropConversation()]).committed()
            return True

    async def close(self) -> None:
        """Wait for nothing more; what is left is done by the next start, or not needed any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _abandon(self, tail: Tail, reply_id: str, reads: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while history_of(tail).messages[reply_id].live:
                    await tail.changed.wait()
        except TimeoutError:
            if tail.reads == reads and not tail.listeners:
                await self._running.stop(reply_id)

    async def _drop_when_read(self, tail: Tail, *, unread: bool) -> None:
        while history_of(tail).running:
            await tail.changed.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_WITHIN):
                while unread and not tail.reads:
                    await tail.changed.wait()
        while tail.holders > 1:
            await tail.changed.wait()
        await self.drop(tail)

    def _spawn(self, tail: Tail, work: Coroutine[None, None, None]) -> None:
        self._log.tails.share(tail)
        task = asyncio.create_task(self._see_through(tail, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, tail: Tail, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (NotFound, NotStoring):
            pass  # it is gone, or is taken up by the next start
        finally:
            self._log.tails.release(tail)
