"""The replies that have not ended: which wait for another one, which run, and how many may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial

from app.errors import Draining, NotStoring, TooMany
from app.log import Append, Log
from app.runner import Runner
from app.settings import Settings
from app.snapshots import Known, history_of, read_prompt
from app.tail import Tail
from app.writer import CANCELLED, INTERRUPTED, Outcome
from responders.base import STOP_SECONDS
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError, Responder

logger = logging.getLogger(__name__)

MAX_WAITING = 10
"""How many prompts may wait in one conversation."""
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
        self._known: dict[str, Known] = {}
        self._runners: dict[str, Runner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserved = 0

    def __len__(self) -> int:
        return len(self._runners)

    def runs(self, reply_id: str) -> bool:
        """Whether a reply has begun to run here and has not ended."""
        return reply_id in self._runners

    def check_open(self) -> None:
        """Raise `Draining` once the server is about to end."""
        if self.draining.is_set():
            raise Draining("The server is about to end and takes nothing new.")

    @contextmanager
    def place(self, tail: Tail, *, waits: bool = False, replaces: bool = False) -> Iterator[None]:
        """Keep a place for a reply that is about to be accepted: among those that run, or in a conversation's queue.

        One that replaces a running reply gets the place of that one. Raises `TooMany` and `Draining`.
        """
        self.check_open()
        if waits and sum(_waits(tail, reply_id) for reply_id in history_of(tail).running) >= MAX_WAITING:
            raise TooMany(f"{MAX_WAITING} prompts are waiting in this conversation, which is the limit.")
        if waits or replaces:
            yield
            return
        ready = sum(not _waits(tail, reply_id) for reply_id, tail in self._accepted.items())
        if len(self._runners) + ready + self._reserved >= self._settings.max_running:
            raise TooMany(f"{self._settings.max_running} replies are running, which is the limit.")
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    async def accept(self, append: Append, tail: Tail, reply_id: str, known: Known) -> None:
        """Wait until an accepted reply is stored, and take it over: it starts as soon as it may. Raises `NotStoring`.

        A caller that is cancelled meanwhile leaves no reply behind that nobody runs.
        """
        accepting = self._spawn(self._take_over(append, tail, reply_id, known))
        await asyncio.shield(accepting)

    def recover(self, tail: Tail) -> None:
        """Take up what an earlier process left: what ran ends as interrupted, what was only accepted starts."""
        history = history_of(tail)
        for reply_id in history.running:
            self._log.tails.share(tail)
            if history.messages[reply_id].status == "running":
                self._run(tail, reply_id, INTERRUPTED)
            else:
                self._accepted[reply_id] = tail
        self._start_ready()

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
        self._wake_all()
        hurried = asyncio.create_task(hurry.wait())
        end = asyncio.get_running_loop().time() + seconds
        while self._runners and not hurry.is_set() and (left := end - asyncio.get_running_loop().time()) > 0:
            # A runner may be added meanwhile: a reply that waits can still be stopped.
            await asyncio.wait({hurried, *self._tasks}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if self._runners:
            logger.warning("drain time is up", extra={"running": len(self._runners)})
        stops = (self.stop(id, INTERRUPTED, DRAINED_IN_SECONDS) for id in self._runners)
        await asyncio.gather(*stops, return_exceptions=True)
        self.drained = True
        self._wake_all()

    def _wake_all(self) -> None:
        self._log.tails.wake_all()
        self._log.listing.wake()

    async def close(self) -> None:
        """Cancel what is still there; what is not ended in the store is ended by the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_ready(self) -> None:
        for reply_id, tail in list(self._accepted.items()):
            if self.draining.is_set() or len(self._runners) >= self._settings.max_running:
                return
            if not _waits(tail, reply_id):
                del self._accepted[reply_id]
                self._run(tail, reply_id)

    def _run(self, tail: Tail, reply_id: str, outcome: Outcome | None = None) -> None:
        draft = history_of(tail).draft(reply_id)
        runner = Runner(
            self._log,
            tail,
            draft,
            self._responder(draft.reply().responder),
            partial(read_prompt, self._log.engine, tail, draft, self._known.pop(reply_id, Known())),
            max_bytes=self._settings.max_reply_bytes,
            idle_seconds=self._settings.reply_idle_seconds,
        )
        if outcome:
            runner.decide(outcome)
        self._runners[reply_id] = runner
        _ = self._spawn(self._see_through(runner, tail))

    def _responder(self, name: str) -> Responder | None:
        try:
            return self._registry.last(name)
        except (UnknownResponder, LoadError):
            return None

    async def _take_over(self, append: Append, tail: Tail, reply_id: str, known: Known) -> None:
        self._log.tails.share(tail)
        try:
            await append.committed()
        except NotStoring:
            self._log.tails.release(tail)
            raise
        self._accepted[reply_id] = tail
        self._known[reply_id] = known
        self._start_ready()
        # One that has to wait reads what it needs when its turn comes: what waits takes no memory.
        self._known.pop(reply_id, None)

    async def _see_through(self, runner: Runner, tail: Tail) -> None:
        try:
            await runner.run()
        finally:
            del self._runners[runner.reply_id]
            self._log.tails.release(tail)
            self._start_ready()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _waits(tail: Tail, reply_id: str) -> bool:
    """Whether an accepted reply waits for the one that its prompt follows to end."""
    messages = history_of(tail).messages
    prompt = messages[reply_id].parent
    before = messages[prompt].parent if prompt else None
    return before is not None and messages[before].live
