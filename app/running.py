"""The replies that have not ended: which wait for another one, which run, and how many may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from app.errors import Draining, NotStoring, TooMany
from app.history import Draft
from app.log import Log
from app.runner import STOP_SECONDS, Runner
from app.settings import Settings
from app.snapshots import read_prompt
from app.tail import Tail
from app.writer import CANCELLED, INTERRUPTED, Outcome
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError

logger = logging.getLogger(__name__)

STOPPED_IN_SECONDS = 5.0
"""How long a caller waits for an ending to be stored before it is told that the store does not take it."""
DRAINED_IN_SECONDS = STOP_SECONDS + 0.25
"""The same for the server's end, which a store that takes nothing must not hold."""


class Running:
    """Every reply of this process from its acceptance to its ending; each of them holds its stream's tail."""

    def __init__(self, log: Log, registry: Registry, settings: Settings) -> None:
        self.draining = asyncio.Event()
        self.drained = False
        """Whether the drain is over: whatever has not ended in the store by now ends at the next start."""
        self._log = log
        self._registry = registry
        self._settings = settings
        self._accepted: dict[str, Tail] = {}
        self._runners: dict[str, Runner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._runners)

    def runs(self, reply_id: str) -> bool:
        """Whether a reply has begun to run here and has not ended."""
        return reply_id in self._runners

    @contextmanager
    def place(self, *, later: bool = False) -> Iterator[None]:
        """Keep a place for a reply that is about to be accepted, or none where it runs `later`, after another one.

        Raises `TooMany` and `Draining`.
        """
        if self.draining.is_set():
            raise Draining("The server is about to end and takes no new prompts.")
        if later:
            yield
            return
        ready = sum(not waits(tail, reply_id) for reply_id, tail in self._accepted.items())
        if len(self._runners) + ready + self._reserved >= self._settings.max_running:
            raise TooMany(f"{self._settings.max_running} replies are running, which is the limit.")
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    def accept(self, tail: Tail, reply_id: str) -> None:
        """Take over a reply that is committed as accepted: it starts as soon as it may."""
        tail.holders += 1
        self._accepted[reply_id] = tail
        self._start_ready()

    def interrupt(self, tail: Tail, reply_id: str) -> None:
        """End a reply that ran when an earlier process ended."""
        tail.holders += 1
        self._run(tail, reply_id, INTERRUPTED)

    async def stop(self, reply_id: str, outcome: Outcome = CANCELLED, within: float = STOPPED_IN_SECONDS) -> None:
        """Stop a reply and wait for its ending to be stored; an ended one stays as it is. Raises `NotStoring`."""
        if reply_id in self._accepted:
            self._run(self._accepted.pop(reply_id), reply_id, outcome)
        runner = self._runners.get(reply_id)
        if runner is None:
            return
        runner.decide(outcome)
        try:
            async with asyncio.timeout(within):
                await runner.ended.wait()
        except TimeoutError as error:
            raise NotStoring("The reply was stopped, but the store does not take its ending yet.") from error

    async def drain(self, seconds: float, hurry: asyncio.Event) -> None:
        """Take nothing new, and return when no reply runs; what runs on after `seconds` ends as interrupted.

        Accepted replies that have not started stay as they are: nothing was paid for them, the next start runs them.
        """
        if self.drained:
            return
        self.draining.set()
        self._log.tails.wake_all()
        hurried = asyncio.create_task(hurry.wait())
        try:
            async with asyncio.timeout(seconds):
                while self._runners and not hurry.is_set():
                    changed = asyncio.create_task(self._changed.wait())
                    await asyncio.wait({changed, hurried}, return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
        except TimeoutError:
            logger.warning("drain time is up", extra={"running": len(self._runners)})
        finally:
            hurried.cancel()
        stops = (self.stop(id, INTERRUPTED, DRAINED_IN_SECONDS) for id in self._runners)
        await asyncio.gather(*stops, return_exceptions=True)
        self.drained = True
        self._log.tails.wake_all()

    async def close(self) -> None:
        """Cancel what is still there; what is not ended in the store is ended by the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_ready(self) -> None:
        for reply_id, tail in list(self._accepted.items()):
            if self.draining.is_set() or len(self._runners) >= self._settings.max_running:
                return
            if not waits(tail, reply_id):
                del self._accepted[reply_id]
                self._run(tail, reply_id)

    def _run(self, tail: Tail, reply_id: str, outcome: Outcome | None = None) -> None:
        assert tail.history is not None  # noqa: S101 - only conversations have replies
        draft = tail.history.messages[reply_id]
        assert isinstance(draft, Draft)  # noqa: S101 - it has not ended
        try:
            responder = self._registry.get(draft.reply().responder)
        except (UnknownResponder, LoadError):
            responder = None
        runner = Runner(
            self._log,
            tail,
            draft,
            responder,
            partial(read_prompt, self._log.engine, tail, draft),
            max_bytes=self._settings.max_reply_bytes,
            idle_seconds=self._settings.reply_idle_seconds,
        )
        if outcome:
            runner.decide(outcome)
        self._runners[reply_id] = runner
        task = asyncio.create_task(self._see_through(runner, tail), name=f"runner-{reply_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, runner: Runner, tail: Tail) -> None:
        try:
            await runner.run()
        finally:
            del self._runners[runner.reply_id]
            self._log.tails.release(tail)
            self._changed.set()
            self._changed = asyncio.Event()
        self._start_ready()


def waits(tail: Tail, reply_id: str) -> bool:
    """Whether an accepted reply waits for the one that its prompt follows to end."""
    assert tail.history is not None  # noqa: S101 - only conversations have replies
    messages = tail.history.messages
    prompt = messages[reply_id].parent
    before = messages[prompt].parent if prompt else None
    return before is not None and messages[before].live
