"""The AI SDK's chat: what `useChat` posts, and the stream that it resumes."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request, Response, get, post
from litestar.types import ASGIApp

from app.api.dialects import DialectFeed, read_linger, read_request
from app.api.node import Node, PathId, ThisNode
from app.api.requests import PRINCIPAL
from app.api.stream import Stream
from app.api.ui_requests import UIMessage, UIRequest, read_turns, results_of
from app.branches import merged, open_calls
from app.codecs.ui_messages import UIMessages
from app.continuing import continued
from app.errors import NotFound, TooLarge, TooMany
from app.ids import Cursor
from app.messages import Parameters, Reply
from app.questions import Asked, Question
from app.snapshots import history_of
from app.tail import Tail
from app.turns import MAX_PARTS
from responders.base import Turn

_HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_HEARTBEAT = b": ping\n\n"


@post("/api/chat")
async def send_ui_message(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Take what `useChat` sends, and stream the reply."""
    if node.streams.open >= node.streams.limit:
        raise TooMany(f"{node.streams.limit} streams are open, which is the limit.")
    linger = read_linger(request.headers.get("x-on-disconnect"), "continue")
    take = partial(_take, max_messages=node.settings.max_messages)
    (sent, turns), key = await read_request(request, node, UIRequest, take)
    conversation_id = await _find(node, sent.id)
    if conversation_id is None:
        asked, again = await node.conversations.create(PRINCIPAL, _question(sent, turns), alias=sent.id, key=key)
    else:
        async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
            parent, new = await _place(node, tail, sent, turns)
            asked, again = await node.conversations.ask(
                tail, _question(sent, new), parent=parent, if_running="interrupt", key=key
            )
    return await _stream(node, asked, linger, again=again)


@get("/api/chat/{chat_id:str}/stream")
async def resume_ui_stream(request: Request[Any, Any, Any], node: ThisNode, chat_id: PathId) -> ASGIApp:
    """Stream the newest reply that runs from its beginning; `204` where none does."""
    linger = read_linger(request.headers.get("x-on-disconnect"), "continue")
    nothing: ASGIApp = Response(b"", status_code=204)  # type: ignore[assignment]
    conversation_id = await _find(node, chat_id)
    if conversation_id is None:
        return nothing
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        running = history_of(tail).running
        stored = await node.log.engine.reply(conversation_id, running[-1]) if running else None
        if stored is None:
            return nothing
        return _feed(node, tail, stored.reply, stored.after, linger, status=200)


@post("/api/chat/{chat_id:str}/stop", status_code=204)
async def stop_ui_chat(node: ThisNode, chat_id: PathId) -> None:
    """Stop what runs: to hang up, which is all that `useChat` does, stops nothing."""
    conversation_id = await _find(node, chat_id)
    if conversation_id is None:
        raise NotFound("There is no such conversation.")
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        for reply_id in tuple(history_of(tail).running):
            await node.conversations.stop(tail, reply_id)


def _take(sent: UIRequest, max_messages: int) -> tuple[UIRequest, list[Turn]]:
    if len(sent.messages) > max_messages:
        raise TooLarge(f"A conversation holds {max_messages} messages at most.")
    if sum(len(message.parts) for message in sent.messages) > MAX_PARTS:
        raise TooLarge(f"The messages have more than {MAX_PARTS} parts.")
    return sent, merged(read_turns(sent.messages))


def _question(sent: UIRequest, turns: list[Turn]) -> Question:
    return Question(
        turns=tuple(turns),
        responder=sent.model,
        parameters=Parameters(
            options=sent.options or {}, instructions=sent.system, tools=sent.tools, tool_choice=sent.tool_choice
        ),
        path="messages",
    )


async def _find(node: Node, chat_id: str) -> str | None:
    """Return the conversation of an id that the client has made, or has from us."""
    engine = node.log.engine
    if (aliased := await engine.aliased(PRINCIPAL, chat_id)) is not None:
        return aliased
    return chat_id if await engine.conversation(chat_id) else None


async def _place(node: Node, tail: Tail, sent: UIRequest, turns: list[Turn]) -> tuple[str | None, list[Turn]]:
    """Return the message that is followed, and the turns that are new there.

    An assistant's message is known by its id: a client that has hung up holds less of its text than there is.
    """
    history = history_of(tail)
    known = [
        place
        for place, message in enumerate(sent.messages)
        if message.role == "assistant" and message.id in history.messages
    ]
    if sent.trigger == "regenerate-message":
        last = sent.message_id if sent.message_id in history.messages else history.head
        if last is not None and history.messages[last].role == "assistant":
            return history.messages[last].parent, []
    if known:
        answered = sent.messages[known[-1]]
        new = await _results(node, tail, answered)
        return answered.id, [*new, *read_turns(sent.messages[known[-1] + 1 :])]
    if len(sent.messages) == 1 and sent.message_id is None:
        return history.head, turns  # a client that leaves the history to us
    branch, rest = await continued(node.log.engine, PRINCIPAL, turns, history.id)
    return branch.message_id if branch else None, list(rest)


async def _results(node: Node, tail: Tail, answered: UIMessage) -> list[Turn]:
    """Return what the client's tools gave for the calls that a reply has left open."""
    reply = await node.conversations.reply(tail, answered.id)
    left_open = {call.call_id for call in open_calls(reply.parts)}
    given = tuple(result for result in results_of(answered) if result.call_id in left_open)
    return [Turn("tool", given, "")] if given else []


async def _stream(node: Node, asked: Asked, linger: float | None, *, again: bool) -> ASGIApp:
    headers = {"Idempotency-Replayed": "true"} if again else {}
    cursor = Cursor.parse(asked.cursor)
    async with node.conversations.open(PRINCIPAL, asked.conversation.id) as tail:
        return _feed(node, tail, asked.reply, cursor.seq if cursor else 0, linger, status=200, **headers)


def _feed(
    node: Node, tail: Tail, reply: Reply, after: int, linger: float | None, *, status: int, **headers: str
) -> ASGIApp:
    conversation_id = history_of(tail).id
    codec = UIMessages(reply.id)
    opening = codec.opening({"conversation_id": conversation_id, "responder": reply.responder})
    feed = DialectFeed(node, tail, reply.id, after, codec, opening=opening, heartbeat=_HEARTBEAT, linger=linger)
    ids = {"x-conversation-id": conversation_id, "x-reply-id": reply.id}
    return Stream(node.streams, feed, status=status, headers=_HEADERS | ids | headers)
