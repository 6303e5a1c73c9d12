"""The feeds: what each kind of stream sends beside its events."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.api.forms import EVENT_STREAM, Form
from app.api.stream import Farewell
from app.broadcast import Broadcast, join_notice
from app.events import Record
from app.ids import Cursor
from app.log import Log
from app.resume import Verdict
from app.running import Running
from app.snapshots import history_of, take_snapshot
from app.subscription import BEHIND, FAR_BEHIND, Subscription
from app.tail import Batch, Listener, Tail

RETRY_MILLISECONDS = (1000, 3000)
"""Drawn per stream, so that a thousand clients that were cut off together do not return together."""


def hello(tail: Tail, verdict: Verdict, after: int, **more: str) -> dict[str, Any]:
    """Return what is said first of a stream: where sending starts, and why there."""
    return {
        "type": "hello",
        "stream": tail.name,
        "epoch": tail.epoch,
        "cursor": str(Cursor(tail.epoch, after)),
        "resumed": verdict.resumed,
        "reason": verdict.reason,
        **more,
    }


class ControlFrames:
    """The control frames of one stream; where it is `named`, each says which stream it belongs to."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, name: str, *, named: bool, form: Form = EVENT_STREAM) -> None:
        self._name = name
        self._form = form
        self._more = {"stream": name} if named else {}

    def retry(self) -> bytes:
        """Return the line that tells how long to wait before a reconnect."""
        return self._form.retry(_draw_retry())

    def hello_of_none(self) -> bytes:
        """Return the `hello` of a stream that has no epoch and takes no cursor."""
        said = {"stream": self._name, "epoch": None, "cursor": None, "resumed": False, "reason": None}
        return self._form.control("hello", said)

    def bye(self, reason: Farewell) -> bytes:
        """Return the frames before a clean end."""
        if reason == "idle":
            return b""
        if reason == "deleted":
            return self._control("bye", {"reason": reason})  # there is nothing to come back to
        milliseconds = _draw_retry()
        said = self._control("bye", {"reason": reason, "retry_after": milliseconds / 1000})
        return self._form.retry(milliseconds) + said

    def _control(self, type: str, data: Mapping[str, Any], cursor: Cursor | None = None) -> bytes:
        return self._form.control(type, {**data, **self._more}, cursor)


class NativeFeed(ControlFrames):
    """What the streams of the log have in common. It holds its tail until it is closed."""

    def __init__(
        self,
        log: Log,
        running: Running,
        subscription: Subscription,
        *,
        named: bool = False,
        form: Form = EVENT_STREAM,
    ) -> None:
        super().__init__(subscription.tail.name, named=named, form=form)
        self._log = log
        self._running = running
        self._subscription = subscription
        self._tail = subscription.tail
        log.tails.share(self._tail)

    @property
    def listeners(self) -> dict[Listener, None]:
        """Those of the tail."""
        return self._tail.listeners

    async def poll(self) -> Iterable[bytes] | None:
        """Return the frames of the next events; None at the head."""
        records = await self._subscription.poll()
        if records is BEHIND:
            return [await self._again()]
        return self._encode(records) if records else None

    def ready(self, batch: Batch) -> bytes | None:
        """Return the frames of a batch that begins where this stream stands."""
        subscription = self._subscription
        if subscription.after + len(batch.records) != self._tail.head:
            return None
        form = self._form
        if (encoded := batch.encoded.get(form)) is None:
            encoded = batch.encoded[form] = form.ready(self._name, self._tail.epoch, batch.records)
        subscription.after = self._tail.head
        return encoded

    def glance(self) -> bytes | None:
        """Return None: only the broadcast channel has something beside its events."""
        return None

    def ping(self) -> bytes:
        """Return a ping with the head, so that a client knows whether it is behind."""
        return self._control("ping", {"cursor": str(Cursor(self._tail.epoch, self._tail.head))})

    def close(self) -> None:
        """Let go of the tail."""
        self._log.tails.release(self._tail)

    def _encode(self, records: Sequence[Record]) -> Iterable[bytes]:
        return self._form.records(self._name, self._tail.epoch, records)

    def _hello(self, verdict: Verdict, **more: str) -> bytes:
        said = hello(self._tail, verdict, self._subscription.after, **more)
        return self.retry() + self._form.control("hello", said)

    async def _again(self) -> bytes:
        """Return what is sent where the next events are too many or gone, after moving the subscription."""
        raise NotImplementedError


class ConversationFeed(NativeFeed):
    """A conversation's stream, for ever or until nothing runs."""

    def __init__(
        self,
        log: Log,
        running: Running,
        tail: Tail,
        verdict: Verdict,
        *,
        from_start: bool = False,
        until_idle: bool = False,
        named: bool = False,
        form: Form = EVENT_STREAM,
    ) -> None:
        start = 0 if from_start else verdict.after
        far_behind = None if from_start else FAR_BEHIND
        subscription = Subscription(log.engine, tail, start or 0, far_behind=far_behind)
        super().__init__(log, running, subscription, named=named, form=form)
        self._verdict = verdict
        self._needs_snapshot = start is None
        self._until_idle = until_idle

    async def opening(self) -> bytes:
        """Return `hello`, and a snapshot where the client has no position to go on from."""
        snapshot = await self._again() if self._needs_snapshot else b""
        return self._hello(self._verdict) + snapshot

    def farewell(self) -> Farewell | None:
        """End when the conversation is deleted, when the server drains and nothing runs here, or when asked to."""
        if self._tail.deleted:
            return "deleted"
        history = history_of(self._tail)
        if self._tail.transient and not history.running:
            return "deleted"  # it goes when the last of its readers has left
        if self._running.draining.is_set():
            running = any(self._running.runs(reply_id) for reply_id in history.running)
            if self._running.drained or not running:
                return "drain"
        return "idle" if self._until_idle and not history.running else None

    async def _again(self) -> bytes:
        """Return a snapshot, and go on from it."""
        snapshot, seq = await take_snapshot(self._log.engine, self._tail)
        self._subscription.after = seq
        data = {"conversation": snapshot.conversation, "messages": snapshot.messages, "cursor": snapshot.cursor}
        return self._control("snapshot", data, Cursor(self._tail.epoch, seq))


class BroadcastFeed(NativeFeed):
    """The broadcast channel, with a notice whenever somebody joined."""

    def __init__(
        self,
        log: Log,
        running: Running,
        broadcast: Broadcast,
        verdict: Verdict,
        *,
        joins: bool,
        from_start: bool = False,
        named: bool = False,
        form: Form = EVENT_STREAM,
    ) -> None:
        tail = broadcast.tail
        start = tail.start if from_start else tail.head if verdict.after is None else verdict.after
        far_behind = None if from_start else FAR_BEHIND
        subscription = Subscription(log.engine, tail, start, far_behind=far_behind)
        super().__init__(log, running, subscription, named=named, form=form)
        self._broadcast = broadcast
        self._verdict = verdict
        self._joins = joins
        self._told = broadcast.told

    async def opening(self) -> bytes:
        """Return `hello`, and tell everybody of a newcomer."""
        if self._joins:
            self._broadcast.join()
        return self._hello(self._verdict)

    async def poll(self) -> Iterable[bytes] | None:
        """Return one notice of all joins that this subscriber has not been told of, else the next events."""
        if joins := self._joins_to_tell():
            return [self._notice(joins)]
        return await super().poll()

    def glance(self) -> bytes | None:
        """Return the chunk of a notice, which is the same for all who were told of the joins before."""
        joins = 0 if self._running.draining.is_set() else self._joins_to_tell()
        return _packed_notice(self._form, self._name, joins) if joins else None

    def farewell(self) -> Farewell | None:
        """End when the server drains."""
        return "drain" if self._running.draining.is_set() else None

    def _notice(self, joins: int) -> bytes:
        return self._form.notice(self._name, join_notice(joins))

    def _joins_to_tell(self) -> int:
        told, self._told = self._told, self._broadcast.told
        return self._told - told

    async def _again(self) -> bytes:
        """Go on from the head, and say so: there is no snapshot of a channel."""
        self._subscription.after = self._tail.head
        return self._hello(Verdict(None, False, "behind"))


@functools.lru_cache(maxsize=8)
def _packed_notice(form: Form, name: str, joins: int) -> bytes:
    return form.packed(form.notice(name, join_notice(joins)))


def _draw_retry() -> int:
    return random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - spreads clients, guards nothing
