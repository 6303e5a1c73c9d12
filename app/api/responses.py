"""The answers that several resources share: JSON, and the three forms of an accepted prompt."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures.headers import Accept
from litestar.types import ASGIApp

from app.api.node import Node
from app.api.reply_feeds import ReplyFeed, TextFeed
from app.api.requests import PRINCIPAL
from app.api.stream import Stream
from app.errors import TooMany
from app.ids import Cursor
from app.questions import Asked

_encode = msgspec.json.Encoder().encode


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a JSON answer."""
    return Response(_encode(content), status_code=status, media_type=MediaType.JSON, headers=headers)


def check_streams(request: Request[Any, Any, Any], node: Node) -> None:
    """Refuse a prompt whose answer is to be streamed while no more streams may be opened. Raises `TooMany`."""
    if _accepted(request) != "application/json" and node.streams.open >= node.streams.limit:
        raise TooMany(f"{node.streams.limit} streams are open, which is the limit; ask for JSON instead.")


async def answer_asked(request: Request[Any, Any, Any], node: Node, asked: Asked, again: bool) -> ASGIApp:
    """Answer an accepted prompt with JSON, or with its stream or text where the client accepts that rather."""
    conversation_id = asked.conversation.id
    headers = {"Location": f"/conversations/{conversation_id}"}
    if again:
        headers["Idempotency-Replayed"] = "true"
    accepted = _accepted(request)
    if accepted == "application/json":
        return json_response(asked, status=201, headers=headers)  # type: ignore[return-value]
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        cursor = Cursor.parse(asked.cursor)
        after = cursor.seq if cursor else 0
        feed = TextFeed if accepted == "text/plain" else ReplyFeed
        ids = {"x-conversation-id": conversation_id, "x-reply-id": asked.reply.id}
        return Stream(
            node.streams,
            feed(node.log, node.running, tail, after, asked.reply.id),
            status=201,
            headers=headers | ids,
        )


def _accepted(request: Request[Any, Any, Any]) -> str:
    return _best_match(request.headers.get("accept", "*/*"))


@lru_cache(16)
def _best_match(accept: str) -> str:
    return Accept(accept).best_match(["application/json", "text/event-stream", "text/plain"], "application/json")
