"""Streams that are not of one conversation: the list, and many streams on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from litestar import Request, get
from litestar.types import ASGIApp

from app.api.feeds import BroadcastFeed, ControlFrames, ConversationFeed
from app.api.forms import EVENT_STREAM, Form
from app.api.list_feed import LIST, ListFeed
from app.api.node import Node, ThisNode
from app.api.requests import PRINCIPAL
from app.api.stream import Farewell, Feed, Stream
from app.errors import Invalid, NotFound
from app.ids import BROADCAST, conversation_stream
from app.resume import judge
from app.tail import Batch, Listener


@get("/conversations/events")
async def stream_list(node: ThisNode) -> ASGIApp:
    """Stream the list of conversations: its first page, then whichever changes."""
    return Stream(node.streams, ListFeed(node.log, node.running, PRINCIPAL))


@get("/streams")
async def stream_many(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Stream many streams on one connection, each from its own cursor on."""
    watched = [tuple(value.partition("@")[::2]) for value in request.query_params.getall("watch", [])]
    names = [name for name, _ in watched]
    if not names:
        raise Invalid("Name the streams: watch=<name>@<cursor>, once for each.", "watch")
    if len(set(names)) < len(names):
        raise Invalid("A stream is named more than once.", "watch")
    for name in names:
        check_name(name, "watch")
    feeds: list[Feed] = []
    try:
        for name, cursor in watched:
            feeds.append(await open_feed(node, name, cursor or None))
    except BaseException:
        for feed in feeds:
            feed.close()
        raise
    return Stream(node.streams, *feeds)


def check_name(name: str, path: str) -> None:
    """Refuse what is no name of a stream, at `path`. Raises `Invalid`."""
    id = name.partition("/")[2]
    if name not in (BROADCAST, LIST) and not (id and name == conversation_stream(id)):
        raise Invalid(f"A stream is called {BROADCAST}, {LIST} or {conversation_stream('<id>')}.", path)


async def open_feed(node: Node, name: str, given: str | None, form: Form = EVENT_STREAM) -> Feed:
    """Return the feed of a stream by its name, from a cursor on; one that is not there says so, and is over."""
    if name == LIST:
        return ListFeed(node.log, node.running, PRINCIPAL, named=True, form=form)
    if name == BROADCAST:
        verdict = judge(node.broadcast.tail, given)
        joins = given is None
        return BroadcastFeed(node.log, node.running, node.broadcast, verdict, joins=joins, named=True, form=form)
    try:
        async with node.conversations.open(PRINCIPAL, name.partition("/")[2]) as tail:
            return ConversationFeed(node.log, node.running, tail, judge(tail, given), named=True, form=form)
    except NotFound:
        return _GoneFeed(name, named=True, form=form)


class _GoneFeed(ControlFrames):
    """A conversation that is not there. An error would end the other streams of its connection, and for good."""

    def __init__(self, name: str, *, named: bool, form: Form) -> None:
        super().__init__(name, named=named, form=form)
        self.listeners: dict[Listener, None] = {}

    async def opening(self) -> bytes:
        return self.retry() + self.hello_of_none()

    async def poll(self) -> Iterable[bytes] | None:
        return None

    def ready(self, batch: Batch) -> bytes | None:  # noqa: ARG002 - the signature of all feeds
        return None

    def glance(self) -> bytes | None:
        return None

    def ping(self) -> bytes:
        return b""

    def farewell(self) -> Farewell | None:
        return "deleted"

    def close(self) -> None:
        pass
