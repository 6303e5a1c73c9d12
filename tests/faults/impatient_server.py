"""`tickertape serve` with little patience and few connections, so that nobody has to wait for either to be used up."""

from __future__ import annotations

import sys

from app import cli, outgoing, protocol, server
from app.api import dialects, transport_socket, wire

PATIENCE = 0.5
"""What takes ten seconds elsewhere."""
MAX_STREAMS = 5
SPARE = 20
REFUSING = 10
UNREAD = 3
STALL = 2.0

if __name__ == "__main__":
    protocol.Protocol.HEAD_SECONDS = protocol.Protocol.BODY_SECONDS = PATIENCE
    protocol.Protocol.LINGER_SECONDS = 4 * PATIENCE
    protocol.Protocol.STALL_SECONDS = STALL
    outgoing.MAX_UNREAD = UNREAD
    outgoing.PATIENCE_SECONDS = 0
    transport_socket.TransportSocket.MESSAGE_SECONDS = PATIENCE
    wire.STALL_SECONDS = STALL
    protocol.SLOWEST_BODY = transport_socket.SLOWEST_BODY = 1000
    protocol.MAX_REFUSING = REFUSING
    dialects.LINGER["linger"] = 2 * PATIENCE
    server.SPARE_CONNECTIONS = SPARE
    sys.argv = ["tickertape", "serve"]
    cli.main()
