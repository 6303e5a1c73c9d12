"""Messages and replies of a conversation: ask, page, read, wait, stop, retry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.types import ASGIApp

from app.api.node import Node, PathId, ThisNode
from app.api.requests import (
    OPTIONS_BYTES,
    PRINCIPAL,
    body_limit,
    idempotency_key,
    query,
    query_count,
    query_number,
    read_json,
    wait_at_most,
)
from app.api.responses import answer_asked, check_streams, json_response
from app.conversations import IfRunning
from app.errors import Invalid
from app.ids import parse_numbers, write_numbers
from app.messages import Message
from app.questions import Question
from app.snapshots import history_of, read_page
from app.tail import Tail

MAX_WAIT = 30.0


class NewMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /conversations/{id}/messages`; `parent` is the head where it is absent, the root where null."""

    prompt: str
    parent: str | msgspec.UnsetType | None = msgspec.UNSET
    responder: str | None = None
    options: dict[str, Any] | None = None
    if_running: IfRunning | None = None


class Retry(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a retry; what is absent is as it was."""

    responder: str | None = None
    options: dict[str, Any] | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a stop."""


class MessagePage(msgspec.Struct):
    """The answer to `GET /conversations/{id}/messages`."""

    messages: Sequence[Message]
    next: str | None


@post("/conversations/{conversation_id:str}/messages")
async def ask(request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId) -> ASGIApp:
    """Add a prompt to a conversation."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        check_streams(request, node)
        body = await read_json(request, NewMessage, body_limit(node.settings.max_prompt_bytes, OPTIONS_BYTES))
        question = Question.of(body.prompt, responder=body.responder, options=body.options)
        key = await idempotency_key(request)
        asked, again = await node.conversations.ask(
            tail, question, parent=body.parent, if_running=body.if_running, key=key
        )
        return await answer_asked(request, node, asked, again)


@get("/conversations/{conversation_id:str}/messages")
async def list_messages(request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId) -> Response[bytes]:
    """Page through the messages of all branches, from the newest back; each page is in order of creation."""
    limit = query_count(request, "limit", 50, 1, 100)
    before = query(request, "before")
    place = parse_numbers(before, 1) if before else None
    if before and place is None:
        raise Invalid("before is what `next` was in an earlier answer.", "before")
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        page, next_before = await read_page(node.log.engine, tail, place[0] if place else None, limit)
        return json_response(MessagePage(page, None if next_before is None else write_numbers(next_before)))


@get("/conversations/{conversation_id:str}/replies/{reply_id:str}")
async def read_reply(
    request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId, reply_id: PathId
) -> Response[bytes]:
    """Read a reply, at once or when it has ended."""
    seconds = query_number(request, "wait", 0, 0, MAX_WAIT)
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        await node.conversations.reply(tail, reply_id)
        if seconds:
            with node.streams.place():
                await wait_at_most(request, seconds, _wait_for_end(node, tail, reply_id))
        return json_response({"reply": await node.conversations.reply(tail, reply_id)})


@post("/conversations/{conversation_id:str}/replies/{reply_id:str}/stop", status_code=200)
async def stop_reply(
    request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId, reply_id: PathId
) -> Response[bytes]:
    """Stop a reply."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        await read_json(request, Nothing, body_limit(), optional=True)
        await idempotency_key(request)
        return json_response({"reply": await node.conversations.stop(tail, reply_id)})


@post("/conversations/{conversation_id:str}/replies/{reply_id:str}/retry")
async def retry_reply(
    request: Request[Any, Any, Any], node: ThisNode, conversation_id: PathId, reply_id: PathId
) -> ASGIApp:
    """Answer a prompt anew, beside an old reply."""
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        check_streams(request, node)
        body = await read_json(request, Retry, body_limit(OPTIONS_BYTES), optional=True)
        key = await idempotency_key(request)
        asked, again = await node.conversations.retry(
            tail, reply_id, responder=body.responder, options=body.options, key=key
        )
        return await answer_asked(request, node, asked, again)


async def _wait_for_end(node: Node, tail: Tail, reply_id: str) -> None:
    while not node.running.draining.is_set() and history_of(tail).messages[reply_id].live:
        await tail.changed.wait()  # taken in the same turn as the look, so no wake-up is lost in between
