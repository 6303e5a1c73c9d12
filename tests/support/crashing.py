"""A SQLite engine that a test can make refuse, and abandon as a kill does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from app.engine.sqlite import SQLiteEngine


class CrashingEngine(SQLiteEngine):
    """A real engine with controls. What it leaves open when it is abandoned is closed by `bury`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._left_open: list[sqlite3.Connection] = []

    async def refuse(self, refuses: bool) -> None:
        """Make every later commit fail within SQLite, or succeed again."""
        await self._in_writer(lambda: self._db.execute(f"PRAGMA query_only = {int(refuses)}"))

    def abandon(self) -> None:
        """End without a close: no connection is closed, so nothing is flushed or checkpointed, but the lock is free.

        A commit that the writer has begun is done or not, as it is when a process is killed.
        """
        self._writer.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)
        self._lock.close()
        self._left_open = [connection for connection in (self._db, *self._reading) if connection]

    def bury(self) -> None:
        """Close what an abandoned engine left open."""
        for connection in self._left_open:
            connection.close()
        self._left_open = []
