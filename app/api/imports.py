"""Imports: a conversation that was exported, here or elsewhere, comes back as a new one."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from litestar import Request, Response, post

from app.api.node import ThisNode
from app.api.requests import PRINCIPAL, forget_body, idempotency_key, read_body, read_structs
from app.api.responses import json_response
from app.errors import TooLarge
from app.exports import Export
from app.imports import MAX_IMPORT_BYTES, MAX_IMPORT_PARTS
from app.retold import Retold, retell
from app.settings import Settings


@post("/conversations/import")
async def import_conversation(request: Request[Any, Any, Any], node: ThisNode) -> Response[bytes]:
    """Make a new conversation of one that was exported."""
    with node.imports.place():
        try:
            body = await read_body(request, MAX_IMPORT_BYTES)
            key = await idempotency_key(request)
            async with node.imports.turn:
                retold = await read_structs(body, Export, partial(_retell, settings=node.settings))
                imported, again = await node.imports.take(PRINCIPAL, retold, key=key)
        finally:
            forget_body(request)
    headers = {"Location": f"/conversations/{imported.conversation.id}"}
    if again:
        headers["Idempotency-Replayed"] = "true"
    return json_response(imported, status=201, headers=headers)


def _retell(export: Export, settings: Settings) -> Retold:
    if len(export.messages) > settings.max_messages:
        raise TooLarge(f"A conversation holds {settings.max_messages} messages at most.")
    if sum(len(message.parts) for message in export.messages) > MAX_IMPORT_PARTS:
        raise TooLarge(f"An import has at most {MAX_IMPORT_PARTS} parts in all its messages.")
    return retell(export, settings, datetime.now(UTC))
