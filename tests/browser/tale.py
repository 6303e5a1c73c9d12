"""A responder with a control: its reply to the path of a gate waits in the middle until the gate is open.

What stands below the path is then the reply, waiting where `PAUSE` is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from responders.base import Prompt

BEGINNING = "Once upon a time"
END = " there was a log that lost nothing."
PAUSE = "\u2016"


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
    path, _, text = prompt.text.partition("\n")
    if not path.endswith(".gate"):
        yield prompt.text
        return
    before, _, after = text.partition(PAUSE) if text else (BEGINNING, PAUSE, END)
    for piece in pieces(before):
        yield piece
    gate = Gate(Path(path))
    while not gate.is_open:  # noqa: ASYNC110 - another process opens it
        await asyncio.sleep(0.01)
    for piece in pieces(after):
        yield piece


def pieces(text: str) -> list[str]:
    """Cut a text as models do: not where words or signs end."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]
