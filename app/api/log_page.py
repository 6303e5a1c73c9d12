"""The log of a conversation as JSON, for clients behind proxies that hold streams back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get

from app.api.feeds import hello
from app.api.messages import MAX_WAIT
from app.api.node import Node, PathId, ThisNode
from app.api.requests import PRINCIPAL, cursor_of, query_choice, query_number, wait_at_most
from app.api.responses import json_response
from app.errors import NotFound
from app.events import Record
from app.ids import Cursor
from app.resume import judge
from app.snapshots import Snapshot, take_snapshot
from app.subscription import BEHIND, Subscription
from app.tail import Tail

MAX_EVENTS = 1000
"""How many events one answer holds..."""
MAX_BYTES = 2**20
"""... and how many bytes of them, but one event at least."""


class LogPage(msgspec.Struct, omit_defaults=True):
    """The answer to `GET /conversations/{id}/log`; `cursor` is what the next call goes on from."""

    hello: dict[str, Any]
    events: Sequence[msgspec.Raw]
    cursor: str
    snapshot: Snapshot | None = None


@get("/conversations/{conversation_id:str}/log")
async def read_log(request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId) -> Response[bytes]:
    """Read what follows a cursor, as its stream would send it; with `wait`, wait for something to follow."""
    given = cursor_of(request)
    from_start = query_choice(request, "from", "start") and given is None
    seconds = query_number(request, "wait", 0, 0, MAX_WAIT)
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        verdict = judge(tail, given)
        after = 0 if from_start else verdict.after
        if after is None:
            snapshot, after = await take_snapshot(node.log.engine, tail)
            page = LogPage(hello(tail, verdict, after), (), snapshot.cursor, snapshot)
        else:
            if seconds:
                with node.streams.place():
                    await wait_at_most(request, seconds, _wait(node, tail, after))
            records = await _read(node, tail, after)
            events = [_with_id(tail.epoch, record) for record in records]
            page = LogPage(hello(tail, verdict, after), events, str(Cursor(tail.epoch, after + len(records))))
        return json_response(page)


async def _wait(node: Node, tail: Tail, after: int) -> None:
    while tail.head <= after and not tail.deleted and not node.running.draining.is_set():
        await tail.changed.wait()  # taken in the same turn as the look, so no wake-up is lost in between


async def _read(node: Node, tail: Tail, after: int) -> list[Record]:
    """Return what follows, as much as an answer holds."""
    subscription = Subscription(node.log.engine, tail, after, far_behind=None)
    page: list[Record] = []
    size = 0
    while records := await subscription.poll():
        if records is BEHIND:
            raise NotFound("There is no such conversation.")  # its events are kept until it is deleted
        for record in records:
            size += len(record.data)
            if page and (len(page) == MAX_EVENTS or size > MAX_BYTES):
                return page
            page.append(record)
    return page


def _with_id(epoch: str, record: Record) -> msgspec.Raw:
    return msgspec.Raw(b'{"id":"%b",%b' % (str(Cursor(epoch, record.seq)).encode(), record.data[1:]))
