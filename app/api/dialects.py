"""What all other dialects share: one reply through a codec, as a stream or awaited, and what a hang-up does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import msgspec
from litestar import Request

from app.api.forms import SEND_BYTES
from app.api.node import Node
from app.api.requests import (
    PRINCIPAL,
    forget_body,
    idempotency_key,
    read_body,
    read_structs,
    wait_at_most,
)
from app.api.stream import Farewell, Unfinished
from app.api.wire import make_chunk
from app.branches import merged
from app.continuing import continued
from app.departures import LINGER_SECONDS
from app.errors import Draining, Full, Malformed, NotFound
from app.events import Record
from app.idempotency import Key
from app.imports import MAX_IMPORT_BYTES
from app.messages import Parameters, Reply
from app.questions import Asked, Question
from app.snapshots import history_of
from app.subscription import BEHIND, Subscription
from app.tail import Batch, Listener, Tail
from responders.base import Turn

S = TypeVar("S")
T = TypeVar("T")

LONG_BODY = 512 * 1024
"""A body that is longer, or does not say how long it is, needs one of the places that imports have."""

OnDisconnect = Literal["stop", "linger", "continue"]
LINGER: dict[str, float | None] = {"stop": 0.0, "linger": LINGER_SECONDS, "continue": None}
"""How long a reply goes on for somebody to come back, once whoever asked has hung up; None is to its end (G10)."""


class Codec(Protocol):
    """A dialect's frames of one reply, made from its events in order; pure."""

    ended: bool
    """Whether the frames of the reply's ending were given."""

    def step(self, records: Sequence[Record]) -> bytes:
        """Return the frames of the next records; those of other replies are passed over."""


class DialectFeed:
    """One reply's events through a codec, until it has ended. It holds its tail until it is closed.

    `after` precedes the reply's first event, `opening` is sent first, `heartbeat` keeps a quiet stream open, and
    `broken` is what the dialect has for an end before the reply's; where it has nothing the connection is cut.
    """

    content_type = "text/event-stream; charset=utf-8"

    def __init__(
        self,
        node: Node,
        tail: Tail,
        reply_id: str,
        after: int,
        codec: Codec,
        *,
        opening: bytes = b"",
        heartbeat: bytes = b": ping\n",
        broken: bytes = b"",
        linger: float | None = None,
    ) -> None:
        self._node = node
        self._tail = tail
        self._reply_id = reply_id
        self._codec = codec
        self._opening = opening
        self._heartbeat = heartbeat
        self._broken = broken
        self._linger = linger
        # Never too far behind: whoever repeats a request reads its reply from the first event.
        self._subscription = Subscription(node.log.engine, tail, after, far_behind=None)
        node.log.tails.share(tail)

    @property
    def listeners(self) -> dict[Listener, None]:
        """Those of the tail."""
        return self._tail.listeners

    async def opening(self) -> bytes:
        """Return what the dialect begins with."""
        return self._opening

    async def poll(self) -> Iterable[bytes] | None:
        """Return the frames of the next events; None at the head, or once the reply's ending was returned."""
        if self._codec.ended:
            return None
        records = await self._subscription.poll()
        if records is BEHIND:
            raise NotFound("A reply's events are kept until its conversation is deleted.")
        if not records:
            return None
        frames = self._codec.step(records)
        return (frames[at : at + SEND_BYTES] for at in range(0, len(frames), SEND_BYTES))

    def ready(self, batch: Batch) -> bytes | None:
        """Return the frames of a batch that begins where this stream stands; None where the stream may end in it."""
        subscription = self._subscription
        if batch.may_end or subscription.after + len(batch.records) != self._tail.head:
            return None
        subscription.after = self._tail.head
        frames = self._codec.step(batch.records)
        return make_chunk(frames) if frames else b""  # an empty chunk is the end of a body

    def glance(self) -> bytes | None:
        """Return None: there is nothing beside the events."""
        return None

    def ping(self) -> bytes:
        """Return the dialect's heartbeat."""
        return self._heartbeat

    def farewell(self) -> Farewell | None:
        """End with the reply, or when the server drains before the reply runs."""
        if self._codec.ended:
            return "idle"
        if self._tail.deleted:
            return "deleted"
        running = self._node.running
        waits = running.draining.is_set() and not running.runs(self._reply_id)
        return "drain" if waits or running.drained else None

    def bye(self, reason: Farewell) -> bytes:
        """Return what the dialect has for an early end. Raises `Unfinished` where that is nothing."""
        if reason != "idle" and not self._broken:
            raise Unfinished(reason)
        return b"" if reason == "idle" else self._broken

    def close(self) -> None:
        """Let go of the tail; a reply that nobody came back to is stopped after its time."""
        tail = self._tail
        if self._linger is not None and not tail.deleted and history_of(tail).messages[self._reply_id].live:
            self._node.departures.hung_up(tail, self._reply_id, self._linger)
        self._node.log.tails.release(tail)


async def read_request(
    request: Request[Any, Any, Any], node: Node, type: type[S], take: Callable[[S], T]
) -> tuple[T, Key | None]:
    """Return what `take` makes of a body that holds a whole history, and the request's idempotency key.

    Raises `TooMany` and whatever reading a body does.
    """
    if 0 < (request.content_length or 0) <= LONG_BODY:
        return await _read(request, type, take)
    with node.imports.place():
        try:
            async with node.imports.turn:
                return await _read(request, type, take)
        finally:
            forget_body(request)


async def _read(request: Request[Any, Any, Any], type: type[S], take: Callable[[S], T]) -> tuple[T, Key | None]:
    body = await read_body(request, MAX_IMPORT_BYTES)
    key = await idempotency_key(request)
    return await read_structs(body, type, take), key


def read_linger(given: str | None, default: OnDisconnect) -> float | None:
    """Return how long a reply goes on after a hang-up, from the header `x-on-disconnect`. Raises `Malformed`."""
    if (given or default) not in LINGER:
        raise Malformed("x-on-disconnect is one of stop, linger and continue.")
    return LINGER[given or default]


async def ask_whole(
    node: Node,
    turns: Sequence[Turn],
    responder: str | None,
    parameters: Parameters,
    *,
    conversation_id: str | None = None,
    transient: bool = False,
    key: Key | None = None,
    path: str = "messages",
) -> tuple[Asked, bool]:
    """Ask with a history that is sent whole: it goes on where one like it is stored, else it is a new conversation.

    A conversation that is named takes it in any case; what of it is not there yet becomes another branch. One that was
    found and is full, or gone by now, is left alone. Says too whether the answer was kept from an earlier request.
    """
    whole = Question(turns=tuple(merged(turns)), responder=responder, parameters=parameters, path=path)
    branch, new = None, whole.turns
    if not transient:
        branch, new = await continued(node.log.engine, PRINCIPAL, whole.turns, conversation_id)
    found = branch.conversation_id if branch else conversation_id
    if found is not None:
        try:
            async with node.conversations.open(PRINCIPAL, found) as tail:
                question = msgspec.structs.replace(whole, turns=new)
                parent = branch.message_id if branch else None
                return await node.conversations.ask(tail, question, parent=parent, key=key)
        except (Full, NotFound):
            if conversation_id is not None:
                raise
    return await node.conversations.create(PRINCIPAL, whole, transient=transient, key=key)


@contextmanager
def accepted(ids: dict[str, str]) -> Iterator[None]:
    """Let every error within say that a reply was accepted, and which: a client that asks again would pay twice."""
    try:
        yield
    except Exception as error:
        error.headers = {**ids, "x-should-retry": "false"}  # type: ignore[attr-defined]
        raise


async def await_reply(
    request: Request[Any, Any, Any], node: Node, tail: Tail, reply_id: str, linger: float | None
) -> Reply:
    """Return a reply once it has ended, however long that takes. Raises `Draining` where it goes on after a restart.

    A client that has closed its side may be gone, or still reads: so its answer comes, but what it does not wait for
    is stopped.
    """
    await wait_at_most(request, None, _ending(node, tail, reply_id), read=True)
    if history_of(tail).messages[reply_id].live:
        if linger is not None and not node.running.drained:
            node.departures.hung_up(tail, reply_id, linger)
        await _ending(node, tail, reply_id)
    reply = await node.conversations.reply(tail, reply_id)
    if reply.live:
        raise Draining("The server is about to end; the reply goes on when it is back.")
    return reply


async def _ending(node: Node, tail: Tail, reply_id: str) -> None:
    running = node.running
    while history_of(tail).messages[reply_id].live:
        changed = tail.changed
        if running.drained or (running.draining.is_set() and not running.runs(reply_id)):
            return
        await changed.wait()
