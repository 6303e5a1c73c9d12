"""When tokens are due: by schedule, so that lateness never adds up."""

from __future__ import annotations

import asyncio


class Pace:
    """A schedule of tokens: the first is due after `delay` seconds, then `rate` a second; None is as fast as it goes.

    Token i is due at start + delay + i / rate, whenever the ones before it went out. So after a late tick all that is
    due goes out without a wait between. The schedule starts when this is created, in a running loop.
    """

    def __init__(self, rate: float | None, *, delay: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time() + delay
        self._interval = 1 / rate if rate else 0.0
        self._count = 0

    async def due(self) -> None:
        """Wait until the next token is due."""
        wait = self._start + self._count * self._interval - self._loop.time()
        if wait > 0:
            await asyncio.sleep(wait)

    async def tick(self) -> None:
        """Wait until the next token is due, and count it as gone."""
        await self.due()
        self._count += 1
