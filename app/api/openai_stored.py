"""What is stored of responses, by the ids that they and their items have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from app.api.node import Node
from app.api.requests import PRINCIPAL
from app.branches import CLIENT
from app.codecs.openai_input import is_reference
from app.codecs.openai_response import Echo, output_of, parse_item_id, parse_response_id, response_id
from app.engine.base import StoredReply
from app.errors import Invalid, NotFound
from app.snapshots import history_of
from app.tail import Tail


@asynccontextmanager
async def open_response(node: Node, id: str) -> AsyncIterator[tuple[Tail, StoredReply]]:
    """Hold the conversation of a response, and return it with the reply's row. Raises `NotFound`.

    Any reply is a response, whichever door it came through; one that was not to be stored only while it runs.
    """
    missing = NotFound("There is no such response.")
    ids = parse_response_id(id)
    async with AsyncExitStack() as stack:
        try:
            tail = await stack.enter_async_context(node.conversations.open(PRINCIPAL, ids[0] if ids else ""))
        except NotFound:
            raise missing from None
        stored = await node.log.engine.reply(*ids) if ids else None
        if stored is None or Echo.of(stored.parameters).deleted:
            raise missing
        if tail.transient and not history_of(tail).messages[stored.reply.id].live:
            raise missing
        yield tail, stored


async def is_alone(node: Node, tail: Tail, reply_id: str) -> bool:
    """Whether a conversation holds no other response than this one: none that somebody else could look for."""
    history = history_of(tail)
    for id, message in reversed(history.messages.items()):
        if message.role == "assistant" and id != reply_id:
            stored = await node.log.engine.reply(history.id, id)
            if stored and stored.reply.responder != CLIENT and not Echo.of(stored.parameters).deleted:
                return False
    return True


async def resolve(node: Node, given: Sequence[Any]) -> list[Any]:
    """Return input items, with those of responses in place of the references to them. Raises `Invalid`."""
    found: dict[str, Any] = {}
    items: list[Any] = []
    for place, item in enumerate(given):
        if is_reference(item):
            id, path = item.get("id"), f"input[{place}].id"
            if not isinstance(id, str):
                raise Invalid("It is a text.", path)
            if id not in found:
                found |= await _items_beside(node, id)
            if id not in found:
                raise Invalid("There is no such item of a response.", path)
            item = found[id]  # noqa: PLW2901 - a reference is that item
        items.append(item)
    return items


async def _items_beside(node: Node, id: str) -> dict[str, Any]:
    """Return all items of the response that an item is of, by their ids; none where there is no such response."""
    ids = parse_item_id(id)
    if ids is None:
        return {}
    async with AsyncExitStack() as stack:
        try:
            tail, _ = await stack.enter_async_context(open_response(node, response_id(*ids)))
        except NotFound:
            return {}
        reply = await node.conversations.reply(tail, ids[1])
        return {item.id: msgspec.to_builtins(item) for item in output_of(ids[0], reply)}
