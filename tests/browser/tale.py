"""A responder with a control: its reply to the path of a gate waits in the middle until the gate is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from responders.base import Prompt

BEGINNING = "Once upon a time"
END = " there was a log that lost nothing."


class Gate:
    """What a reply waits for, in the server's process, while a test looks at its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    @property
    def is_open(self) -> bool:
        return self._path.exists()

    def open(self) -> None:
        self._path.touch()


async def tale(prompt: Prompt) -> AsyncIterator[str]:
    """Tells a tale, or says what it was told."""
    if not prompt.text.endswith(".gate"):
        yield prompt.text
        return
    for word in BEGINNING.split(" "):
        yield word if word == "Once" else f" {word}"
    gate = Gate(Path(prompt.text))
    while not gate.is_open:  # noqa: ASYNC110 - another process opens it
        await asyncio.sleep(0.01)
    yield END
