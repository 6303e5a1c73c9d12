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
from app.branches import digest, merged, open_calls
from app.codecs.ui_messages import UIMessages
from app.continuing import continued
from app.errors import Invalid, NotFound, TooLarge
from app.history import History
from app.idempotency import Key
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
    linger = read_linger(request.headers.get("x-on-disconnect"), "continue")
    take = partial(_take, max_messages=node.settings.max_messages)
    (sent, turns), key = await read_request(request, node, UIRequest, take)
    with node.streams.place():
        asked, again = await _ask(node, sent, turns, key)
        headers = {"Idempotency-Replayed": "true"} if again else {}
        cursor = Cursor.parse(asked.cursor)
        async with node.conversations.open(PRINCIPAL, asked.conversation.id) as tail:
            return _feed(node, tail, asked.reply, cursor.seq if cursor else 0, linger, **headers)


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
        return _feed(node, tail, stored.reply, stored.after, linger)


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
    turns = merged(read_turns(sent.messages))
    if turns and turns[-1].role == "assistant":
        raise Invalid("The last message is the assistant's already: there is nothing to answer.", "messages")
    return sent, turns


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


async def _ask(node: Node, sent: UIRequest, turns: list[Turn], key: Key | None) -> tuple[Asked, bool]:
    conversation_id = await _find(node, sent.id)
    if conversation_id is None:
        return await node.conversations.create(PRINCIPAL, _question(sent, turns), alias=sent.id, key=key)
    async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
        parent, new = await _place(node, tail, sent, turns)
        question = _question(sent, new)
        return await node.conversations.ask(tail, question, parent=parent, if_running="interrupt", key=key)


async def _place(node: Node, tail: Tail, sent: UIRequest, turns: list[Turn]) -> tuple[str | None, list[Turn]]:
    """Return the message that is followed, and the turns that are new there.

    An assistant's message is known by its id: a client that has hung up holds less of its text than there is.
    """
    history = history_of(tail)
    again = sent.trigger == "regenerate-message"
    if again and sent.message_id is not None and _is_reply(history, sent.message_id):
        return history.messages[sent.message_id].parent, []
    known = [place for place, message in enumerate(sent.messages) if _is_reply(history, message.id)]
    if known:
        answered = sent.messages[known[-1]]
        rest = read_turns(sent.messages[known[-1] + 1 :])
        if again:
            return await _beside(node, tail, answered.id, rest)
        return answered.id, [*await _results(node, tail, answered), *rest]
    if len(sent.messages) == 1 and sent.message_id is None and not again:
        return history.head, turns  # a client that leaves the history to us
    branch, new = await continued(node.log.engine, PRINCIPAL, turns, history.id)
    return branch.message_id if branch else None, list(new)


def _is_reply(history: History, message_id: str) -> bool:
    return message_id in history.messages and history.messages[message_id].role == "assistant"


async def _beside(node: Node, tail: Tail, parent: str, rest: list[Turn]) -> tuple[str, list[Turn]]:
    """Return the question behind a reply that is to be answered once more; a new one where it is not there."""
    history = history_of(tail)
    asked = [message.id for message in history.messages.values() if message.parent == parent]
    whole = await node.log.engine.messages(history.id, asked)
    same = [id for id, message in whole.items() if len(rest) == 1 and digest(b"", message) == digest(b"", rest[0])]
    return (same[-1], []) if same else (parent, rest)


async def _results(node: Node, tail: Tail, answered: UIMessage) -> list[Turn]:
    """Return what the client's tools gave for the calls that a reply has left open."""
    reply = await node.conversations.reply(tail, answered.id)
    left_open = {call.call_id for call in open_calls(reply.parts)}
    given = tuple(result for result in results_of(answered) if result.call_id in left_open)
    return [Turn("tool", given, "")] if given else []


def _feed(node: Node, tail: Tail, reply: Reply, after: int, linger: float | None, **headers: str) -> ASGIApp:
    conversation_id = history_of(tail).id
    codec = UIMessages(reply.id)
    opening = codec.opening({"conversation_id": conversation_id, "responder": reply.responder})
    feed = DialectFeed(node, tail, reply.id, after, codec, opening=opening, heartbeat=_HEARTBEAT, linger=linger)
    ids = {"x-conversation-id": conversation_id, "x-reply-id": reply.id}
    return Stream(node.streams, feed, headers=_HEADERS | ids | headers)
