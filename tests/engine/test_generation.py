"""Generations (G4) and schema versions: what a database knows of itself."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.engine import schema
from app.engine.schema import APPLICATION_ID, MIGRATIONS, migrate
from app.engine.sqlite import SQLiteEngine
from app.errors import StartError
from tests.support.commits import SALT, commit, new_stream, records


async def epoch_after_claim(folder: Path) -> str:
    engine = SQLiteEngine(folder)
    await engine.claim()
    stored = await engine.stream("s")
    if stored is None:
        await engine.commit(commit(new_stream("s", 3)))
        stored = await engine.stream("s")
    assert stored
    assert stored.epoch == engine.epoch(SALT)
    await engine.close()
    return stored.epoch


def put_back_a_copy(path: Path) -> None:
    """Replace a file by a copy that was made beside it, so that the two never share an inode."""
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


async def test_a_restart_keeps_every_epoch(tmp_path: Path) -> None:
    first = await epoch_after_claim(tmp_path)

    assert [await epoch_after_claim(tmp_path) for _ in range(3)] == [first] * 3


async def test_a_copy_that_was_put_back_begins_a_new_generation_and_keeps_it(tmp_path: Path) -> None:
    first = await epoch_after_claim(tmp_path)

    put_back_a_copy(tmp_path / "tickertape.db")
    second = await epoch_after_claim(tmp_path)
    third = await epoch_after_claim(tmp_path)

    assert second != first
    assert third == second


async def test_two_folders_with_one_database_go_different_ways(tmp_path: Path) -> None:
    original = await epoch_after_claim(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    copy = await epoch_after_claim(tmp_path / "b")

    assert copy != original
    assert await epoch_after_claim(tmp_path / "a") == original


async def test_a_folder_that_was_moved_keeps_its_epochs(tmp_path: Path) -> None:
    first = await epoch_after_claim(tmp_path / "a")

    (tmp_path / "a").rename(tmp_path / "b")

    assert await epoch_after_claim(tmp_path / "b") == first


async def test_the_events_of_a_copy_are_all_there(tmp_path: Path) -> None:
    await epoch_after_claim(tmp_path)
    put_back_a_copy(tmp_path / "tickertape.db")

    engine = SQLiteEngine(tmp_path)

    assert await engine.claim() == {"s": records(1, 3)}
    await engine.close()


# The schema


def facts(path: Path) -> tuple[int, int, list[str]]:
    with closing(sqlite3.connect(path)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        owner = db.execute("PRAGMA application_id").fetchone()[0]
        return version, owner, [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]


async def test_a_new_database_is_ours_and_of_the_newest_version(tmp_path: Path) -> None:
    await epoch_after_claim(tmp_path)

    version, owner, names = facts(tmp_path / "tickertape.db")

    assert (version, owner) == (len(MIGRATIONS), APPLICATION_ID)
    assert {"meta", "streams", "journal", "blocks", "conversations", "messages", "answers"} <= set(names)


async def test_later_migrations_run_once_each_in_order_over_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await epoch_after_claim(tmp_path)
    later = ("CREATE TABLE two (a); INSERT INTO two VALUES ('once')", "ALTER TABLE two RENAME TO three")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, *later))

    again = [await epoch_after_claim(tmp_path) for _ in range(2)]

    version, owner, names = facts(tmp_path / "tickertape.db")
    assert again == [epoch, epoch]
    assert (version, owner) == (len(MIGRATIONS) + 2, APPLICATION_ID)
    assert "three" in names
    assert "two" not in names
    with closing(sqlite3.connect(tmp_path / "tickertape.db")) as db:
        assert db.execute("SELECT * FROM three").fetchall() == [("once",)]


async def test_a_migration_that_fails_leaves_the_last_version_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = await epoch_after_claim(tmp_path)
    before = facts(tmp_path / "tickertape.db")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE two (a); INSERT INTO missing VALUES (1)"))

        with pytest.raises(StartError):
            await SQLiteEngine(tmp_path).claim()

    assert facts(tmp_path / "tickertape.db") == before
    assert await epoch_after_claim(tmp_path) == epoch


def test_migrating_twice_changes_nothing() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        before = db.execute("SELECT * FROM sqlite_master").fetchall()

        migrate(db)

        assert db.execute("SELECT * FROM sqlite_master").fetchall() == before
