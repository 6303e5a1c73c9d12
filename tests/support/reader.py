"""A subscriber as tests see it: it checks what it gets while it gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from app.events import Record
from app.subscription import BEHIND, Subscription


async def at_once() -> None:
    """Let a reader go on without waiting."""


class Reader:
    """Reads a subscription in a task of its own, with `pause` after every batch; behind, it goes on from the head.

    `seen` is what it was given, `jumps` the numbers it went on from, `at` the number it has come to. I1 and G3 are
    checked at every batch: numbers follow each other, and none comes at or below the cursor.
    """

    def __init__(self, subscription: Subscription, pause: Callable[[], Awaitable[None]] = at_once) -> None:
        self.subscription = subscription
        self.seen: list[Record] = []
        self.jumps: list[int] = []
        self.at = subscription.after
        self.task = asyncio.create_task(self._run())
        self._pause = pause
        self._advanced = asyncio.Event()

    async def reach(self, seq: int) -> None:
        """Wait until the reader has come to a number; raises what the reader raised."""
        while self.at < seq:
            advanced = asyncio.create_task(self._advanced.wait())
            await asyncio.wait({advanced, self.task}, return_when=asyncio.FIRST_COMPLETED)
            advanced.cancel()
            if self.task.done():
                self.task.result()

    async def leave(self) -> None:
        """Disconnect, as a closed tab does; raises what the reader raised."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def _run(self) -> None:
        async with aclosing(self.subscription.__aiter__()) as batches:
            async for batch in batches:
                if batch is BEHIND:
                    assert self.at < self.subscription.tail.head, "only who is behind is told so"
                    self.subscription.after = self.at = self.subscription.tail.head
                    self.jumps.append(self.at)
                else:
                    numbers = [record.seq for record in batch]
                    assert numbers == list(range(self.at + 1, self.at + 1 + len(batch)))
                    assert batch
                    self.seen += batch
                    self.at = numbers[-1]
                self._advanced.set()
                self._advanced = asyncio.Event()
                await self._pause()
