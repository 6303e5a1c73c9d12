"""Subscriptions: what a reader sees of a stream, at the head and far behind it, is one and the same read."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from app.engine.base import Engine
from app.events import Record
from app.tail import Tail

FAR_BEHIND = 5000
"""A cursor more than this many events behind is answered with a snapshot."""
READ_AT_ONCE = 1000
"""About how many records a reader far behind is given at a time."""


class Behind(enum.Enum):
    """What a subscription reads when its next events are gone or too many."""

    BEHIND = "behind"


BEHIND = Behind.BEHIND


class Subscription:
    """A cursor that moves. It owns no queue: a slow reader is only a cursor that is far behind."""

    def __init__(self, engine: Engine, tail: Tail, after: int, *, far_behind: int | None = FAR_BEHIND) -> None:
        self.tail = tail
        self.after = after
        self._engine = engine
        self._far_behind = far_behind

    async def poll(self) -> Sequence[Record] | Behind:
        """Return the next records and move behind them: an empty sequence only at the head."""
        lag = self.tail.head - self.after
        if self.after < self.tail.start or (self._far_behind is not None and lag > self._far_behind):
            return BEHIND
        records = self.tail.after(self.after)
        if records is None:
            records = await self._engine.read(self.tail.name, self.after, READ_AT_ONCE)
            # Below the window an empty answer, or a later one, means that the events are gone: waiting would never end.
            if not records or records[0].seq != self.after + 1:
                return BEHIND
        if records:
            self.after = records[-1].seq
        return records
