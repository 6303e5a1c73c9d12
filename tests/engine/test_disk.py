"""A full disk: nothing is half-stored, readers go on, and later commits succeed without a restart (G15)."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.engine.base import Entry
from app.engine.sqlite import SQLiteEngine
from app.errors import NotStoring, StartError
from tests.engine.conformance import EngineConformance
from tests.support.commits import commit, new_stream, records

BIG = "x" * 100_000


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SQLiteEngine]:
    engine = SQLiteEngine(tmp_path)
    await engine.claim()
    await engine.commit(commit(new_stream("s", 3)))
    yield engine
    await engine.close()


async def in_writer(engine: SQLiteEngine, statement: str) -> None:
    await engine._in_writer(lambda: engine._db.execute(statement).fetchall())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size; Python ignores the signal, so writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def refuse_twice(engine: SQLiteEngine) -> None:
    for _ in range(2):
        with pytest.raises(NotStoring):
            await engine.commit(commit(Entry("s", records(4, 6, BIG)), new_stream("t", 1, b"t")))
        assert await engine.stream("t") is None
        assert await engine.stream("s") is not None


async def reopen(engine: SQLiteEngine, folder: Path) -> dict[str, list]:
    await engine.close()
    again = SQLiteEngine(folder)
    unsettled = await again.claim()
    await again.close()
    return unsettled


async def test_a_wal_that_cannot_grow_refuses_commits_until_it_can(engine: SQLiteEngine, tmp_path: Path) -> None:
    with largest_file((tmp_path / "tickertape.db-wal").stat().st_size + 50_000):
        await refuse_twice(engine)

    await engine.commit(commit(Entry("s", records(4, 5, BIG))))

    assert await reopen(engine, tmp_path) == {"s": records(1, 3) + records(4, 5, BIG)}


async def test_a_full_database_refuses_commits_until_there_is_room(engine: SQLiteEngine, tmp_path: Path) -> None:
    await in_writer(engine, "PRAGMA max_page_count = 20")
    await refuse_twice(engine)

    await in_writer(engine, "PRAGMA max_page_count = 1000000")
    await engine.commit(commit(Entry("s", records(4, 5, BIG))))

    assert await reopen(engine, tmp_path) == {"s": records(1, 3) + records(4, 5, BIG)}


async def test_a_settlement_that_finds_no_room_leaves_the_journal_as_it_was(
    engine: SQLiteEngine, tmp_path: Path
) -> None:
    await in_writer(engine, "PRAGMA max_page_count = 20")
    with pytest.raises(NotStoring):
        await engine.commit(commit(Entry("s", records(4, 9, BIG)), settle=[EngineConformance.settlement("s", 1, 3)]))
    assert await engine.read("s", 0, 10) == []

    await in_writer(engine, "PRAGMA max_page_count = 1000000")
    await engine.commit(commit(Entry("s", records(4, 4)), settle=[EngineConformance.settlement("s", 1, 3)]))

    assert await engine.read("s", 0, 10) == records(1, 3)
    assert await reopen(engine, tmp_path) == {"s": records(4, 4)}


async def test_a_store_on_a_full_disk_is_refused_at_start_in_one_sentence(tmp_path: Path) -> None:
    with largest_file(8192), pytest.raises(StartError) as refused:
        await SQLiteEngine(tmp_path / "new").claim()

    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    engine = SQLiteEngine(tmp_path / "new")
    assert await engine.claim() == {}
    await engine.close()
