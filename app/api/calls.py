"""What every call takes and answers: one table, a line or a few per call, for the OpenAPI document.

Requests are read by us (`app.api.requests`), so Litestar knows paths and ids only. A call without its lines fails a
test, and so does any answer that a test of the edge gets and that is not as described here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from app.api.broadcast import NewBroadcast
from app.api.chat_requests import ChatRequest
from app.api.conversations import ConversationPage, NewConversation, NewTitle
from app.api.messages import MAX_WAIT, NewMessage, Nothing, Retry
from app.api.objects import (
    FRAMES,
    LIST_FRAMES,
    Bye,
    Health,
    Hello,
    Limits,
    LogPage,
    MessagePage,
    OneConversation,
    OneReply,
    Ping,
    ResponderInfo,
    Snapshot,
    one_of,
)
from app.api.openai_input_items import ItemPage
from app.api.openai_models import Model, ModelList
from app.api.openai_response_body import NewResponse
from app.api.openai_responses import DeletedResponse
from app.api.ui_requests import UIRequest
from app.codecs.openai_chat import ChatChunk, ChatCompletion
from app.codecs.openai_error import OpenAIError
from app.codecs.openai_response import OpenAIResponse
from app.exports import Export
from app.imports import Imported
from app.questions import Asked
from app.search import MAX_QUERY_CHARACTERS


class Call(NamedTuple):
    """What a call takes and answers; the status that refuses follows from that, but for those in `refused`."""

    answers: dict[int, dict[str, Any]]
    """By status: the schema of each content type."""
    body: type[Struct] | None = None
    body_optional: bool = False
    example: dict[str, Any] | None = None
    parameters: Sequence[dict[str, Any]] = ()
    headers: Sequence[str] = ()
    """What a 2xx answer may carry."""
    refused: Sequence[int] = ()


def _in(place: str, name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "in": place,
        "name": name,
        "description": description,
        "required": schema.pop("required", False),
        "schema": {"type": "string", **schema},
    }


def _json(type: Any) -> dict[str, Any]:
    return {"application/json": type}


def _stream(frames: Iterable[type]) -> dict[str, Any]:
    return {"text/event-stream": {"type": "string", "description": "Server-Sent Events", "x-data": one_of(*frames)}}


_TEXT = {"text/plain": {"type": "string"}}
_KEY = _in("header", "Idempotency-Key", "The same key and bytes act once.", minLength=1, maxLength=255)
_CURSOR = [
    _in("header", "Last-Event-ID", "The cursor; it goes before `after`."),
    _in("query", "after", "The cursor, where headers cannot be set."),
    _in("query", "from", "Without a cursor: the whole log from its first event.", enum=["start"]),
]
_WAIT = _in("query", "wait", "Seconds.", type="number", minimum=0, maximum=MAX_WAIT, default=0)
_PAGE = [
    _in("query", "limit", "How many.", type="integer", minimum=1, maximum=100, default=50),
    _in("query", "before", "What `next` was in the page before."),
]
_ASKED = Call(
    {201: _json(Asked) | _stream(FRAMES) | _TEXT},
    parameters=[_KEY],
    headers=["Location", "Idempotency-Replayed", "x-conversation-id", "x-reply-id"],
    refused=[413, 429, 503],
)
_ON_DISCONNECT = _in(
    "header", "x-on-disconnect", "What a hang-up does to the reply.", enum=["stop", "linger", "continue"]
)
_CONVERSATION = _in("header", "x-conversation-id", "The conversation that a history belongs to.")
_UI_CHUNKS = {"text/event-stream": {"type": "string", "description": "The AI SDK's UI message stream"}}
OPENAI_FRAMES = [ChatChunk, OpenAIError]
_RESPONSE_EVENTS = {"text/event-stream": {"type": "string", "description": "The events of OpenAI's Responses API"}}
_RESPONSE = Call(
    {200: _json(OpenAIResponse) | _RESPONSE_EVENTS}, headers=["x-conversation-id", "x-reply-id", "x-request-id"]
)
_QUESTION = {"prompt": "What do the gulls want?"}
_EXPORT = {
    "conversation": {"title": "Gulls"},
    "messages": [
        {
            "id": "1",
            "role": "user",
            "parent": None,
            "parts": [{"type": "text", "text": "What do the gulls want?"}],
            "text": "What do the gulls want?",
            "status": "completed",
            "created_at": "2026-01-02T03:04:05Z",
        }
    ],
}

CALLS = {
    "create_conversation": _ASKED._replace(body=NewConversation, example=_QUESTION),
    "list_conversations": Call(
        {200: _json(ConversationPage)},
        parameters=[*_PAGE, _in("query", "q", "Words to find.", maxLength=MAX_QUERY_CHARACTERS)],
        refused=[429, 503],
    ),
    "read_conversation": Call({200: _json(Snapshot)}, refused=[503]),
    "rename_conversation": Call({200: _json(OneConversation)}, NewTitle, example={"title": "Gulls"}, refused=[503]),
    "delete_conversation": Call({204: {}}, refused=[503]),
    "stream_conversation": Call(
        {200: _stream(FRAMES), 204: {}},
        parameters=[*_CURSOR, _in("query", "until", "End when nothing runs.", enum=["idle"])],
        refused=[503],
    ),
    "import_conversation": Call(
        {201: _json(Imported)},
        Export,
        example=_EXPORT,
        parameters=[_KEY],
        headers=["Location", "Idempotency-Replayed"],
        refused=[413, 429, 503],
    ),
    "read_log": Call({200: _json(LogPage)}, parameters=[*_CURSOR, _WAIT], refused=[429, 503]),
    "ask": _ASKED._replace(body=NewMessage, example=_QUESTION, refused=[409, 413, 429, 503]),
    "list_messages": Call({200: _json(MessagePage)}, parameters=_PAGE, refused=[503]),
    "read_reply": Call({200: _json(OneReply)}, parameters=[_WAIT], refused=[429, 503]),
    "stop_reply": Call({200: _json(OneReply)}, Nothing, body_optional=True, parameters=[_KEY], refused=[503]),
    "retry_reply": _ASKED._replace(body=Retry, body_optional=True, refused=[409, 413, 429, 503]),
    "stream_broadcast": Call({200: _stream([Hello, Ping, Bye])}, parameters=_CURSOR, refused=[503]),
    "send_message": Call(
        {200: _TEXT},
        NewBroadcast,
        example={"message": "The tea is ready."},
        parameters=[_KEY],
        headers=["Idempotency-Replayed"],
        refused=[503],
    ),
    "stream_list": Call({200: _stream(LIST_FRAMES)}),
    "stream_many": Call(
        {200: _stream([*FRAMES, *LIST_FRAMES[1:4]])},
        parameters=[
            _in(
                "query",
                "watch",
                "A stream and the cursor to go on from, which may be empty: `<name>@<cursor>`, once for each.",
                type="array",
                items={"type": "string"},
                minItems=1,
                required=True,
            )
        ],
        refused=[503],
    ),
    "send_ui_message": Call(
        {200: _UI_CHUNKS},
        UIRequest,
        example={
            "id": "chat-1",
            "messages": [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "What do the gulls want?"}]}],
        },
        parameters=[_KEY, _ON_DISCONNECT],
        headers=["Idempotency-Replayed", "x-conversation-id", "x-reply-id", "x-vercel-ai-ui-message-stream"],
        refused=[413, 429, 503],
    ),
    "resume_ui_stream": Call(
        {200: _UI_CHUNKS, 204: {}},
        parameters=[_ON_DISCONNECT],
        headers=["x-conversation-id", "x-reply-id", "x-vercel-ai-ui-message-stream"],
        refused=[400, 503],
    ),
    "stop_ui_chat": Call({204: {}}, refused=[503]),
    "create_chat_completion": Call(
        {200: _json(ChatCompletion) | _stream(OPENAI_FRAMES)},
        ChatRequest,
        example={"model": "mock", "messages": [{"role": "user", "content": "What do the gulls want?"}]},
        parameters=[_KEY, _ON_DISCONNECT, _CONVERSATION],
        headers=["Idempotency-Replayed", "x-conversation-id", "x-reply-id", "x-request-id"],
        refused=[404, 413, 429, 502, 503],
    ),
    "create_response": Call(
        _RESPONSE.answers,
        NewResponse,
        example={"model": "mock", "input": "What do the gulls want?"},
        parameters=[_KEY, _ON_DISCONNECT],
        headers=["Idempotency-Replayed", *_RESPONSE.headers],
        refused=[404, 409, 413, 429, 503],
    ),
    "retrieve_response": _RESPONSE._replace(
        parameters=[
            _in("query", "stream", "Whether the answer is a stream of the response's events.", enum=["true", "false"]),
            _in("query", "starting_after", "The number of the last event that you have.", type="integer", minimum=0),
        ],
        refused=[429, 503],
    ),
    "cancel_response": _RESPONSE._replace(answers={200: _json(OpenAIResponse)}, refused=[413, 415, 503]),
    "delete_response": Call({200: _json(DeletedResponse)}, headers=["x-request-id"], refused=[503]),
    "list_input_items": Call(
        {200: _json(ItemPage)},
        parameters=[
            _in("query", "limit", "How many.", type="integer", minimum=1, maximum=100, default=20),
            _in("query", "order", "The newest first, or the oldest.", enum=["asc", "desc"], default="desc"),
            _in("query", "after", "The id of the last item of the page before."),
        ],
        headers=["x-request-id"],
        refused=[503],
    ),
    "list_models": Call({200: _json(ModelList)}, headers=["x-request-id"]),
    "retrieve_model": Call({200: _json(Model)}, headers=["x-request-id"]),
    "list_responders": Call({200: _json(list[ResponderInfo])}),
    "list_limits": Call({200: _json(Limits)}),
    "health_live": Call({200: _json(Health)}),
    "health_ready": Call({200: _json(Health)}, refused=[503]),
}
"""By the name of the function that answers."""
