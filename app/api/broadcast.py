"""The broadcast channel, as the source article has it: `GET /events` and `POST /send-message`."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.types import ASGIApp

from app.api.feeds import BroadcastFeed
from app.api.node import ThisNode
from app.api.requests import body_limit, cursor_of, idempotency_key, query_choice, read_json
from app.api.stream import Stream
from app.resume import judge


class NewBroadcast(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /send-message`."""

    message: str


@get("/events")
async def stream_broadcast(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Stream what is said to everybody."""
    given = cursor_of(request)
    from_start = query_choice(request, "from", "start") and given is None
    tail = node.broadcast.tail
    feed = BroadcastFeed(
        node.log, node.running, node.broadcast, judge(tail, given), joins=given is None, from_start=from_start
    )
    return Stream(node.streams, feed)


@post("/send-message", status_code=200)
async def send_message(request: Request[Any, Any, Any], node: ThisNode) -> Response[str]:
    """Say something to everybody."""
    body = await read_json(request, NewBroadcast, body_limit(node.settings.max_broadcast_bytes))
    again = await node.broadcast.say(body.message, await idempotency_key(request))
    headers = {"Idempotency-Replayed": "true"} if again else None
    return Response("Message sent successfully!", media_type=MediaType.TEXT, headers=headers)
