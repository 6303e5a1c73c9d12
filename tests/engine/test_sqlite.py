"""The SQLite engine: the conformance suite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from app.branches import digest
from app.engine.base import DropConversation, Entry
from app.engine.schema import APPLICATION_ID, MIGRATIONS
from app.engine.sqlite import SQLiteEngine
from app.messages import Parameters
from tests.engine.conformance import EngineConformance, ProcessConformance
from tests.support.commits import accepted, commit, new_conversation, new_stream, records, user_message


class TestSQLite(EngineConformance):
    def make_engine(self, folder: Path) -> SQLiteEngine:
        return SQLiteEngine(folder)


@pytest.mark.slow
class TestSQLiteProcesses(ProcessConformance):
    child = "app.engine.sqlite:SQLiteEngine"

    def make_engine(self, folder: Path) -> SQLiteEngine:
        return SQLiteEngine(folder)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SQLiteEngine]:
    engine = SQLiteEngine(tmp_path)
    await engine.claim()
    yield engine
    await engine.close()


async def in_writer(engine: SQLiteEngine, statement: str) -> list[tuple]:
    """Run a statement on the writing connection, in its thread."""
    return await engine._in_writer(lambda: engine._db.execute(statement).fetchall())


# What makes a commit safe


async def test_the_writing_connection_syncs_every_commit_of_a_wal(engine: SQLiteEngine) -> None:
    assert await in_writer(engine, "PRAGMA journal_mode") == [("wal",)]
    assert await in_writer(engine, "PRAGMA synchronous") == [(2,)]


async def test_reading_connections_cannot_write(engine: SQLiteEngine) -> None:
    await engine.commit(commit(new_stream("s", 1)))
    for _ in range(10):
        await engine.stream("s")

    assert engine._reading
    for connection in engine._reading:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM journal")
        assert not connection.in_transaction


async def test_reading_never_moves_the_wal_into_the_database(engine: SQLiteEngine, tmp_path: Path) -> None:
    await in_writer(engine, "PRAGMA wal_autocheckpoint = 0")
    for n in range(1, 30):
        await engine.commit(commit(*([new_stream("s")] if n == 1 else []), Entry("s", records(n, n, "x" * 9000))))
    before = (tmp_path / "tickertape.db").read_bytes()

    for _ in range(30):
        await engine.stream("s")
        await engine.read("s", 0, 10)
    for connection in engine._reading:
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    assert (tmp_path / "tickertape.db").read_bytes() == before


async def test_settling_everything_empties_the_journal(engine: SQLiteEngine) -> None:
    for n in range(1, 6):
        head = [new_stream("s"), new_stream("t", 0, b"t")] if n == 1 else []
        await engine.commit(commit(*head, Entry("s", records(n, n)), Entry("t", records(n, n))))

    await engine.commit(commit(settle=[EngineConformance.settlement("s", 1, 5)]))
    held = await in_writer(engine, "SELECT count(*) FROM journal")
    await engine.commit(commit(Entry("s", records(6, 6)), settle=[EngineConformance.settlement("t", 1, 5)]))
    left = await in_writer(engine, "SELECT count(*) FROM journal")
    await engine.commit(commit(settle=[EngineConformance.settlement("s", 6, 6)]))

    assert held == [(5,)]
    assert left == [(1,)]
    assert await in_writer(engine, "SELECT count(*) FROM journal") == [(0,)]


async def test_a_dropped_conversation_leaves_no_row_in_any_table(engine: SQLiteEngine) -> None:
    gone = new_conversation("c", [user_message("m")])
    await engine.commit(commit(gone))
    await engine.commit(commit(settle=[EngineConformance.settlement(gone.stream, 1, 1)]))
    assert await in_writer(engine, "SELECT count(*) FROM blocks") == [(1,)]

    await engine.commit(commit(Entry(gone.stream, (), [DropConversation()])))

    for table in ("streams", "blocks", "conversations", "messages"):
        assert await in_writer(engine, f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_a_dropped_conversation_does_not_hold_the_journal(engine: SQLiteEngine) -> None:
    gone = new_conversation("c", [user_message("m")])
    await engine.commit(commit(gone))
    await engine.commit(commit(new_stream("s", 3)))
    await engine.commit(commit(Entry(gone.stream, (), [DropConversation()])))

    await engine.commit(commit(settle=[EngineConformance.settlement("s", 1, 3)]))

    assert await in_writer(engine, "SELECT count(*) FROM journal") == [(0,)]


async def test_what_an_earlier_version_stored_is_there(tmp_path: Path) -> None:
    asked, reply = user_message("m", text="Why?"), accepted("r", "m")
    with sqlite3.connect(tmp_path / "tickertape.db") as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID};")
        db.execute("INSERT INTO streams VALUES (7, 'conversation/c', x'00')")
        db.execute("INSERT INTO conversations VALUES (7, 'c', 'local', 'T', 'r', 1, 2)")
        for position, (message, options) in enumerate([(asked, b"{}"), (reply, b'{"loud":true}')]):
            body = msgspec.json.encode(message)
            row = (7, position, message.id, message.parent, message.role, message.status, 0, options, body)
            db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    engine = SQLiteEngine(tmp_path)

    await engine.claim()

    changes = await engine.changes(0, 10, 10**6)
    assert [(change.number, change.position, change.text) for change in changes] == [
        (1, None, "T"),
        (2, 0, "Why?"),
        (3, 1, None),
    ]
    stored = await engine.reply("c", "r")
    assert stored
    assert (stored.reply, stored.parameters) == (reply, Parameters(options={"loud": True}))
    assert await engine.messages("c", ["m"]) == {"m": asked}
    assert await engine.branch("local", [digest(b"", asked)]) is None
    await engine.close()
