"""A loop whose clock is set: a sleep takes no time, and the clock jumps to where it ends."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine


class Clock(selectors.SelectSelector):
    """What an event loop waits with; this one does not wait, it moves `now`."""

    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.clock = Clock()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now

    def pass_time(self, seconds):
        """Let time pass in which the loop does nothing: what a busy machine looks like."""
        self.clock.now += seconds


def run_virtually(coroutine: Coroutine):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
