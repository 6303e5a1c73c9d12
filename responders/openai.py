"""OpenAI: a real model, behind any server that speaks OpenAI's chat completions; a program on this machine is one, too.

Its address and its key come from the environment, by the names that OpenAI's own libraries use, and from nowhere else:
who may prompt must not be able to send the key to a host of their choice.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from responders.base import Piece, Prompt

StopText = Annotated[str, Meta(min_length=1, max_length=200)]


class OpenAI:
    """Asks a model behind any OpenAI-compatible server; OPENAI_BASE_URL and OPENAI_API_KEY say which."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
        """What is left out is the upstream's own choice; an upstream may refuse what its model does not have."""

        model: Annotated[str, Meta(min_length=1, max_length=200, description="null: OPENAI_MODEL")] | None = None
        temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
        top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
        max_tokens: Annotated[int, Meta(ge=1, le=10_000_000, description="thoughts count as well")] | None = None
        stop: Annotated[list[StopText], Meta(min_length=1, max_length=4, description="texts that end it")] | None = None
        seed: Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)] | None = None
        presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
        frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
        reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None

    async def __call__(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Yield thoughts, text, calls of tools, `Usage` and `Finish`, as the upstream sends them.

        Raises `ResponderError` where it cannot be asked, refuses, breaks off, or falls silent.
        """
        # In a thread, and with the first prompt: aiohttp takes its time, which neither a start nor the loop has.
        upstream = await asyncio.to_thread(importlib.import_module, "responders.upstream")
        pieces: AsyncGenerator[Piece, None] = upstream.answer(prompt)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
