"""One HTTP connection: uvicorn's protocol with limits of our own."""

from __future__ import annotations

from app.handover import HandoverProtocol


class Protocol(HandoverProtocol):
    """uvicorn's protocol, whose connections streams take over."""
