"""What goes out on an HTTP connection: one answer at a time, for as long as the client takes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.wire import STALL_SECONDS, count_unsent
from app.handover import HandoverProtocol

MAX_UNREAD = 64
"""How many clients may leave an answer unread; over that, the one that has had the most time for it is cut..."""
PATIENCE_SECONDS = 1.0
"""... but none before it has had so much: a hundred who ask at the same moment read at the same moment, too."""


class OutgoingProtocol(HandoverProtocol):
    """uvicorn's protocol, with an eye on clients that ask and do not read.

    The transport holds an answer whole until the client has taken it, so each that does not fit into the transport's
    64 KiB counts, and no request is begun behind it.
    """

    STALL_SECONDS = STALL_SECONDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self.unread_since = 0.0
        self._last = False
        """Whether the client wants the connection closed after this request, whose body is still coming in."""

    def pause_writing(self) -> None:
        """Note that an answer waits for its client, which has to take some of it from time to time."""
        super().pause_writing()
        self.unread_since = self.loop.time()
        unread = [c for c in self.connections if isinstance(c, OutgoingProtocol) and c.flow.write_paused]
        if len(unread) > MAX_UNREAD:
            first = min(unread, key=lambda connection: connection.unread_since)
            if self.loop.time() - first.unread_since >= PATIENCE_SECONDS:
                self.connections.discard(first)  # or it would count until the transport says that it is lost
                first.transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        super().connection_lost(exc)
        self._disarm()

    def asked(self) -> RequestResponseCycle | None:
        """Return the request that is not answered yet, whole or not."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle if cycle and not cycle.response_complete else None

    def _rest(self) -> None:
        """Wait for another request, between two, or for the client to take the answer to the last one."""
        if self._last:
            self.transport.close()
        if self.flow.write_paused:
            self._watch()
        elif not self._last:
            self._arm(self.timeout_keep_alive, self.transport.close)

    def _watch(self, unsent_before: int | None = None) -> None:
        """Cut a client that has taken nothing since the last look, or look again later."""
        unsent = count_unsent(self.transport)
        if unsent_before is not None and unsent >= unsent_before:
            self.transport.abort()
        else:
            self._arm(self.STALL_SECONDS, partial(self._watch, unsent))

    def _arm(self, seconds: float, callback: Callable[[], object]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, callback)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
