"""The feeds: what each kind of stream sends beside its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.api.stream import EVENT_STREAM, SEND_BYTES, Unfinished, draw_retry
from app.broadcast import Broadcast, join_notice
from app.codecs import sse
from app.engine.base import Engine
from app.errors import NotFound
from app.events import Record, ReplyDelta, ReplyEnded
from app.ids import Cursor
from app.resume import NO_CURSOR, Verdict
from app.running import Running
from app.snapshots import history_of, take_snapshot
from app.subscription import FAR_BEHIND, Subscription
from app.tail import Tail


class NativeFeed:
    """What the native streams have in common."""

    content_type = EVENT_STREAM
    shared = True

    def __init__(self, subscription: Subscription, running: Running) -> None:
        self.subscription = subscription
        self.finished = False
        self._tail = subscription.tail
        self._running = running

    def encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        """Yield the events' shared frames."""
        return sse.chunks(self._tail.epoch, records, SEND_BYTES)

    def notice(self) -> bytes:
        """Return nothing: only the broadcast channel has notices."""
        return b""

    def ping(self) -> bytes:
        """Return a ping with the head, so that a client knows whether it is behind."""
        return sse.control("ping", {"cursor": str(Cursor(self._tail.epoch, self._tail.head))})

    def bye(self, reason: str) -> bytes:
        """Return the frames before a clean end."""
        if reason == "deleted":
            return sse.control("bye", {"reason": reason})  # there is nothing to come back to
        milliseconds = draw_retry()
        return sse.retry(milliseconds) + sse.control("bye", {"reason": reason, "retry_after": milliseconds / 1000})

    def _hello(self, verdict: Verdict, **more: str) -> bytes:
        data: dict[str, Any] = {
            "stream": self._tail.name,
            "epoch": self._tail.epoch,
            "cursor": str(Cursor(self._tail.epoch, self.subscription.after)),
            "resumed": verdict.resumed,
            "reason": verdict.reason,
            **more,
        }
        return sse.control("hello", data)


class ConversationFeed(NativeFeed):
    """A conversation's stream, for ever or until nothing runs."""

    def __init__(
        self,
        engine: Engine,
        running: Running,
        tail: Tail,
        verdict: Verdict,
        *,
        from_start: bool = False,
        until_idle: bool = False,
    ) -> None:
        start = 0 if from_start else verdict.after
        far_behind = None if from_start else FAR_BEHIND
        super().__init__(Subscription(engine, tail, start or 0, far_behind=far_behind), running)
        self._engine = engine
        self._verdict = verdict
        self._needs_snapshot = start is None
        self._until_idle = until_idle

    async def opening(self) -> bytes:
        """Return `retry`, `hello`, and a snapshot where the client has no position to go on from."""
        snapshot = await self.again() if self._needs_snapshot else b""
        return sse.retry(draw_retry()) + self._hello(self._verdict) + snapshot

    async def again(self) -> bytes:
        """Return a snapshot, and go on from it."""
        snapshot, seq = await take_snapshot(self._engine, self._tail)
        self.subscription.after = seq
        data = {"conversation": snapshot.conversation, "messages": snapshot.messages, "cursor": snapshot.cursor}
        return sse.control("snapshot", data, Cursor(self._tail.epoch, seq))

    def farewell(self) -> bytes | None:
        """End when the conversation is deleted, when the server drains and nothing runs here, or when asked to."""
        if self._tail.deleted:
            return self.bye("deleted")
        history = history_of(self._tail)
        running = any(self._running.runs(reply_id) for reply_id in history.running)
        if self._running.drained or (self._running.draining.is_set() and not running):
            return self.bye("drain")
        return b"" if self._until_idle and not history.running else None


class ReplyFeed(NativeFeed):
    """What a POST that accepts a stream gets: the log from the cursor on, until its own reply has ended."""

    shared = False  # it ends in the middle of a batch where its reply does

    def __init__(self, engine: Engine, running: Running, tail: Tail, after: int, reply_id: str) -> None:
        # Never too far behind: whoever repeats a request reads its reply from the first event.
        super().__init__(Subscription(engine, tail, after, far_behind=None), running)
        self._reply_id = reply_id

    async def opening(self) -> bytes:
        """Return `retry`, and `hello` with the ids that the answer has no body for."""
        ids = {"conversation_id": history_of(self._tail).id, "reply_id": self._reply_id}
        return sse.retry(draw_retry()) + self._hello(NO_CURSOR, **ids)

    def encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        """Yield the events' shared frames, up to the end of the reply."""
        return sse.chunks(self._tail.epoch, self._own(records), SEND_BYTES)

    def _own(self, records: Sequence[Record]) -> Sequence[Record]:
        for place, record in enumerate(records):
            if record.type == "reply.ended":
                event = record.event()
                if isinstance(event, ReplyEnded) and event.reply_id == self._reply_id:
                    self.finished = True
                    return records[: place + 1]
        return records

    async def again(self) -> bytes:
        """Return nothing: such a reader is never too far behind."""
        raise NotFound("A reply's events are kept until its conversation is deleted.")

    def farewell(self) -> bytes | None:
        """End with the reply, or when the server drains before the reply runs."""
        if self._tail.deleted:
            return self.bye("deleted")
        reply = history_of(self._tail).messages[self._reply_id]
        if not reply.live:
            return b""
        waits = self._running.draining.is_set() and not self._running.runs(self._reply_id)
        return self.bye("drain") if waits or self._running.drained else None


class TextFeed(ReplyFeed):
    """The same as bare text, for `curl -N`."""

    content_type = "text/plain; charset=utf-8"

    async def opening(self) -> bytes:
        """Return nothing: the ids are in the headers."""
        return b""

    def encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        """Yield the text of this reply."""
        deltas = (record.event() for record in self._own(records) if record.type == "reply.delta")
        text = "".join(
            event.text
            for event in deltas
            if isinstance(event, ReplyDelta) and event.reply_id == self._reply_id and event.kind is None
        )
        return [text.encode()] if text else []

    def ping(self) -> bytes:
        """Return nothing: everything sent is the reply's text."""
        return b""

    def bye(self, reason: str) -> bytes:
        """Cut the connection: everything sent is the reply's text, and a clean end means that this is all of it."""
        raise Unfinished(reason)


class BroadcastFeed(NativeFeed):
    """The broadcast channel, with a notice whenever somebody joined."""

    def __init__(
        self, engine: Engine, running: Running, broadcast: Broadcast, verdict: Verdict, *, joins: bool, from_start: bool
    ) -> None:
        tail = broadcast.tail
        start = tail.start if from_start else tail.head if verdict.after is None else verdict.after
        far_behind = None if from_start else FAR_BEHIND
        super().__init__(Subscription(engine, tail, start, far_behind=far_behind), running)
        self._broadcast = broadcast
        self._verdict = verdict
        self._joins = joins
        self._told = broadcast.told

    async def opening(self) -> bytes:
        """Return `retry` and `hello`, and tell everybody of a newcomer."""
        if self._joins:
            self._broadcast.join()
        return sse.retry(draw_retry()) + self._hello(self._verdict)

    def notice(self) -> bytes:
        """Return one notice of all joins that this subscriber has not been told of."""
        joins = self._broadcast.told - self._told
        self._told = self._broadcast.told
        return sse.text(join_notice(joins)) if joins else b""

    async def again(self) -> bytes:
        """Go on from the head, and say so: there is no snapshot of a channel."""
        self.subscription.after = self._tail.head
        return self._hello(Verdict(None, False, "behind"))

    def farewell(self) -> bytes | None:
        """End when the server drains."""
        return self.bye("drain") if self._running.draining.is_set() else None
