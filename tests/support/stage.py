"""A responder that a test directs."""

from __future__ import annotations

import asyncio

from responders.base import ResponderError


class Stage:
    """A responder whose replies wait for their cue, and which notes who is on and in which order they came."""

    __name__ = "stage"

    def __init__(self) -> None:
        self.order: list[str] = []
        self.on = 0
        self.most = 0
        self._cues: dict[str, asyncio.Event] = {}

    def cue(self, text: str) -> None:
        """Let the replies to that prompt end."""
        self._cues.setdefault(text, asyncio.Event()).set()

    async def __call__(self, prompt):
        self.order.append(prompt.text)
        self.on += 1
        self.most = max(self.most, self.on)
        try:
            yield f"{prompt.text} "
            await self._cues.setdefault(prompt.text, asyncio.Event()).wait()
            if prompt.text == "fail":
                raise ResponderError("As you wish.")
            yield "done"
        finally:
            self.on -= 1
