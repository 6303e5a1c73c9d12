"""A client that comes back: whatever cuts it, it reconnects with its cursor, and it records all that it saw."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.support.server import Server
from tests.support.sse import EventStream, Frame

RECONNECT_AFTER = 0.02


@dataclass
class Leg:
    """One connection of a watcher: the cursor that it brought, the frames that it saw, and how it ended."""

    given: str | None
    stream: EventStream
    frames: list[Frame] = field(default_factory=list)
    end: str = "open"

    @property
    def whole(self) -> bool:
        """Whether no frame was cut in half: nothing is left that the parser could not dispatch."""
        return not self.stream.parser._buffer and not self.stream.parser._data


class Watcher:
    """A subscriber of one stream that lives through cuts, ends and restarts until its `async with` is left.

    With `cuts` it also resets its own connection after a few frames, again and again.
    """

    def __init__(
        self, server: Server, path: str, *, cursor: str | None = None, cuts: random.Random | None = None
    ) -> None:
        self.server = server
        self.path = path
        self.cursor = cursor
        self.legs: list[Leg] = []
        self._cuts = cuts
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def conversation_id(self) -> str:
        """The conversation that it watches."""
        return self.path.split("/")[2]

    @property
    def frames(self) -> list[Frame]:
        """All frames over all connections."""
        return [frame for leg in self.legs for frame in leg.frames]

    @property
    def events(self) -> list[Frame]:
        """The events of the log among them."""
        return [frame for frame in self.frames if frame.id and frame.event != "snapshot"]

    @property
    def count(self) -> int:
        """How many frames there are."""
        return sum(len(leg.frames) for leg in self.legs)

    async def saw(self, seen: Callable[[Frame], bool], within: float = 30.0) -> Frame:
        """Return the first frame, past or coming, of which that is true."""
        async with asyncio.timeout(within):
            while True:
                changed = self._changed
                for frame in self.frames:
                    if seen(frame):
                        return frame
                await changed.wait()

    async def reached(self, cursor: str, within: float = 30.0) -> None:
        """Wait until it stands at a cursor or behind it."""
        await self.until(lambda: self.cursor is not None and self.cursor >= cursor, within)

    async def until(self, state: Callable[[], bool], within: float = 30.0) -> None:
        """Wait for something that only changes with what this watcher sees."""
        async with asyncio.timeout(within):
            while True:
                changed = self._changed
                if state():
                    return
                await changed.wait()

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watching
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self) -> None:
        while True:
            given = self.cursor
            try:
                stream = await self.server.listen(self.path, given)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(RECONNECT_AFTER)  # nobody listens yet
                continue
            leg = Leg(given, stream)
            self.legs.append(leg)
            try:
                await self._read(leg)
            finally:
                stream.cut()
            self._wake()
            await asyncio.sleep(RECONNECT_AFTER)

    async def _read(self, leg: Leg) -> None:
        left = self._cuts.randint(2, 80) if self._cuts else None
        while left is None or len(leg.frames) < left:
            try:
                frame = await leg.stream.next(within=60)
            except EOFError:
                leg.end = "clean"
                return
            except OSError:
                leg.end = "cut"
                return
            leg.frames.append(frame)
            self.cursor = frame.id or self.cursor
            self._wake()
        leg.end = "left"

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
