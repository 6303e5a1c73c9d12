"""The engine for one process: a SQLite database in the data folder. It conforms to `app.engine.base`.

One connection writes, in one thread, with `synchronous=FULL`: SQLite 3.7.0 to 3.51.2 can corrupt a WAL when two
connections write or checkpoint at once, so exactly one ever does. Reads run in threads of their own over read-only
connections, which never checkpoint.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from app.engine import queries, rows
from app.engine.base import (
    Change,
    Commit,
    DropConversation,
    Found,
    StoredAnswer,
    StoredBranch,
    StoredConversation,
    StoredReply,
    StoredStream,
)
from app.engine.blocks import Unreadable, pack_journal, unpack_journal
from app.engine.generation import note_generation
from app.engine.schema import migrate
from app.errors import RESTORE, NotStoring, StartError
from app.events import Record
from app.ids import make_epoch
from app.messages import Conversation, Message

T = TypeVar("T")

_READERS = 3
_CHECKED_AT_START = 64 * 2**20
"""A database up to this size, in bytes, is checked whole at start; a larger one would not be ready in time."""


class SQLiteEngine:
    """Everything in `<folder>/tickertape.db`, kept by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "tickertape.db"
        self._lock: IO[bytes] | None = None
        self._db: sqlite3.Connection | None = None
        self._generation = b""
        self._unsettled: dict[str, int] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="engine-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="engine-reader")
        self._reader = threading.local()
        self._reading: list[sqlite3.Connection] = []

    async def claim(self) -> dict[str, list[Record]]:
        """Lock the folder, open or create the database, and read the journal."""
        try:
            return await self._in_writer(self._claim)
        except BaseException:
            await self.close()
            raise

    def epoch(self, salt: bytes) -> str:
        """Return the epoch of a stream with that salt in this generation of the store."""
        return make_epoch(salt, self._generation)

    async def commit(self, commit: Commit) -> None:
        """Store one commit in one transaction."""
        await self._in_writer(self._commit, commit)

    async def stream(self, name: str) -> StoredStream | None:
        """Return a stream's epoch and settled range."""
        return await self._read(queries.stream, name, self._generation)

    async def read(self, stream: str, after: int, limit: int) -> list[Record]:
        """Return settled records, whole blocks at a time."""
        return await self._read(queries.records, stream, after, limit)

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation with its outlines."""
        return await self._read(queries.conversation, conversation_id)

    async def conversations(
        self, principal: str, before: tuple[int, int] | None, limit: int
    ) -> tuple[list[Conversation], tuple[int, int] | None]:
        """Return a page of conversations."""
        return await self._read(queries.conversations, principal, before, limit)

    async def messages(
        self, conversation_id: str, ids: Sequence[str], max_bytes: int | None = None
    ) -> dict[str, Message]:
        """Return messages whole, by id."""
        return await self._read(queries.messages, conversation_id, ids, max_bytes)

    async def page(
        self, conversation_id: str, before: int | None, limit: int, max_bytes: int
    ) -> tuple[list[Message], int | None]:
        """Return a page of messages."""
        return await self._read(queries.page, conversation_id, before, limit, max_bytes)

    async def reply(self, conversation_id: str, reply_id: str) -> StoredReply | None:
        """Return a reply's row."""
        return await self._read(queries.reply, conversation_id, reply_id)

    async def unfinished(self) -> list[str]:
        """Return the conversations with live replies, and the transient ones."""
        return await self._read(queries.unfinished)

    async def aliased(self, principal: str, alias: str) -> str | None:
        """Return the id of the newest conversation of an alias."""
        return await self._read(queries.aliased, principal, alias)

    async def branch(
        self, principal: str, digests: Sequence[bytes], conversation_id: str | None = None
    ) -> StoredBranch | None:
        """Return where the last of these branches is stored."""
        return await self._read(queries.branch, principal, digests, conversation_id)

    async def answer(self, scope: bytes, since: datetime) -> StoredAnswer | None:
        """Return an idempotency record."""
        return await self._read(queries.answer, scope, since)

    async def changed(self) -> int:
        """Return the number of the newest change."""
        return await self._read(queries.changed)

    async def changes(self, after: int, limit: int, max_bytes: int) -> list[Change]:
        """Return changes, as they stand now."""
        return await self._read(queries.changes, after, limit, max_bytes)

    async def found(
        self, principal: str, places: Sequence[tuple[int, int | None]], max_bytes: int
    ) -> list[Found | None]:
        """Return what is at places."""
        return await self._read(queries.found, principal, places, max_bytes)

    async def close(self) -> None:
        """End the threads and connections, readers first: the last connection to close checkpoints."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in [*self._reading, self._db]:
            if connection is not None:
                connection.close()
        self._reading, self._db = [], None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # Threads

    async def _in_writer(self, call: Callable[..., T], *args: object) -> T:
        return await self._run(self._writer, call, *args)

    async def _read(self, query: Callable[..., T], *args: object) -> T:
        return await self._run(self._readers, self._run_query, query, *args)

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
        try:
            future = asyncio.get_running_loop().run_in_executor(threads, call, *args)
        except RuntimeError as error:  # what an executor says once it was shut down
            raise NotStoring("The store is closed.") from error
        return await future

    def _run_query(self, query: Callable[..., T], *args: object) -> T:
        try:
            db = self._reading_connection()
            db.execute("BEGIN")  # one transaction, so that all statements of a query see the same commit
            try:
                return query(db, *args)
            finally:
                db.execute("ROLLBACK")
        except (sqlite3.Error, Unreadable, msgspec.MsgspecError, UnicodeError) as error:
            raise NotStoring(f"The store could not be read: {error}.") from error

    def _reading_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
            self._reader.connection = connection
            self._reading.append(connection)
        return connection

    # Claim

    def _claim(self) -> dict[str, list[Record]]:
        self._lock_folder()
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            migrate(self._db)  # first: a database that is not ours stays as it is, down to its journal mode
            self._db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
            )
            if self._path.stat().st_size <= _CHECKED_AT_START:
                problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
                if problem != "ok":
                    raise sqlite3.DatabaseError(" ".join(problem.split()))
            self._generation = note_generation(self._db, self._path)
            return self._read_journal()
        except (sqlite3.OperationalError, OSError) as error:
            raise StartError(f"The database {self._path} cannot be opened for writing: {error}.") from error
        except (sqlite3.Error, Unreadable, UnicodeError) as error:
            raise StartError(f"The database {self._path} is damaged ({error}). {RESTORE}") from error

    def _lock_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"The data folder {self._folder} is in use by another process.") from error
        except OSError as error:
            raise StartError(f"The data folder {self._folder} cannot be written: {error.strerror}.") from error

    def _read_journal(self) -> dict[str, list[Record]]:
        db = self._require_db()
        unsettled: dict[str, list[Record]] = {}
        last: dict[str, int | None] = {}
        for row_id, row in db.execute("SELECT id, entries FROM journal ORDER BY id"):
            for name, records in unpack_journal(row):
                if name not in last:
                    found = queries.stream(db, name, self._generation)
                    last[name] = found.last if found else None
                settled = last[name]
                # A stream may have been deleted, or settled while another stream still held the row.
                new = [] if settled is None else [record for record in records if record.seq > settled]
                if new:
                    unsettled.setdefault(name, []).extend(new)
                    self._unsettled.setdefault(name, row_id)
        return unsettled

    # Commit

    def _commit(self, commit: Commit) -> None:
        db = self._require_db()
        unsettled = dict(self._unsettled)
        # A statement is a transaction by itself, and each one waits for its turn with the event loop.
        only_events = not commit.settlements and any(entry.records for entry in commit.entries)
        try:
            if not only_events or any(entry.rows for entry in commit.entries):
                db.execute("BEGIN IMMEDIATE")
            self._write(db, commit, unsettled)
            if db.in_transaction:
                db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise NotStoring(f"The store did not take the write: {error}.") from error
            raise
        self._unsettled = unsettled

    def _write(self, db: sqlite3.Connection, commit: Commit, unsettled: dict[str, int]) -> None:
        if not commit.entries and not commit.settlements:
            db.execute("UPDATE meta SET value = value")  # a transaction that writes nothing would prove nothing
        for settlement in commit.settlements:
            rows.settle(db, settlement)
            if not settlement.more:
                unsettled.pop(settlement.stream, None)
        journal = [(entry.stream, entry.records) for entry in commit.entries if entry.records]
        if journal:
            row_id = db.execute("INSERT INTO journal (entries) VALUES (?)", (pack_journal(journal),)).lastrowid
            for name, _ in journal:
                unsettled.setdefault(name, row_id or 0)
        for entry in commit.entries:
            for row in entry.rows:
                rows.apply(db, entry, row)
                if isinstance(row, DropConversation):
                    unsettled.pop(entry.stream, None)
        if commit.settlements:
            # Streams stand in the order of their first unsettled row, so the first one holds the oldest row needed.
            rows.trim_journal(db, next(iter(unsettled.values()), None))

    def _require_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise NotStoring("The store is closed.")
        return self._db
