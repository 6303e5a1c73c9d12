"""The broadcast channel: one stream for everybody, and the notices that somebody joined."""

from __future__ import annotations

import asyncio

from app.errors import Invalid, TooLarge
from app.events import BroadcastMessage
from app.idempotency import Answers, Key
from app.log import Log
from app.running import Running
from app.settings import Settings
from app.tail import Tail

JOINS_TOLD_EVERY = 0.05
"""Seconds in which joins are gathered into one notice, so that N newcomers do not cost N x N sends..."""
JOINS_TOLD_PER_LISTENER = 0.00005
"""... and at least so many per subscriber, which is ten times what telling it takes: nine tenths are for the rest."""


class Broadcast:
    """What can be said on the channel. `tail` is its stream, held as long as the server runs.

    Join notices are not in the log. Like the log they are a counter and cursors into it: `told` joins have been told,
    and a subscriber that has seen fewer is told the difference.
    """

    def __init__(self, log: Log, tail: Tail, running: Running, answers: Answers, settings: Settings) -> None:
        self.tail = tail
        self.told = 0
        self._joined = 0
        self._telling: asyncio.TimerHandle | None = None
        self._log = log
        self._running = running
        self._answers = answers
        self._settings = settings

    async def say(self, text: str, key: Key | None = None) -> bool:
        """Store a message for everybody; says whether an earlier request with that key did so already."""
        if "\0" in text:
            raise Invalid("A broadcast message must not hold NUL.", "message")
        if len(text.encode()) > self._settings.max_broadcast_bytes:
            raise TooLarge(f"A broadcast message has at most {self._settings.max_broadcast_bytes} bytes.")
        async with self._answers.once(key) as kept:
            if kept:
                return True
            self._running.check_open()
            rows = [key.keep(b"")] if key else []
            await self._log.append(self.tail, [BroadcastMessage(text)], rows).committed()
            return False

    def join(self) -> None:
        """Note that somebody joined; all subscribers are told soon."""
        self._joined += 1
        if self._telling is None:
            seconds = max(JOINS_TOLD_EVERY, len(self.tail.listeners) * JOINS_TOLD_PER_LISTENER)
            self._telling = asyncio.get_running_loop().call_later(seconds, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self.told = self._joined
        self.tail.wake()


def join_notice(joins: int) -> str:
    """Return what subscribers read when somebody joined."""
    return "A new user joined!" if joins == 1 else f"{joins} new users joined!"
