"""The runner: the task that owns a responder's generator, writes its parts into the log, and ends the reply once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from app.characters import whole
from app.engine.base import SaveReply
from app.errors import NotFound, NotStoring
from app.events import ReplyPiece
from app.history import Draft
from app.log import Append, Log
from app.tail import Tail
from app.writer import INTERRUPTED, LENGTH, Outcome, Writer, failed
from responders.base import STOP_SECONDS, Piece, Prompt, ResponderError
from responders.responder import Responder

logger = logging.getLogger(__name__)

MAX_UNCOMMITTED_BYTES = 256 * 1024
"""How much of a reply may wait for its commit before the generator has to."""
TURN = 64
"""After how many pieces the runner lets others run."""
MAX_ERROR_CHARACTERS = 1000
"""How much of a responder's own error message is kept."""
RETRY_SECONDS = 0.5
"""How long to wait before writing again after the store did not take it."""


class Runner:
    """One reply's run, from its prompt to its ending.

    `run` supervises: it waits for the writing task to finish or for a verdict from outside (`decide`), and then writes
    the ending itself. So a generator that ignores its cancellation keeps its own task, never the reply.
    """

    def __init__(
        self,
        log: Log,
        tail: Tail,
        draft: Draft,
        responder: Responder | None,
        read_prompt: Callable[[Responder], Awaitable[Prompt]],
        *,
        max_bytes: int,
        idle_seconds: float,
    ) -> None:
        self._log = log
        self._tail = tail
        self._committed = draft
        self._responder = responder
        self._read_prompt = read_prompt
        self._idle_seconds = idle_seconds
        self._writer = Writer(draft.reply(), max_bytes)
        self._verdict: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asked_at: float | None = None
        """Since when the responder is waited for; None while it is not its turn."""
        self._last: Append | None = None
        self._prompt_words = 0
        self.ended = asyncio.Event()
        """Set when the ending is committed, or the reply is left to the next start."""

    @property
    def reply_id(self) -> str:
        """The id of the reply."""
        return self._committed.id

    def decide(self, outcome: Outcome) -> None:
        """Say how the reply ends, unless that is settled already."""
        if not self._verdict.done():
            self._verdict.set_result(outcome)

    async def run(self) -> None:
        """Write the reply and its ending, once. Interrupted before its start is stored, it stays accepted."""
        try:
            outcome = await self._decided() if self._verdict.done() else await self._supervise()
            if outcome != INTERRUPTED or await self._has_started():
                await self._end(outcome)
        finally:
            self.ended.set()

    async def _decided(self) -> Outcome:
        """Return the verdict on a reply that never runs here; its usage is estimated like any other."""
        with suppress(ResponderError, NotStoring, NotFound):
            if self._responder and self._committed.status == "running":
                await self._prompt(self._responder)
        return self._verdict.result()

    # Supervision

    async def _supervise(self) -> Outcome:
        loop = asyncio.get_running_loop()
        writing = asyncio.create_task(self._write(), name=f"reply-{self.reply_id}")
        try:
            while not writing.done() and not self._verdict.done():
                asked_at = loop.time() if self._asked_at is None else self._asked_at
                idle_in = asked_at + self._idle_seconds - loop.time()
                if idle_in <= 0:
                    self.decide(failed("idle", f"The responder sent nothing for {self._idle_seconds:g} seconds."))
                await asyncio.wait(
                    {writing, self._verdict}, timeout=max(0.0, idle_in), return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            # Also when the server's end cancels this task: nothing may run on without its runner.
            writing.cancel()
        if not writing.done():
            await asyncio.wait({writing}, timeout=STOP_SECONDS)
        return self._outcome(writing)

    def _outcome(self, writing: asyncio.Task[Outcome]) -> Outcome:
        if not writing.done():
            logger.warning("responder abandoned: it did not leave when it was stopped", extra={"reply": self.reply_id})
        if self._verdict.done():
            return self._verdict.result()
        if writing.cancelled():
            return failed("responder_error", "The responder cancelled itself.")
        if writing.exception():  # a `ResponderError` that cannot be put into words
            return failed("responder_error", "The responder failed.")
        return writing.result()

    async def _write(self) -> Outcome:
        try:
            await self._start()
            if self._responder is None:
                return failed("unknown_responder", "The responder of this reply is not available any more.")
            prompt = await self._prompt(self._responder)
            self._writer.max_tokens = prompt.max_tokens
            await self._write_pieces(self._responder.open(prompt))
        except NotStoring:
            return INTERRUPTED
        except ResponderError as error:
            return failed("responder_error", whole(str(error))[:MAX_ERROR_CHARACTERS] or "The responder failed.")
        except asyncio.CancelledError:
            raise
        except BaseException:  # `sys.exit()` in a responder ends its reply, not the server
            logger.exception("responder failed", extra={"reply": self.reply_id})
            return failed("responder_error", "The responder failed; the server's log says why.")
        return LENGTH if self._writer.full else self._writer.completed

    async def _prompt(self, responder: Responder) -> Prompt:
        prompt = await self._read_prompt(responder)
        self._prompt_words = sum(len(turn.text.split()) for turn in prompt.messages)
        return prompt

    async def _start(self) -> None:
        """Commit that the reply runs. Until that is stored nothing may be paid for, so it is tried until it is."""
        while True:
            # Noted before the wait: a stop that comes while the start is on its way must end a reply that has started.
            self._writer.go_back_to(self._committed.reply())
            event = self._writer.start()
            self._last = self._log.append(self._tail, [event], [SaveReply(self._writer.draft.reply())])
            try:
                return await self._last.committed()
            except NotStoring:
                await asyncio.sleep(RETRY_SECONDS)

    async def _has_started(self) -> bool:
        if self._last:
            with suppress(NotStoring):
                await self._last.committed()
        return self._committed.status != "accepted"

    async def _write_pieces(self, generator: AsyncGenerator[Piece]) -> None:
        loop = asyncio.get_running_loop()
        uncommitted = count = 0
        async with aclosing(generator):
            self._asked_at = loop.time()
            async for piece in generator:
                if self._verdict.done():
                    return
                if event := self._writer.write(piece):
                    uncommitted += self._append(event)
                if self._writer.full:
                    self.decide(LENGTH)
                    return
                count += 1
                if uncommitted > MAX_UNCOMMITTED_BYTES and self._last:
                    self._asked_at = None
                    await self._last.committed()
                    uncommitted = 0
                elif count % TURN == 0:
                    await asyncio.sleep(0)
                self._asked_at = loop.time()
        for event in self._writer.rest():
            self._append(event)

    def _append(self, event: ReplyPiece) -> int:
        """Append one event and return its size in bytes."""
        # After a commit that failed, a later piece must not be stored: the text would have a hole.
        if self._last and self._last.error:
            raise self._last.error
        if self._last and self._last.open:
            return self._last.add(event)
        self._last = self._log.append(self._tail, [event])
        return len(self._last.records[0].data)

    async def _end(self, outcome: Outcome) -> None:
        while True:
            if self._last and self._last.error:
                self._writer.go_back_to(self._committed.reply())
                outcome = outcome if outcome.status == "cancelled" else INTERRUPTED
            event = self._writer.end(outcome, self._prompt_words)
            self._last = self._log.append(self._tail, [event], [SaveReply(self._writer.draft.reply())])
            try:
                return await self._last.committed()
            except NotStoring:
                await asyncio.sleep(RETRY_SECONDS)
