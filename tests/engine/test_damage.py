"""A store that cannot be used is refused at start, with one sentence, and left as it is."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.engine.base import Entry
from app.engine.schema import APPLICATION_ID, MIGRATIONS
from app.engine.sqlite import SQLiteEngine
from app.errors import NotStoring, StartError
from tests.engine.conformance import EngineConformance
from tests.support.commits import (
    accepted,
    commit,
    new_conversation,
    new_stream,
    records,
    user_message,
)

PAGE = 4096


async def fill(folder: Path) -> Path:
    """Write a store with something in every table, and return the database's path."""
    engine = SQLiteEngine(folder)
    await engine.claim()
    await engine.commit(commit(new_conversation("c", [user_message("m", text="x" * 9000), accepted("r", "m")])))
    await engine.commit(commit(new_stream("s", 60, b"s"), new_stream("t", 40, b"t")))
    await engine.commit(commit(settle=[EngineConformance.settlement("s", 1, 60)]))
    await engine.close()
    return folder / "tickertape.db"


async def refusal(folder: Path) -> str:
    """Return the sentence with which a folder is refused."""
    with pytest.raises(StartError) as refused:
        await SQLiteEngine(folder).claim()
    sentence = str(refused.value)
    assert re.fullmatch(r"[A-Z][^\n]*\.", sentence), "one line, for people"
    assert "Traceback" not in sentence
    return sentence


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def page_of(path: Path, table: str) -> int:
    """Return where a table's first page begins."""
    with closing(sqlite3.connect(path)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchall()
    return (page - 1) * PAGE


DAMAGES: dict[str, Callable[[Path], object]] = {
    "another file": lambda path: path.write_bytes(b"This is a diary, not a database.\n" * 500),
    "random bytes": lambda path: path.write_bytes(random.Random(1).randbytes(5 * PAGE)),
    "a few bytes": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "a page of zeros at its start": lambda path: overwrite(path, 0, bytes(PAGE)),
    "flipped bytes in the header": lambda path: overwrite(path, 16, b"\xff" * 8),
    "another page size": lambda path: overwrite(path, 16, b"\x02\x00"),
    "flipped bytes in the middle": lambda path: overwrite(path, PAGE + 2, b"\xff" * 64),
    "random pages after the first": lambda path: overwrite(
        path, PAGE, random.Random(2).randbytes(path.stat().st_size - PAGE)
    ),
    "zeroed pages after the first": lambda path: overwrite(path, PAGE, bytes(path.stat().st_size - PAGE)),
    "a broken page that a start does not read": lambda path: overwrite(path, page_of(path, "answers"), b"\xff" * 64),
    "a schema that is not UTF-8": lambda path: overwrite(path, path.read_bytes().index(b"UNIQUE"), b"UNI\xd9UE"),
    "its second half cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "all but one page cut off": lambda path: path.write_bytes(path.read_bytes()[:PAGE]),
    "all but its header cut off": lambda path: path.write_bytes(path.read_bytes()[:100]),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = await fill(tmp_path)
    DAMAGES[damage](path)
    before = path.read_bytes()

    sentence = await refusal(tmp_path)

    assert str(path) in sentence
    assert path.read_bytes() == before


@pytest.mark.parametrize("column", ["type", "data"])
async def test_journal_bytes_that_no_version_wrote_are_damage(tmp_path: Path, column: str) -> None:
    path = await fill(tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        ((row,),) = db.execute("SELECT entries FROM journal ORDER BY id DESC LIMIT 1").fetchall()
        broken = row.replace(b"\xa7message", b"\xa7mess\xffge") if column == "type" else row.replace(b"\xc4", b"\xc0")
        assert broken != row
        db.execute("UPDATE journal SET entries = ?", (broken,))

    assert "is damaged" in await refusal(tmp_path)


async def test_any_flipped_byte_is_refused_or_named_when_it_is_read(tmp_path: Path) -> None:
    path = await fill(tmp_path)
    good, chance = path.read_bytes(), random.Random(3)
    refused = unreadable = 0

    for _ in range(150):
        place = chance.randrange(len(good))
        path.write_bytes(good)
        overwrite(path, place, bytes([good[place] ^ chance.randrange(1, 256)]))
        engine = SQLiteEngine(tmp_path)
        try:
            await engine.claim()
        except StartError:
            refused += 1
            continue
        reads = [
            lambda e: e.stream("s"),
            lambda e: e.read("s", 0, 100),
            lambda e: e.conversation("c"),
            lambda e: e.page("c", None, 10, 10**6),
            lambda e: e.reply("c", "r"),
            lambda e: e.conversations("local", None, 10),
        ]
        for read in reads:
            try:
                await read(engine)
            except NotStoring:
                unreadable += 1
        await engine.close()

    assert refused
    assert unreadable


async def test_a_damaged_block_is_not_storing_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = await fill(tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE blocks SET records = x'789c00'")
    engine = SQLiteEngine(tmp_path)
    await engine.claim()

    with pytest.raises(NotStoring):
        await engine.read("s", 0, 10)

    assert await engine.conversation("c")
    await engine.commit(commit(Entry("s", records(61, 62))))
    await engine.close()


async def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tickertape.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()

    assert "another program" in await refusal(tmp_path)

    assert path.read_bytes() == before


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = await fill(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()

    assert f"version {len(MIGRATIONS) + 1}" in await refusal(tmp_path)

    assert path.read_bytes() == before


async def test_a_store_without_its_tables_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tickertape.db")) as db:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    await refusal(tmp_path)


# Folders


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    assert str(tmp_path / "data") in await refusal(tmp_path / "data")


async def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert str(tmp_path / "file" / "data") in await refusal(tmp_path / "file" / "data")


async def test_a_lock_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()

    assert str(tmp_path) in await refusal(tmp_path)


@pytest.mark.parametrize("target", ["tickertape.db", "missing/tickertape.db"])
async def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "tickertape.db").symlink_to(tmp_path / target)

    assert str(tmp_path / "tickertape.db") in await refusal(tmp_path)


async def test_a_refused_folder_can_be_claimed_once_it_is_in_order(tmp_path: Path) -> None:
    path = await fill(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[:5000])
    await refusal(tmp_path)

    path.write_bytes(good)

    engine = SQLiteEngine(tmp_path)
    assert (await engine.claim())["t"] == records(1, 40)
    await engine.close()


@pytest.mark.parametrize("name", ["with space", "ünï", "a?b#c%41", "deep/er/still", "mode=memory&x"])
async def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    engine = SQLiteEngine(tmp_path / name)
    await engine.claim()

    await engine.commit(commit(new_stream("s", 2)))

    assert await engine.stream("s")
    assert (tmp_path / name / "tickertape.db").stat().st_size
    await engine.close()
