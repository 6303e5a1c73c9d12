"""What a client can ask on a WebSocket, and the commands among it; each is what a call of HTTP does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from app.api.broadcast import NewBroadcast
from app.api.conversations import TITLE_BYTES, NewConversation
from app.api.messages import NewMessage, Retry
from app.api.node import Node
from app.api.requests import OPTIONS_BYTES, PRINCIPAL, body_limit, convert, make_key
from app.api.socket_wire import SOCKET_PATH
from app.errors import Malformed
from app.idempotency import Key
from app.questions import Asked, Question
from app.settings import Settings

T = TypeVar("T")

_LONGEST_NAME = 128
_LARGEST = 2**53 - 1
Name = Annotated[str, Meta(max_length=_LONGEST_NAME)] | Annotated[int, Meta(ge=-_LARGEST, le=_LARGEST)]
"""What a client calls its request; the answer repeats it."""
_encode = msgspec.json.Encoder(order="sorted").encode


class Subscribe(Struct, tag="subscribe", forbid_unknown_fields=True):
    """Follow a stream, from a cursor on."""

    stream: str
    cursor: str | None = None
    request: Name | None = None


class Unsubscribe(Struct, tag="unsubscribe", forbid_unknown_fields=True):
    """Follow a stream no longer."""

    stream: str
    request: Name | None = None


class Create(NewConversation, tag="create", forbid_unknown_fields=True):
    """Begin a conversation with a prompt."""

    idempotency_key: str | None = None
    request: Name | None = None


class Ask(NewMessage, tag="ask", forbid_unknown_fields=True, kw_only=True):
    """Add a prompt to a conversation."""

    conversation_id: str
    idempotency_key: str | None = None
    request: Name | None = None


class Again(Retry, tag="retry", forbid_unknown_fields=True, kw_only=True):
    """Answer a prompt anew, beside an old reply."""

    conversation_id: str
    reply_id: str
    idempotency_key: str | None = None
    request: Name | None = None


class Stop(Struct, tag="stop", forbid_unknown_fields=True):
    """Stop a reply."""

    conversation_id: str
    reply_id: str
    request: Name | None = None


class Say(NewBroadcast, tag="broadcast", forbid_unknown_fields=True):
    """Say something to everybody."""

    idempotency_key: str | None = None
    request: Name | None = None


Command = Create | Ask | Again | Stop | Say
SocketRequest = Subscribe | Unsubscribe | Command


def read_request(value: object) -> SocketRequest:
    """Return a request from its JSON. Raises `Invalid`."""
    any_of: Any = SocketRequest  # a union is no class
    asked: SocketRequest = convert(value, any_of)
    return asked


def name_of(value: object) -> str | int | None:
    """Return what a client calls a request that may be anything."""
    name = value.get("request") if isinstance(value, dict) else None
    short = isinstance(name, str) and len(name) <= _LONGEST_NAME
    small = isinstance(name, int) and not isinstance(name, bool) and abs(name) <= _LARGEST
    return name if short or small else None


def message_limit(settings: Settings) -> int:
    """Return how many bytes a message may have: as many as the longest body of the calls that it stands for."""
    create = body_limit(2 * settings.max_prompt_bytes, OPTIONS_BYTES, TITLE_BYTES)
    return max(create, body_limit(settings.max_broadcast_bytes))


async def obey(node: Node, command: Command) -> dict[str, Any]:
    """Do what is asked, and return the answer."""
    match command:
        case Create():
            question = Question.of(
                command.prompt, system=command.system, responder=command.responder, options=command.options
            )
            return _accepted(
                await node.conversations.create(
                    PRINCIPAL, question, title=command.title, key=await _key(command, command.idempotency_key)
                )
            )
        case Say():
            again = await node.broadcast.say(command.message, await _key(command, command.idempotency_key))
            return {"body": {}, **_replayed(again)}
    async with node.conversations.open(PRINCIPAL, command.conversation_id) as tail:
        match command:
            case Ask():
                question = Question.of(command.prompt, responder=command.responder, options=command.options)
                key = await _key(command, command.idempotency_key)
                return _accepted(
                    await node.conversations.ask(
                        tail, question, parent=command.parent, if_running=command.if_running, key=key
                    )
                )
            case Again():
                key = await _key(command, command.idempotency_key)
                return _accepted(
                    await node.conversations.retry(
                        tail, command.reply_id, responder=command.responder, options=command.options, key=key
                    )
                )
            case Stop():
                return {"body": {"reply": await node.conversations.stop(tail, command.reply_id)}}


async def finished(doing: Coroutine[Any, Any, T]) -> T:
    """Await what is not to be left half done, though whoever awaits it may be cancelled meanwhile, and twice."""
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    finally:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,))


async def _key(command: Create | Ask | Again | Say, given: str | None) -> Key | None:
    """Return the key of a command: what it asks, but for what this request is called, has to be the same again."""
    if given is None:
        return None
    try:
        body = _encode(msgspec.structs.replace(command, request=None))
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    return await make_key("WS", SOCKET_PATH, given, body)


def _accepted(answer: tuple[Asked, bool]) -> dict[str, Any]:
    asked, again = answer
    return {"body": asked, **_replayed(again)}


def _replayed(again: bool) -> dict[str, bool]:
    return {"replayed": True} if again else {}
