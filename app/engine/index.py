"""The search index: FTS5 in a SQLite file and threads of its own, so that nothing waits for it but a search.

The file can be made anew from the store at any time, and is where it is missing, damaged, or another store's. Its rows
and the number that it has come to are written in one transaction, so after a kill nothing is missed or there twice.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from app.engine.base import Change, Match
from app.errors import NotStoring
from app.words import fold

T = TypeVar("T")

MOST_MATCHES = 200_000
"""How many messages are looked at for one search, those of the newest conversations."""
_DELETED_AT_ONCE = 20
_VERSION = 1
"""Changes with the schema below or with `app.words`: a file of another version is made anew."""
_SECURE = "INSERT INTO texts (texts, rank) VALUES ('secure-delete', 1);"
_SCHEMA = f"""
    BEGIN;
    CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = "ascii tokenchars '+#'");
    CREATE TABLE conversations (number INTEGER PRIMARY KEY, principal TEXT NOT NULL, updated INTEGER NOT NULL);
    CREATE TABLE reached (epoch TEXT NOT NULL, number INTEGER NOT NULL);
    {_SECURE if sqlite3.sqlite_version_info >= (3, 42) else ""}
    PRAGMA user_version = {_VERSION};
    COMMIT;
"""
_FIND = """
    WITH hits (place) AS MATERIALIZED (SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid DESC LIMIT ?)
    SELECT c.updated, c.number, max(h.place) FROM hits h CROSS JOIN conversations c ON c.number = h.place >> 20
    WHERE c.principal = ? AND (c.updated, c.number) < (?, ?)
    GROUP BY c.number ORDER BY c.updated DESC, c.number DESC LIMIT ?
"""
# A place is a conversation's number and, in the lower bits, 0 for its title or one more than a message's position.
_BITS = 20

_CHECKED_AT_START = 64 * 2**20
"""An index up to this size, in bytes, is checked whole when it is opened; a larger one is busy for too long."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_STORAGE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
"""What is wrong with the disk, and not with the file."""


class SQLiteIndex:
    """Everything in `<folder>/search.db`; the folder is the engine's, whose lock keeps other processes away."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "search.db"
        self._db: sqlite3.Connection | None = None
        self._damaged = False
        self._made = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="search-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="search-reader")
        self._reading: sqlite3.Connection | None = None
        self._reading_made = 0

    async def open(self, epoch: str, head: int) -> int:
        """Open the index of a store, or begin a new one, and return the number of the last change that it holds.

        `epoch` names the store, `head` is its last number; an index of another epoch, or one that is ahead, is not
        this store's. Raises `NotStoring`.
        """
        return await self._run(self._writer, self._open, epoch, head)

    async def add(self, changes: Sequence[Change]) -> int:
        """Take up changes, all or the first of them, and return the number reached. Raises `NotStoring`."""
        return await self._run(self._writer, self._add, changes)

    async def find(
        self, query: Sequence[str], principal: str, before: tuple[int, int] | None, limit: int
    ) -> list[Match]:
        """Return matches of a query from `read_query`, one per conversation, newest activity first.

        `before` is the `updated` and `conversation` of the last match of the page before. Raises `NotStoring`.
        """
        return await self._run(self._reader, self._find, query, principal, before, limit)

    async def close(self) -> None:
        """End the threads and connections, the reader first: the last connection to close checkpoints."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reader.shutdown()
        self._writer.shutdown()
        for connection in (self._reading, self._db):
            if connection is not None:
                connection.close()
        self._reading = self._db = None

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call, *args)
        except sqlite3.Error as error:
            self._damaged |= _code(error) in _DAMAGED
            raise NotStoring(f"The search index cannot be used: {error}.") from error
        except (OSError, RuntimeError) as error:  # the latter is what an executor says once it was shut down
            raise NotStoring(f"The search index cannot be used: {error}.") from error

    # Write, in the writer's thread

    def _open(self, epoch: str, head: int) -> int:
        reached = None if self._damaged else self._connect(epoch)
        if reached is None or reached > head:
            self._remove()
            reached = self._connect(epoch)
            self._damaged = False
        return reached or 0

    def _connect(self, epoch: str) -> int | None:
        """Connect to the file, made if need be, and return the number reached; None where it is to be made anew."""
        if self._db is not None:
            self._db.close()
        db = self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;")
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                db.executescript(_SCHEMA)
            if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                return None
            if self._path.stat().st_size <= _CHECKED_AT_START:
                problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                if problem != "ok":
                    return None
            db.execute("SELECT rowid FROM texts WHERE texts MATCH 'a' LIMIT 1").fetchone()
            db.execute("INSERT INTO reached SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM reached)", (epoch,))
            noted, number = db.execute("SELECT epoch, number FROM reached").fetchone()
        except sqlite3.Error as error:
            if _code(error) in _STORAGE:
                raise
            return None
        return number if noted == epoch else None

    def _remove(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._made += 1

    def _add(self, changes: Sequence[Change]) -> int:
        if self._db is None:
            raise NotStoring("The search index is not open.")
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            reached = _take_up(db, changes)
            db.execute("UPDATE reached SET number = ?", (reached,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return reached

    # Read, in the reader's thread

    def _find(self, query: Sequence[str], principal: str, before: tuple[int, int] | None, limit: int) -> list[Match]:
        words = " ".join(f'"{word}"' for word in query) + "*"  # a folded word holds no quote
        rows = self._reading_connection().execute(
            _FIND, (words, MOST_MATCHES, principal, *(before or (2**63 - 1, 2**63 - 1)), limit)
        )
        return [
            Match(updated, number, place % 2**_BITS - 1 if place % 2**_BITS else None)
            for updated, number, place in rows
        ]

    def _reading_connection(self) -> sqlite3.Connection:
        if self._reading is None or self._reading_made != self._made:
            if self._reading is not None:
                self._reading.close()  # it has the file that was there before
            self._reading_made = self._made
            self._reading = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
        return self._reading


def _take_up(db: sqlite3.Connection, changes: Sequence[Change]) -> int:
    """Write changes in order, and return the number of the last one written; a long deletion is cut into parts."""
    newest = {(change.conversation, change.position): change.number for change in changes}
    reached = changes[0].number - 1
    for change in changes:
        if newest[change.conversation, change.position] == change.number and not _take_up_one(db, change):
            break
        reached = change.number
    return reached


def _take_up_one(db: sqlite3.Connection, change: Change) -> bool:
    """Write one change; says whether that is done."""
    first = change.conversation << _BITS
    if change.principal is None:
        places = db.execute(
            "SELECT rowid FROM texts WHERE rowid BETWEEN ? AND ? LIMIT ?",
            (first, first + 2**_BITS - 1, _DELETED_AT_ONCE),
        ).fetchall()
        db.executemany("DELETE FROM texts WHERE rowid = ?", places)
        db.execute("DELETE FROM conversations WHERE number = ?", (change.conversation,))
        return len(places) < _DELETED_AT_ONCE
    db.execute(
        "REPLACE INTO conversations (number, principal, updated) VALUES (?, ?, ?)",
        (change.conversation, change.principal, change.updated),
    )
    if change.text is not None:
        place = first if change.position is None else first + 1 + change.position
        db.execute("REPLACE INTO texts (rowid, text) VALUES (?, ?)", (place, fold(change.text)))
    return True


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary code of an error, 0 where it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
