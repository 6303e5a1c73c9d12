"""What the server says of itself: its responders, limits and health."""

from __future__ import annotations

from litestar import Response, get

from app.api.messages import MAX_WAIT
from app.api.node import ThisNode
from app.api.responses import json_response
from app.errors import Draining, NotStoring
from app.imports import MAX_IMPORT_BYTES, MAX_IMPORT_PARTS, MAX_IMPORTS
from app.running import MAX_WAITING
from app.search import MAX_QUERY_CHARACTERS, MAX_SEARCHES


@get("/responders")
async def list_responders(node: ThisNode) -> Response[bytes]:
    """List the responders that can be asked, with the JSON Schema of their options."""
    await node.registry.refresh(None, until=node.running.draining)
    responders = [
        {"name": responder.name, "description": responder.description, "options": responder.schema()}
        for responder in node.registry
    ]
    return json_response(responders)


@get("/limits")
async def list_limits(node: ThisNode) -> Response[bytes]:
    """List the limits that a client can run into; sizes in bytes, times in seconds."""
    settings = node.settings
    return json_response(
        {
            "max_prompt_bytes": settings.max_prompt_bytes,
            "max_reply_bytes": settings.max_reply_bytes,
            "max_messages": settings.max_messages,
            "max_running": settings.max_running,
            "max_waiting": MAX_WAITING,
            "max_streams": settings.max_streams,
            "max_broadcast_bytes": settings.max_broadcast_bytes,
            "max_query_characters": MAX_QUERY_CHARACTERS,
            "max_searches": MAX_SEARCHES,
            "max_import_bytes": MAX_IMPORT_BYTES,
            "max_import_parts": MAX_IMPORT_PARTS,
            "max_imports": MAX_IMPORTS,
            "max_wait_seconds": MAX_WAIT,
            "reply_idle_seconds": settings.reply_idle_seconds,
        }
    )


@get("/health/live")
async def health_live() -> Response[bytes]:
    """Say that the process answers."""
    return json_response({"status": "live"})


@get("/health/ready")
async def health_ready(node: ThisNode) -> Response[bytes]:
    """Say whether new prompts are taken: 503 while draining, or when the last commit failed."""
    if node.running.draining.is_set():
        raise Draining("The server is about to end.")
    if not node.log.storing:
        raise NotStoring("The last commit failed.")
    return json_response({"status": "ready"})
