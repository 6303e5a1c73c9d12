"""Conversations: create, list, read, rename, delete, and the stream of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.types import ASGIApp

from app.api.feeds import ConversationFeed
from app.api.node import PathId, ThisNode
from app.api.requests import (
    OPTIONS_BYTES,
    PRINCIPAL,
    body_limit,
    cursor_of,
    idempotency_key,
    query,
    query_choice,
    query_count,
    read_json,
)
from app.api.responses import answer_asked, check_streams, json_response
from app.api.stream import Stream
from app.errors import Invalid
from app.ids import parse_numbers, write_numbers
from app.questions import Question
from app.resume import judge
from app.search import Listed
from app.snapshots import history_of, take_snapshot
from app.titles import MAX_TITLE_CHARACTERS

TITLE_BYTES = 4 * MAX_TITLE_CHARACTERS


class NewConversation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /conversations`."""

    prompt: str
    system: str | None = None
    responder: str | None = None
    options: dict[str, Any] | None = None
    title: str | None = None


class NewTitle(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PATCH /conversations/{id}`."""

    title: str


class ConversationPage(msgspec.Struct):
    """The answer to `GET /conversations`."""

    conversations: Sequence[Listed]
    next: str | None


@post("/conversations")
async def create_conversation(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Begin a conversation with a prompt."""
    check_streams(request, node)
    body = await read_json(
        request, NewConversation, body_limit(2 * node.settings.max_prompt_bytes, OPTIONS_BYTES, TITLE_BYTES)
    )
    question = Question.of(body.prompt, system=body.system, responder=body.responder, options=body.options)
    key = await idempotency_key(request)
    asked, again = await node.conversations.create(PRINCIPAL, question, title=body.title, key=key)
    return await answer_asked(request, node, asked, again)


@get("/conversations")
async def list_conversations(request: Request[Any, Any, Any], node: ThisNode) -> Response[bytes]:
    """List conversations, newest activity first; with `q`, those in which it is found."""
    text = query(request, "q")
    limit = query_count(request, "limit", 50, 1, 100)
    before = query(request, "before")
    place = parse_numbers(before, 2) if before else None
    if before and place is None:
        raise Invalid("before is what `next` was in an earlier answer.", "before")
    start = (place[0], place[1]) if place else None
    if text is None:
        stored, after = await node.log.engine.conversations(PRINCIPAL, start, limit)
        page = list(map(Listed.of, stored))
    else:
        page, after = await node.search.find(PRINCIPAL, text, start, limit)
    return json_response(ConversationPage(page, write_numbers(*after) if after else None))


@get("/conversations/{conversation_id:str}")
async def read_conversation(node: ThisNode, conversation_id: PathId) -> Response[bytes]:
    """Read a conversation as a snapshot holds it."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        snapshot, _ = await take_snapshot(node.log.engine, tail)
        return json_response(snapshot)


@patch("/conversations/{conversation_id:str}")
async def rename_conversation(
    request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId
) -> Response[bytes]:
    """Give a conversation another title."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        body = await read_json(request, NewTitle, body_limit(TITLE_BYTES))
        return json_response({"conversation": await node.conversations.rename(tail, body.title)})


@delete("/conversations/{conversation_id:str}")
async def delete_conversation(node: ThisNode, conversation_id: PathId) -> None:
    """Stop what runs in a conversation, and remove it."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        await node.conversations.delete(tail)


@get("/conversations/{conversation_id:str}/events")
async def stream_conversation(request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId) -> ASGIApp:
    """Stream a conversation: everything after a cursor, then live."""
    given = cursor_of(request)
    from_start = query_choice(request, "from", "start") and given is None
    until_idle = query_choice(request, "until", "idle")
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        verdict = judge(tail, given)
        if until_idle and verdict.after == tail.head and not history_of(tail).running:
            # 204 is the one answer that stops an EventSource for good.
            return Response(b"", status_code=204)  # type: ignore[return-value]
        feed = ConversationFeed(node.log, node.running, tail, verdict, from_start=from_start, until_idle=until_idle)
        return Stream(node.streams, feed)
