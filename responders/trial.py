"""A responder on trial: replies asked for, read and stopped the way the server does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from responders.base import STOP_SECONDS, Piece, Prompt, Text, Turn
from responders.responder import OptionError, Responder, describe

MAX_PIECES = 5_000
MAX_CHARACTERS = 1_000_000
"""Where a reading ends by itself, since a responder may write for ever."""
TURN = 64
"""After how many pieces a reading lets others run."""

QUESTION = "Tell me, in a few words, what a pigeon thinks of telegrams."


class Failed(Exception):
    """A case's verdict: the responder broke the contract; the message says how."""


class Skipped(Exception):
    """A case's verdict: the responder did not come to the point where this could be seen; the message says why."""


class Reading:
    """One reply, read by one task that owns its generator; stop cancels that task, then the generator is closed."""

    def __init__(self, generator: AsyncGenerator[Piece, None], *, most: int = MAX_PIECES) -> None:
        self.pieces: list[Piece] = []
        self.error: BaseException | None = None
        self.complete = False
        """Whether the generator came to its own end."""
        self._stopped = False
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(generator, most))

    async def _run(self, generator: AsyncGenerator[Piece, None], most: int) -> None:
        try:
            async with aclosing(generator):
                self.complete = await self._read(generator, most)
        except BaseException as error:  # noqa: BLE001 - what a responder may raise is the question
            if not (self._stopped and isinstance(error, asyncio.CancelledError)):
                self.error = error
        finally:
            self._begin()

    async def _read(self, generator: AsyncGenerator[Piece, None], most: int) -> bool:
        characters = 0
        async for piece in generator:
            self.pieces.append(piece)
            self._begin()
            characters += len(piece) if isinstance(piece, str) else 0
            if self._stopped or len(self.pieces) >= most or characters > MAX_CHARACTERS:
                return False
            if len(self.pieces) % TURN == 0:
                await asyncio.sleep(0)
        return True

    def _begin(self) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    async def first(self, within: float) -> None:
        """Wait for the first piece; `Skipped` where none comes in that time, or ever."""
        await asyncio.wait({self._begun}, timeout=within)
        if self.pieces:
            return
        if self.error is not None:
            raise Skipped(f"it raised {describe(self.error)} before its first piece")
        if self.complete:
            raise Skipped("it ended without a piece")
        await self.leave()
        raise Skipped(f"nothing came within {within:g} s")

    async def over(self, within: float) -> bool:
        """Wait for the end of the reading, and return whether it came in that time."""
        await asyncio.wait({self._task}, timeout=within)
        return self._task.done()

    async def stop(self) -> None:
        """Stop the reply; `Failed` where the generator does not leave in time, or raises while it leaves."""
        if self._task.done():
            return
        self._stopped = True
        self._task.cancel()
        if not await self.over(STOP_SECONDS):
            raise Failed(f"it had not left {STOP_SECONDS:g} s after the stop")
        if self.error is not None:
            raise Failed(f"it raised {describe(self.error)} when it was stopped")

    async def leave(self) -> None:
        """Stop the reply where how it stops is not the question."""
        with suppress(Failed):
            await self.stop()


class Trial(msgspec.Struct, frozen=True):
    """A responder, the options to ask it with, and for how many seconds a case waits before it gives up."""

    responder: Responder
    options: Mapping[str, Any] | None = None
    patience: float = 5.0

    def ask(self, text: str = QUESTION, *, most: int = MAX_PIECES) -> Reading:
        """Start a reply to this text; to be called in a running loop."""
        try:
            options = self.responder.parse_options(self.options)
        except OptionError as error:
            raise Failed(f"its options {self.options or 'left out'} are refused: {error}") from error
        messages = (Turn("user", (Text(text),), text),)
        prompt = Prompt(text, messages=messages, options=options, conversation_id="check", reply_id="check")
        return Reading(self.responder.open(prompt), most=most)

    async def read(self, text: str = QUESTION) -> Reading:
        """Read a reply to its end, or stop it when patience is at its end; `Failed` where it raises."""
        reading = self.ask(text)
        await self.see_out(reading)
        return reading

    async def see_out(self, reading: Reading) -> None:
        """Read on as `read` does."""
        if not await reading.over(self.patience):
            await reading.leave()
        elif reading.error is not None:
            raise Failed(f"it raised {describe(reading.error)}") from reading.error
