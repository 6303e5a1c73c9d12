"""Refusals of a WebSocket's handshake: what an application says before there is a socket, as an HTTP response."""

from __future__ import annotations

from typing import Any

from litestar.enums import ScopeType
from litestar.types import Message, Scope, Send

from app.api.wire import TAKE_OVER

_REFUSED = 1008
"""What a server that knows no other answer is given: it makes a 403 of it."""


def refusing(scope: Scope, send: Send) -> Send:
    """Return how an HTTP response is sent to a request that may be a handshake: our own server takes it as it is."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if scope["type"] == ScopeType.HTTP or TAKE_OVER in extensions:
        return send
    responds = "websocket.http.response" in extensions

    async def refuse(message: Message) -> None:
        if responds:
            denial: Any = {**message, "type": f"websocket.{message['type']}"}
            await send(denial)
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close", "code": _REFUSED, "reason": None})

    return refuse
