"""Hands a connection over from the HTTP protocol to a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.api.socket_wire import SOCKET_PATH
from app.api.transport_socket import TransportSocket
from app.api.wire import EXTRA_HEADERS, TAKE_OVER, TransportWire


class HandoverProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose connections a response may take over, as an upgrade to WebSocket does.

    A stream may last for days: what parses requests and runs applications is let go of meanwhile.
    """

    handshake = False
    """Whether the request opens a WebSocket, which one path takes; everywhere else it is an ordinary request."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self.handshake and cycle.scope["path"] == SOCKET_PATH:
            scope = cast("dict[str, Any]", cycle.scope)
            scope |= {"type": "websocket", "scheme": "ws", "subprotocols": []}
        self.handshake = False
        cycle.scope["extensions"] = {TAKE_OVER: partial(self._hand_over, cycle)}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the request: its scope leads back here."""
        super().connection_lost(exc)
        self._forget_request()

    def _hand_over(self, cycle: RequestResponseCycle) -> TransportWire | None:
        """Return the connection of a request that was not answered yet; None where the client is gone."""
        if cycle.disconnected or self.transport.is_closing():
            return None
        cycle.disconnected = True  # by which uvicorn knows that nobody waits for an answer by it
        # Requests that came in behind this one are not answered, nor is the rest of a body read; the client notices by
        # the end of the connection.
        last = bool(self.pipeline) or cycle.more_body or not cycle.keep_alive
        self._unset_keepalive_if_required()
        self._forget_request()
        self.pipeline.clear()
        self.connections.discard(self)
        extensions: Mapping[str, Any] = cycle.scope["extensions"]
        kind = TransportSocket if str(cycle.scope["type"]) == "websocket" else TransportWire
        return kind(
            self.transport,
            self.server_state,
            chunked=cycle.scope["http_version"] == "1.1",
            read_on=None if last else partial(_read_on, type(self), self.config, self.server_state, self.app_state),
            headers=extensions.get(EXTRA_HEADERS, ()),
        )

    def _forget_request(self) -> None:
        self.scope = None  # type: ignore[assignment]
        self.cycle = None  # type: ignore[assignment]


def _read_on(
    protocol: type[HandoverProtocol],
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    transport: asyncio.Transport,
) -> None:
    """Read requests again on a connection whose stream has ended; it is an idle one that is kept alive, no new one."""
    reader = protocol(config, server_state, app_state)
    transport.set_protocol(reader)
    HttpToolsProtocol.connection_made(reader, transport)  # what ours adds is for connections that were just accepted
    reader.on_response_complete()
