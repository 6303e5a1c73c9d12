"""The model that all servers under test ask: equal words, at a pace or as fast as they are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

WORDS = ("the ", "gulls ", "want ", "bread ", "and ", "the ", "ferry ", "whistles ")


async def speak(tokens: int, per_second: float | None = None, *, burst: bool = False) -> AsyncGenerator[str, None]:
    """Yield the time of the start (monotonic, in ns), then words, `tokens` pieces in all.

    Piece i is due at start + i / `per_second`. Without a pace each piece comes in a turn of the event loop of its own,
    as from a model; in a burst all of them come in one.
    """
    start = time.monotonic_ns()
    yield f"{start} "
    for number in range(1, tokens):
        if per_second:
            wait = start / 1e9 + number / per_second - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
        elif not burst:
            await asyncio.sleep(0)
        yield WORDS[number % len(WORDS)]
