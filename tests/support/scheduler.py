"""An event loop whose scheduling is drawn from a seed, over a clock that jumps.

Of everything that could run next, it runs one thing, drawn at random; time passes only when nothing can run. So one
seed is one interleaving, for ever, and a wait that nothing will ever end is found at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class Stuck(AssertionError):
    """Nothing can run, now or later, and the main task has not ended: a wake-up was lost."""


class SeededLoop(asyncio.SelectorEventLoop):
    """Only for what waits on asyncio itself: there are no sockets and threads in a jumping clock."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.steps = 0
        self._now = 0.0
        self._pool: list[asyncio.Handle] = []
        super().__init__()

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        # `_ready` and `_scheduled` are asyncio's own; an upgrade that renames them fails every test at once.
        self._pool += self._ready
        self._ready.clear()
        if self._pool:
            self._ready.append(self._pool.pop(self.random.randrange(len(self._pool))))
            self.steps += 1
        elif self._scheduled:
            self._now = max(self._now, self._scheduled[0].when())
        else:
            raise Stuck("nothing can run")
        super()._run_once()


def run_seeded(seed: int, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end under one interleaving; what it leaves behind is cancelled."""
    loop = SeededLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        with patch("app.cadence.thread_time", return_value=0.0):  # the real processor's load would be no seed's
            return loop.run_until_complete(main)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


@contextmanager
def naming(seed: int) -> Iterator[None]:
    """Note the seed on whatever is raised under it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
