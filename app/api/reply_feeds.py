"""What a POST gets that wants its reply as a stream: the events of that reply, or its bare text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.api.feeds import NativeFeed
from app.api.stream import Farewell, Unfinished
from app.errors import NotFound
from app.events import Record, ReplyDelta, ReplyEnded
from app.log import Log
from app.resume import NO_CURSOR
from app.running import Running
from app.snapshots import history_of
from app.subscription import Subscription
from app.tail import Batch, Tail


class ReplyFeed(NativeFeed):
    """What a POST that accepts a stream gets: the log from the cursor on, until its own reply has ended."""

    def __init__(self, log: Log, running: Running, tail: Tail, after: int, reply_id: str) -> None:
        # Never too far behind: whoever repeats a request reads its reply from the first event.
        super().__init__(log, running, Subscription(log.engine, tail, after, far_behind=None))
        self._reply_id = reply_id
        self._finished = False

    async def opening(self) -> bytes:
        """Return `hello` with the ids that the answer has no body for."""
        return self._hello(NO_CURSOR, conversation_id=history_of(self._tail).id, reply_id=self._reply_id)

    async def poll(self) -> Iterable[bytes] | None:
        """Return the frames of the next events; None at the head, or once the reply's ending was returned."""
        return None if self._finished else await super().poll()

    def ready(self, batch: Batch) -> bytes | None:
        """Return the frames of a batch; None for one in the middle of which the stream may end."""
        return None if batch.may_end else super().ready(batch)

    def farewell(self) -> Farewell | None:
        """End with the reply, or when the server drains before the reply runs."""
        if self._finished:
            return "idle"
        if self._tail.deleted:
            return "deleted"
        if not history_of(self._tail).messages[self._reply_id].live:
            return "idle"
        waits = self._running.draining.is_set() and not self._running.runs(self._reply_id)
        return "drain" if waits or self._running.drained else None

    def _encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        return super()._encode(self._own(records))

    def _own(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records up to the end of the reply."""
        for place, record in enumerate(records):
            if record.type == "reply.ended":
                event = record.event()
                if isinstance(event, ReplyEnded) and event.reply_id == self._reply_id:
                    self._finished = True
                    return records[: place + 1]
        return records

    async def _again(self) -> bytes:
        raise NotFound("A reply's events are kept until its conversation is deleted.")


class TextFeed(ReplyFeed):
    """The same as bare text, for `curl -N`."""

    content_type = "text/plain; charset=utf-8"

    async def opening(self) -> bytes:
        """Return nothing: the ids are in the headers."""
        return b""

    def ready(self, batch: Batch) -> bytes | None:  # noqa: ARG002 - the signature of all feeds
        """Return None: the shared chunk of a batch holds frames."""
        return None

    def ping(self) -> bytes:
        """Return nothing: everything sent is the reply's text."""
        return b""

    def bye(self, reason: Farewell) -> bytes:
        """Cut the connection: everything sent is the reply's text, and a clean end means that this is all of it."""
        if reason != "idle":
            raise Unfinished(reason)
        return b""

    def _encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        deltas = (record.event() for record in self._own(records) if record.type == "reply.delta")
        text = "".join(
            event.text
            for event in deltas
            if isinstance(event, ReplyDelta) and event.reply_id == self._reply_id and event.kind is None
        )
        return [text.encode()]
