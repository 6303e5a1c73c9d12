"""What tests of the log share: a gate for its engine, and steps that many of them take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.engine.base import Commit
from app.events import BroadcastMessage, Record
from app.ids import BROADCAST
from app.log import Log
from app.subscription import BEHIND, Subscription
from tests.support.memory import MemoryEngine
from tests.support.talk import Talk


class Gate:
    """Holds an engine's commits and reads until it is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.reached = asyncio.Event()

    async def __call__(self) -> None:
        if not self._open.is_set():
            self.reached.set()
        await self._open.wait()

    def shut(self) -> None:
        self.reached.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()


def say(text: str = "") -> list[BroadcastMessage]:
    return [BroadcastMessage(text)]


def texts(engine: MemoryEngine, stream: str = BROADCAST) -> list[str]:
    """What a stream's journal holds."""
    return [record.event().text for record in engine.disk.state.journal.get(stream, ())]


def once() -> Callable[[Commit], bool]:
    """Refuse the next commit, and no other."""
    left = [True]
    return lambda commit: left.pop() if left else False


async def until(what: Callable[[], object], within: float = 30.0) -> None:
    """Let others run until something is true."""
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def running_talk(log: Log, id: str = "c") -> tuple[Talk, str]:
    talk = await Talk.begin(log, id)
    (reply_id,) = talk.drafts
    await talk.start(reply_id).committed()
    return talk, reply_id


async def kill(log: Log) -> None:
    """End a log as a kill does: nothing is flushed, and the store is free."""
    log._committing.cancel()
    await asyncio.wait({log._committing})
    log.engine.disk.owned = False


async def whole_log(log: Log, name: str) -> list[Record]:
    async with log.tails.open(name) as tail:
        subscription, found = Subscription(log.engine, tail, 0, far_behind=None), []
        while batch := await subscription.poll():
            assert batch is not BEHIND
            found += batch
        return found
