"""The input items of a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from msgspec import Meta

from app.api.node import Node, PathId, ThisNode
from app.api.objects import one_of
from app.api.openai_errors import request_id
from app.api.openai_stored import open_response
from app.api.requests import query, query_count
from app.api.responses import json_response
from app.codecs.openai_input import FunctionCallOutput, InputItem, InputMessage, input_items
from app.codecs.openai_response import (
    Echo,
    FunctionCall,
    OutputMessage,
    ReasoningItem,
    parse_item_id,
    parse_response_id,
)
from app.errors import Invalid, NotFound
from app.snapshots import PAGE_BYTES, history_of

AnyItem = Annotated[
    dict[str, Any],
    Meta(extra_json_schema=one_of(InputMessage, OutputMessage, ReasoningItem, FunctionCall, FunctionCallOutput)),
]


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items; `last_id` is the `after` of the next one."""

    object: Literal["list"] = "list"
    data: Sequence[AnyItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


@get("/v1/responses/{response_id:str}/input_items")
async def list_input_items(request: Request[Any, Any, Any], node: ThisNode, response_id: PathId) -> Response[bytes]:
    """Page through what a response answers: back to the response that it follows, or to the beginning."""
    limit = query_count(request, "limit", 20, 1, 100)
    order = query(request, "order") or "desc"
    if order not in ("asc", "desc"):
        raise Invalid("order is asc or desc.", "order")
    async with open_response(node, response_id) as (tail, stored):
        history = history_of(tail)
        previous = parse_response_id(Echo.of(stored.parameters).previous_response_id or "")
        branch = [message.id for message in history.branch(stored.reply.parent)]
        own = branch[branch.index(previous[1]) + 1 :] if previous and previous[1] in branch else branch
        items, more = await _page(node, history.id, own, limit, query(request, "after"), backwards=order == "desc")
        page = {
            "object": "list",
            "data": items,
            "first_id": items[0].id if items else None,
            "last_id": items[-1].id if items else None,
            "has_more": more,
        }
        return json_response(page, headers=request_id())


async def _page(
    node: Node, conversation_id: str, ids: list[str], limit: int, after: str | None, *, backwards: bool
) -> tuple[list[InputItem], bool]:
    """Return at most so many items behind one of them, and whether there are more. Raises `Invalid`."""
    if backwards:
        ids.reverse()
    if after is not None:
        found = parse_item_id(after)
        if not found or found[0] != conversation_id or found[1] not in ids:
            raise Invalid("There is no such item.", "after")
        ids = ids[ids.index(found[1]) :]
    items: list[InputItem] = []
    while ids and not items:
        engine = node.log.engine
        whole = await engine.messages(conversation_id, ids[: limit + 1], PAGE_BYTES)
        whole = whole or await engine.messages(conversation_id, ids[:1])
        if not whole:
            raise NotFound("There is no such response.")
        for message in whole.values():
            told = list(input_items(conversation_id, message))
            items += told[::-1] if backwards else told
        if after is not None:
            places = [place for place, item in enumerate(items) if item.id == after]
            if not places:
                raise Invalid("There is no such item.", "after")
            items, after = items[places[0] + 1 :], None
        ids = ids[len(whole) :]
    return items[:limit], bool(ids) or len(items) > limit
