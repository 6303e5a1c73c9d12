"""How much a stretch of work took: wall clock, the server's CPU, and how busy the load's own core was."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from benchmarks.servers import Server


class Usage:
    """The seconds and CPU seconds of a `with` block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seconds = 0.0
        self.cpu = 0.0
        self.load_cpu = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic(), self._server.cpu(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds, cpu, load_cpu = self._began
        self.seconds = time.monotonic() - seconds
        self.cpu = self._server.cpu() - cpu
        self.load_cpu = time.process_time() - load_cpu

    def busy(self) -> dict[str, float]:
        """Return how much of its core each side used: a server below 1 was not what limited the rate."""
        return {"server_busy": self.cpu / self.seconds, "load_busy": self.load_cpu / self.seconds}
