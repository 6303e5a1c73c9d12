"""A subscriber as tests see it: the loop and the pass that ship, over a wire of the test's own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from types import SimpleNamespace
from typing import Any

from app.api.feeds import NativeFeed
from app.api.stream import Stream, Streams
from app.api.wire import make_chunk
from app.codecs import sse
from app.events import Record
from app.subscription import Subscription
from app.tail import Batch


async def at_once() -> None:
    """Let a reader go on without waiting."""


class Reader:
    """Reads a subscription in a task of its own, with `pause` after every write; behind, it goes on from the head.

    `seen` is what it was given, `jumps` the numbers it went on from, `at` the number it has come to. I1 and G3 are
    checked at every batch: numbers follow each other, and none comes at or below the cursor. With `chance` the wire has
    no room now and then.
    """

    def __init__(
        self,
        subscription: Subscription,
        pause: Callable[[], Awaitable[None]] = at_once,
        chance: Random | None = None,
    ) -> None:
        self.subscription = subscription
        self.seen: list[Record] = []
        self.jumps: list[int] = []
        self.at = subscription.after
        self.wire = _Wire(pause, chance)
        self.stream = Stream(Streams(1), _Feed(self))  # type: ignore[arg-type]
        self.stream.wire = self.wire  # type: ignore[assignment]
        self.task = asyncio.create_task(self.stream._run())
        self.task.add_done_callback(self.stream._close)
        self.task.add_done_callback(_ask)
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
        frames = sse.join(self.subscription.tail.epoch, self.seen)
        assert frames.startswith(self.wire.body), "what is written is what was seen, in order"

    def take(self, records: Sequence[Record]) -> None:
        """Take note of what is about to be written."""
        assert records
        assert [record.seq for record in records] == list(range(self.at + 1, self.at + 1 + len(records)))
        self.seen += records
        self.go_to(records[-1].seq)

    def go_to(self, seq: int) -> None:
        """Take note of a new position."""
        self.at = seq
        self._advanced.set()
        self._advanced = asyncio.Event()


def _ask(task: asyncio.Task[None]) -> None:
    """Ask for how a reader ended, since a test that fails before it does would leave that to the log."""
    if not task.cancelled():
        task.exception()


class _Feed(NativeFeed):
    """The native feed, which tells its reader what it gives."""

    def __init__(self, reader: Reader) -> None:
        nobody: Any = SimpleNamespace(tails=SimpleNamespace(share=lambda tail: None, release=lambda tail: None))
        super().__init__(nobody, nobody, reader.subscription)
        self._reader = reader

    async def opening(self) -> bytes:
        return b""

    def ready(self, batch: Batch) -> bytes | None:
        chunk = super().ready(batch)
        if chunk is not None:
            self._reader.take(batch.records)
        return chunk

    def ping(self) -> bytes:
        assert self._subscription.after == self._tail.head, "nothing but the time has woken this reader"
        return b""

    def farewell(self) -> None:
        return None

    def _encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        self._reader.take(records)
        return super()._encode(records)

    async def _again(self) -> bytes:
        assert self._reader.at < self._tail.head, "only who is behind is told so"
        self._subscription.after = self._tail.head
        self._reader.jumps.append(self._tail.head)
        self._reader.go_to(self._tail.head)
        return b""


class _Wire:
    """A connection of which the other side reads when it likes."""

    def __init__(self, pause: Callable[[], Awaitable[None]], chance: Random | None) -> None:
        self.body = b""
        self._pause = pause
        self._chance = chance

    async def start(self, status: int, headers: object) -> None:
        await self._pause()

    async def write(self, body: bytes) -> None:
        if body:
            self.body += body
            await self._pause()

    async def abort(self) -> None:
        raise AssertionError("the stream has failed") from sys.exc_info()[1]

    @property
    def has_room(self) -> bool:
        return self._chance is None or self._chance.random() < 0.7

    def put(self, chunk: bytes) -> None:
        body = chunk.partition(b"\r\n")[2].removesuffix(b"\r\n")
        assert chunk == make_chunk(body)
        self.body += body
