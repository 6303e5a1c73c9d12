"""Waiting for what a server says of itself."""

from __future__ import annotations

import asyncio

from tests.support.server import Server


async def is_ready(server: Server, status: int, within: float = 60.0) -> None:
    """Wait until readiness is answered with a status."""
    async with asyncio.timeout(within):
        while (await server.get("/health/ready")).status_code != status:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
