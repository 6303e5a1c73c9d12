"""Echo: the prompt back, word by word. The shortest useful responder, and a demonstration of options."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec

from responders.base import Piece, Prompt
from responders.pace import Pace

WORD = re.compile(r"\s+|\S+\s*")
"""A word with the white space behind it; white space at the start is one of its own. Every character is in a match."""


class Echo:
    """Says the prompt back, word by word, with its white space intact."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """How fast it speaks."""

        tokens_per_second: Annotated[float, msgspec.Meta(ge=0.01, le=100_000, description="null: no pause")] | None = (
            None
        )

    async def __call__(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Yield the words of `prompt.text`; joined, they are that text exactly."""
        pace = Pace(prompt.options.tokens_per_second)
        for word in WORD.finditer(prompt.text):
            await pace.tick()
            yield word[0]
