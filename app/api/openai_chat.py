"""OpenAI's chat completions: what its clients post, answered with chunks or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from app.api.chat_requests import ChatRequest, parameters_of, read_chat
from app.api.dialects import DialectFeed, accepted, ask_whole, await_reply, read_linger, read_request
from app.api.node import Node, ThisNode
from app.api.openai_errors import request_id
from app.api.requests import PRINCIPAL
from app.api.responses import json_response
from app.api.stream import Stream
from app.codecs.openai_chat import CUT, ChatChunks, completion
from app.codecs.openai_error import reply_error
from app.errors import Invalid
from app.idempotency import Key
from app.ids import Cursor
from app.messages import Reply
from app.questions import Asked
from responders.base import Turn

_FAILED = {"failed": HTTPStatus.BAD_GATEWAY, "interrupted": HTTPStatus.SERVICE_UNAVAILABLE}


@post("/v1/chat/completions", status_code=200)
async def create_chat_completion(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Answer a history that is sent whole, as OpenAI's chat completions do."""
    linger = read_linger(request.headers.get("x-on-disconnect"), "linger")
    take = partial(read_chat, max_messages=node.settings.max_messages)
    (sent, turns), key = await read_request(request, node, ChatRequest, take)
    with node.streams.place():
        asked, again = await _ask(node, sent, turns, request.headers.get("x-conversation-id") or None, key)
        ids = {"x-conversation-id": asked.conversation.id, "x-reply-id": asked.reply.id}
        headers = {**ids, **request_id()}
        if again:
            headers["Idempotency-Replayed"] = "true"
        with accepted(ids):
            async with node.conversations.open(PRINCIPAL, asked.conversation.id) as tail:
                if not sent.stream:
                    reply = await await_reply(request, node, tail, asked.reply.id, linger)
                    return _answer(reply, headers)
                codec = ChatChunks(asked.reply, include_usage=_includes_usage(sent))
                cursor = Cursor.parse(asked.cursor)
                after = cursor.seq if cursor else 0
                feed = DialectFeed(
                    node, tail, asked.reply.id, after, codec, opening=codec.opening(), broken=CUT, linger=linger
                )
                return Stream(node.streams, feed, headers=headers)


async def _ask(
    node: Node, sent: ChatRequest, turns: list[Turn], conversation_id: str | None, key: Key | None
) -> tuple[Asked, bool]:
    transient = sent.store is False
    if transient and conversation_id is not None:
        raise Invalid("What goes into a conversation is stored.", "store")
    parameters, taken = parameters_of(sent, node.registry)
    try:
        return await ask_whole(
            node, turns, sent.model, parameters, conversation_id=conversation_id, transient=transient, key=key
        )
    except Invalid as error:
        # An option that was sent as a parameter is named as one.
        if (name := error.path.removeprefix("options.")).partition(".")[0] in taken:
            error.path = name
        raise


def _includes_usage(sent: ChatRequest) -> bool:
    return bool(sent.stream_options and sent.stream_options.include_usage)


def _answer(reply: Reply, headers: Mapping[str, str]) -> ASGIApp:
    if status := _FAILED.get(reply.status):
        refused = {**headers, "x-should-retry": "false"}
        return json_response(reply_error(reply.error), status=status, headers=refused)  # type: ignore[return-value]
    return json_response(completion(reply), headers=dict(headers))  # type: ignore[return-value]
