"""OpenAI's responses: create, retrieve and follow, cancel, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.types import ASGIApp

from app.api.dialects import DialectFeed, accepted, ask_whole, await_reply, read_linger, read_request
from app.api.node import Node, PathId, ThisNode
from app.api.openai_errors import request_id
from app.api.openai_options import read_options
from app.api.openai_response_body import NewResponse, read_tool_choice, read_tools
from app.api.openai_stored import is_alone, open_response, resolve
from app.api.requests import OPTIONS_BYTES, PRINCIPAL, query, query_count, read_body
from app.api.responses import json_response
from app.api.stream import Stream
from app.branches import open_calls
from app.codecs.openai_input import Input, is_reference, read_input
from app.codecs.openai_response import Echo, show
from app.codecs.openai_responses import ResponseEvents
from app.engine.base import StoredReply
from app.errors import Invalid, NotFound, StillRunning, TooLarge
from app.idempotency import Key
from app.ids import Cursor
from app.imports import MAX_IMPORT_BYTES
from app.messages import Parameters
from app.questions import Asked, Question
from app.snapshots import history_of, read_message
from app.tail import Tail
from app.turns import MAX_PARTS
from responders.base import Turn

_BODY_BYTES = 4096
"""How long a body may be that says nothing."""
_LAST_NUMBER = 10**8
_NO_CALL = "There is no call of this id that waits for what it gave."


class DeletedResponse(msgspec.Struct, frozen=True):
    """A response is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


@post("/v1/responses", status_code=200)
async def create_response(request: Request[Any, Any, Any], node: ThisNode) -> ASGIApp:
    """Create a response: a reply in a conversation of its own, or in that of `previous_response_id`."""
    linger = read_linger(request.headers.get("x-on-disconnect"), "linger")
    take = partial(_take, max_messages=node.settings.max_messages)
    (sent, given), key = await read_request(request, node, NewResponse, take)
    if given is None:
        given = await asyncio.to_thread(_take_input, await resolve(node, sent.input), node.settings.max_messages)
    streams, background = bool(sent.stream), bool(sent.background)
    parameters = _parameters(node, sent)
    # Ahead of everything: nothing is accepted that could not be answered in the way that is asked for.
    with nullcontext() if background and not streams else node.streams.place():
        try:
            asked, again = await _ask(node, sent, given, parameters, key)
        except Invalid as error:
            error.path = sent.name_of(error.path)
            raise
        del sent, given  # what was sent may be long, and the end of the reply far
        conversation_id, reply_id = asked.conversation.id, asked.reply.id
        ids = {"x-conversation-id": conversation_id, "x-reply-id": reply_id}
        headers = {**ids, **request_id(), **({"Idempotency-Replayed": "true"} if again else {})}
        with accepted(ids):
            async with node.conversations.open(PRINCIPAL, conversation_id) as tail:
                if streams:
                    cursor = Cursor.parse(asked.cursor)
                    after = cursor.seq if cursor else 0
                    events = ResponseEvents(conversation_id, reply_id, parameters)
                    feed = DialectFeed(node, tail, reply_id, after, events, linger=None if background else linger)
                    return Stream(node.streams, feed, headers=headers)
                if background:
                    reply = await node.conversations.reply(tail, reply_id)
                else:
                    reply = await await_reply(request, node, tail, reply_id, linger)
                return json_response(show(conversation_id, reply, parameters), headers=headers)  # type: ignore[return-value]


@get("/v1/responses/{response_id:str}")
async def retrieve_response(request: Request[Any, Any, Any], node: ThisNode, response_id: PathId) -> ASGIApp:
    """Retrieve a response; with `stream=true`, all its events, or those after number `starting_after`."""
    streams = query(request, "stream")
    if streams not in (None, "true", "false"):
        raise Invalid("stream is true or false.", "stream")
    after = query_count(request, "starting_after", -1, 0, _LAST_NUMBER)
    async with open_response(node, response_id) as (tail, stored):
        reply_id = stored.reply.id
        headers = _headers(history_of(tail).id, reply_id)
        if streams == "true":
            with node.streams.place():
                events = ResponseEvents(history_of(tail).id, reply_id, stored.parameters, after)
                return Stream(node.streams, DialectFeed(node, tail, reply_id, stored.after, events), headers=headers)
        return await _shown(node, tail, stored)  # type: ignore[return-value]


@post("/v1/responses/{response_id:str}/cancel", status_code=200)
async def cancel_response(request: Request[Any, Any, Any], node: ThisNode, response_id: PathId) -> Response[bytes]:
    """Cancel a response; one that has ended stays as it is."""
    async with open_response(node, response_id) as (tail, stored):
        await read_body(request, _BODY_BYTES, optional=True)
        await node.conversations.stop(tail, stored.reply.id)
        return await _shown(node, tail, stored)


@delete("/v1/responses/{response_id:str}", status_code=200)
async def delete_response(node: ThisNode, response_id: PathId) -> Response[bytes]:
    """Delete a response, and with the last one of a conversation the conversation."""
    async with open_response(node, response_id) as (tail, stored):
        head = history_of(tail).head
        alone = await is_alone(node, tail, stored.reply.id)
        # Somebody may have gone on meanwhile.
        if not (alone and await node.conversations.delete(tail, head=head)):
            await node.conversations.stop(tail, stored.reply.id)
            echo = msgspec.structs.replace(Echo.of(stored.parameters), deleted=True)
            await node.conversations.note(tail, stored.reply.id, echo.note(beside=stored.parameters.note))
        return json_response(DeletedResponse(response_id), headers=request_id())


# Asking


def _take(sent: NewResponse, max_messages: int) -> tuple[NewResponse, Input | None]:
    """Return what is sent with its input, or with None where that is not all there is to it."""
    sent.check()
    if any(map(is_reference, sent.input)):
        return sent, None
    return sent, _take_input(sent.input, max_messages)


def _take_input(said: str | Sequence[Any], max_messages: int) -> Input:
    if not isinstance(said, str) and len(said) > MAX_PARTS:
        raise TooLarge(f"An input has at most {MAX_PARTS} items.")
    given = read_input(said)
    if len(given.turns) > max_messages:
        raise TooLarge(f"A conversation holds {max_messages} messages at most.")
    if not given.turns or given.turns[-1].role == "assistant":
        raise Invalid("It ends with a message that is to be answered, or with what a function gave.", "input")
    return given


def _parameters(node: Node, sent: NewResponse) -> Parameters:
    options = read_options(
        node.registry,
        sent.model,
        sent.options,
        sampling=sent.sampling(),
        form=sent.response_format(),
        path="text.format",
    )
    if len(msgspec.json.encode(options)) > OPTIONS_BYTES:
        raise TooLarge(f"The options are longer than {OPTIONS_BYTES} bytes.")
    tools = tuple(read_tools(sent.tools or ()))
    return Parameters(
        options=options,
        instructions=sent.instructions or None,
        tools=tools,
        tool_choice=read_tool_choice(sent.tool_choice, tools),
        max_tokens=sent.max_output_tokens,
        note=sent.echo().note(),
    )


async def _ask(
    node: Node, sent: NewResponse, given: Input, parameters: Parameters, key: Key | None
) -> tuple[Asked, bool]:
    """Ask where the request says; without a word of that, where its history goes on, or in a new conversation."""
    if kept := await node.conversations.kept(key):  # ahead of what may have changed since it was accepted
        return kept, True
    transient = sent.store is False
    question = Question(turns=given.turns, responder=sent.model, parameters=parameters, path="input")
    if sent.previous_response_id is not None:
        async with AsyncExitStack() as stack:
            try:
                opened = open_response(node, sent.previous_response_id)
                tail, stored = await stack.enter_async_context(opened)
            except NotFound as error:
                raise Invalid(str(error), "previous_response_id") from error
            await _check_answers(node, tail, stored.reply.id, given)
            return await _ask_after(node, tail, stored.reply.id, question, transient=transient, key=key)
    if sent.conversation_id is not None:
        async with node.conversations.open(PRINCIPAL, sent.conversation_id) as tail:
            head = history_of(tail).head
            await _check_answers(node, tail, head, given)
            return await _ask_after(node, tail, head, question, transient=transient, key=key)
    for path in given.answers.values():
        raise Invalid(_NO_CALL, path)
    return await ask_whole(node, given.turns, sent.model, parameters, transient=transient, key=key, path="input")


async def _check_answers(node: Node, tail: Tail, parent: str | None, given: Input) -> None:
    """Refuse results of calls that were made neither in the input nor by what it follows. Raises `Invalid`."""
    if not given.answers or (parent and history_of(tail).messages[parent].live):
        return  # what still runs is no place to go on from, whatever the input holds
    parts = (await read_message(node.log.engine, tail, parent)).parts if parent else ()
    called = {call.call_id for call in open_calls(parts)}
    for call_id, path in given.answers.items():
        if call_id not in called:
            raise Invalid(_NO_CALL, path)


async def _ask_after(
    node: Node, tail: Tail, parent: str | None, question: Question, *, transient: bool, key: Key | None
) -> tuple[Asked, bool]:
    """Ask behind a message; what is not to be stored, in a conversation of its own that tells the branch once more."""
    history = history_of(tail)
    if parent is not None and history.messages[parent].live:
        error = StillRunning("The response that this one follows has not ended.", tuple(history.running))
        error.headers = {"x-should-retry": "false"}  # type: ignore[attr-defined]  # it may run for minutes
        raise error
    if not transient:
        return await node.conversations.ask(tail, question, parent=parent, key=key)
    turns = (*await _branch(node, tail, parent), *question.turns)
    question = msgspec.structs.replace(question, turns=turns)
    return await node.conversations.create(PRINCIPAL, question, transient=True, key=key)


async def _branch(node: Node, tail: Tail, leaf: str | None) -> list[Turn]:
    history = history_of(tail)
    ids = [message.id for message in history.branch(leaf)]
    whole = await node.log.engine.messages(history.id, ids, MAX_IMPORT_BYTES)
    if len(whole) < len(ids):
        history_of(tail)  # it may have gone
        raise TooLarge(f"What it follows is longer than {MAX_IMPORT_BYTES} bytes, and would have to be told once more.")
    return [Turn(m.role, m.parts, m.text) for m in map(whole.__getitem__, ids) if m.parts]


# Answering


async def _shown(node: Node, tail: Tail, stored: StoredReply) -> Response[bytes]:
    reply = await node.conversations.reply(tail, stored.reply.id)
    conversation_id = history_of(tail).id
    return json_response(show(conversation_id, reply, stored.parameters), headers=_headers(conversation_id, reply.id))


def _headers(conversation_id: str, reply_id: str) -> dict[str, str]:
    return {**request_id(), "x-conversation-id": conversation_id, "x-reply-id": reply_id}
