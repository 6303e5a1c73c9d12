"""The benchmarks' model as a responder of ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from benchmarks.model import speak
from responders.base import Prompt


class Words:
    """Yields equal words, at a pace or as fast as they are taken."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        tokens: int = 200
        per_second: float | None = None
        burst: bool = False

    async def __call__(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        options: Words.Options = prompt.options
        async for word in speak(options.tokens, options.per_second, burst=options.burst):
            yield word
