"""A responder that behaves badly on request: the prompt says how."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from responders.base import Prompt

PIECE = "0123456789abcde\n" * 1024


async def faulty(prompt: Prompt) -> AsyncGenerator[str, None]:
    """`stubborn` ignores its cancellation; `flood N` writes N MiB in pieces of 16 KiB, `drizzle N` N pieces of 1 KB."""
    match prompt.text.split():
        case ["stubborn"]:
            yield "I will not go. "
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)
        case ["flood", megabytes]:
            for _ in range(64 * int(megabytes)):
                yield PIECE
        case ["drizzle", pieces]:
            for number in range(int(pieces)):
                yield f"{number:01000d}"
