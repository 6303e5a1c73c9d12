"""The cadence of commits: how far apart they are, by how much waits for them and how busy the processor is."""

from __future__ import annotations

from time import thread_time

QUIET = 0.005
"""Seconds from one commit to the next..."""
BUSY = 0.04
"""... and where the event loop takes most of a core: what a reply has written meanwhile shares a frame and a write."""
FULL = 8
"""So many appends are worth the whole pause; fewer are followed sooner, by as much."""
AT_EASE, AT_WORK = 0.5, 0.8
"""Up to which share of a core the pause is the quiet one, and from which on it is the busy one."""
LOOKS_BACK = 0.25
"""Seconds over which that share is taken, so that one long step does not count for much."""


class Cadence:
    """Tells when the next commit is due; it watches the thread that asks."""

    def __init__(self, now: float) -> None:
        self._asked_at = now
        self._cpu = thread_time()
        self._share = 0.0

    def pause(self, appends: int, now: float) -> float:
        """Return the seconds between the beginning of a commit of so many appends and that of the next one."""
        cpu = thread_time()
        if (passed := now - self._asked_at) > 0:
            share = (cpu - self._cpu) / passed
            self._share += (share - self._share) * min(1.0, passed / LOOKS_BACK)
        self._asked_at, self._cpu = now, cpu
        load = min(1.0, max(0.0, (self._share - AT_EASE) / (AT_WORK - AT_EASE)))
        return (QUIET + (BUSY - QUIET) * load) * min(1.0, appends / FULL)
