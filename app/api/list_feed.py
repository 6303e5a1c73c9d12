"""What the list of conversations sends as a stream."""

from __future__ import annotations

from collections.abc import Iterable

from app.api.feeds import ControlFrames
from app.api.forms import EVENT_STREAM, Form
from app.api.stream import Farewell
from app.listing import Change
from app.log import Log
from app.running import Running
from app.tail import Batch, Listener

LIST = "conversations"
"""The name of the list among the streams."""
FIRST_PAGE = 50
"""How many conversations a snapshot of the list holds."""


class ListFeed(ControlFrames):
    """The list's first page, then every conversation that changes. There are no ids: a reconnect begins anew."""

    def __init__(
        self, log: Log, running: Running, principal: str, *, named: bool = False, form: Form = EVENT_STREAM
    ) -> None:
        super().__init__(LIST, named=named, form=form)
        self._log = log
        self._running = running
        self._principal = principal
        self._seen = 0

    @property
    def listeners(self) -> dict[Listener, None]:
        """Those of the listing."""
        return self._log.listing.listeners

    async def opening(self) -> bytes:
        """Return `hello` and the first page."""
        return self.retry() + self.hello_of_none() + await self._snapshot()

    async def poll(self) -> Iterable[bytes] | None:
        """Return the conversations that changed, as they stand now; None when there are none."""
        changes = self._log.listing.after(self._seen, self._principal)
        if changes is None:
            return [await self._snapshot()]
        self._seen = self._log.listing.changes
        return [b"".join([self._frame(change) for change in changes])] if changes else None

    def ready(self, batch: Batch) -> bytes | None:  # noqa: ARG002 - the signature of all feeds
        """Return None: batches are of the log."""
        return None

    def glance(self) -> bytes | None:
        """Return None: only the broadcast channel has something beside its events."""
        return None

    def ping(self) -> bytes:
        """Return a ping; the list has no cursor."""
        return self._control("ping", {"cursor": None})

    def farewell(self) -> Farewell | None:
        """End when the server drains."""
        return "drain" if self._running.draining.is_set() else None

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _frame(self, change: Change) -> bytes:
        form = self._form, bool(self._more)
        if form not in change.frames:
            kept = change.conversation is not None
            change.frames[form] = self._control(
                "conversation.changed" if kept else "conversation.deleted",
                {"conversation": change.conversation} if kept else {"id": change.id},
            )
        return change.frames[form]

    async def _snapshot(self) -> bytes:
        # Before the read: what changes meanwhile is sent once more, rather than never.
        self._seen = self._log.listing.changes
        page, _ = await self._log.engine.conversations(self._principal, None, FIRST_PAGE)
        return self._control("snapshot", {"conversations": page})
