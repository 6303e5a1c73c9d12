"""The index in its file: what is found, and that it is made anew whenever it has to be."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engine import index as index_module
from app.engine.base import Change, Match
from app.engine.index import SQLiteIndex
from app.errors import NotStoring
from app.words import fold, read_query


class Written:
    """Changes made from few facts, numbered as they are made."""

    def __init__(self) -> None:
        self.number = 0

    def change(self, conversation: int, position: int | None, text: str | None, **fields: object) -> Change:
        self.number += 1
        given = {"principal": "local", "updated": self.number} | fields
        return Change(self.number, conversation, position, text=text, **given)

    def gone(self, conversation: int) -> Change:
        return self.change(conversation, None, None, principal=None, updated=0)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[SQLiteIndex]:
    index = SQLiteIndex(tmp_path)
    assert await index.open("epoch", 0) == 0
    yield index
    await index.close()


async def found(index: SQLiteIndex, text: str, principal: str = "local") -> list[tuple[int, int | None]]:
    """Return the places where a text is found."""
    return [(m.conversation, m.position) for m in await index.find(read_query(text), principal, None, 100)]


async def count(index: SQLiteIndex) -> int:
    """Return how many texts the file holds."""
    return await index._run(index._writer, lambda: index._db.execute("SELECT count(*) FROM texts").fetchone()[0])


# Finding


async def test_the_newest_message_of_each_conversation_is_found_newest_activity_first(
    index: SQLiteIndex, written: Written
) -> None:
    changes = [
        written.change(1, None, "A tea title"),
        written.change(1, 0, "Tea?"),
        written.change(2, None, "Title of tea"),
        written.change(2, 0, "Coffee"),
        written.change(3, 0, "Milk"),
        written.change(1, 1, "Tea!"),
    ]

    assert await index.add(changes) == 6

    assert await found(index, "tea") == [(1, 1), (2, None)]
    assert await found(index, "tea title") == [(1, None), (2, None)]


async def test_all_words_are_in_one_message(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, 0, "black tea"), written.change(1, 1, "green coffee")])

    assert await found(index, "tea black") == [(1, 0)]
    assert await found(index, "black coffee") == []


async def test_a_page_goes_on_where_the_one_before_ended(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(n, 0, "tea", updated=n // 2) for n in range(1, 20)])
    seen: list[Match] = []

    while page := await index.find(["tea"], "local", (seen[-1].updated, seen[-1].conversation) if seen else None, 4):
        seen += page

    assert [match.conversation for match in seen] == list(range(19, 0, -1))


async def test_nobody_finds_what_is_anothers(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, 0, "tea", principal="ann"), written.change(2, 0, "tea", principal="bob")])

    assert await found(index, "tea", "ann") == [(1, 0)]
    assert await found(index, "tea", "bob") == [(2, 0)]
    assert await found(index, "tea") == []


async def test_common_words_are_looked_for_in_the_newest_conversations(
    index: SQLiteIndex, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "MOST_MATCHES", 3)

    await index.add([written.change(n, 0, "tea") for n in range(1, 10)])

    assert await found(index, "tea") == [(9, 0), (8, 0), (7, 0)]


@pytest.mark.parametrize(
    "text",
    [
        '"', '""', "*",
        "tea*", "NEAR(a b)", "a AND b OR NOT c", "-a", "^a", "a:b", "text:a", "{text}:a", "(", "a + b", "'",
        "\0", "a\0b", "\ud800", "\\", "%", "_", ";--", "東" * 500, "a " * 250,
        " ".join(chr(0x4E00 + n) for n in range(250)), " ".join(chr(0x100 + n) for n in range(0, 500, 2)), "x" * 500,
    ],
)  # fmt: skip
async def test_whatever_is_asked_is_words(index: SQLiteIndex, written: Written, text: str) -> None:
    said = text.encode("utf-8", "replace").decode()
    await index.add([written.change(1, 0, f"before {said} after"), written.change(2, 0, "other")])

    if read_query(text):
        assert await found(index, text) == [(1, 0)]
    else:
        assert fold(text) == ""


async def test_a_large_text_is_found_by_its_last_word(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, 0, "first " + "word " * 200_000 + "last"), written.change(2, 0, "x" * 10**6)])

    assert await found(index, "last first") == [(1, 0)]
    assert await found(index, "xxx") == [(2, 0)]


# Changing


async def test_a_text_that_changes_is_found_as_it_is_now(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, None, "Old title"), written.change(1, 0, None)])
    await index.add([written.change(1, None, "New title"), written.change(1, 0, "answer")])

    assert await found(index, "old") == []
    assert await found(index, "new") == [(1, None)]
    assert await found(index, "answer") == [(1, 0)]
    assert await count(index) == 2


async def test_a_deleted_conversation_leaves_no_text(index: SQLiteIndex, written: Written, tmp_path: Path) -> None:
    await index.add([written.change(1, 0, "quetzalcoatlus is here"), written.change(2, 0, "kept")])

    await index.add([written.gone(1)])

    assert await found(index, "quetzalcoatlus") == []
    assert await found(index, "kept") == [(2, 0)]
    assert await count(index) == 1
    await index.close()
    assert b"quetzalcoatlus is here" not in (tmp_path / "search.db").read_bytes()


async def test_a_long_deletion_is_done_in_parts(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, n, "many") for n in range(50)] + [written.change(2, 0, "next")])
    deletion = [written.gone(1), written.change(2, 1, "after")]

    reached = []
    while not reached or reached[-1] < deletion[-1].number:
        reached.append(await index.add([change for change in deletion if change.number > (reached or [0])[-1]]))

    assert len(reached) > 2
    assert await found(index, "many") == []
    assert await count(index) == 2


# The file


async def test_an_index_goes_on_where_it_was(index: SQLiteIndex, written: Written, tmp_path: Path) -> None:
    await index.add([written.change(1, 0, "tea"), written.change(2, 0, "tea")])
    await index.close()
    again = SQLiteIndex(tmp_path)

    assert await again.open("epoch", 2) == 2

    assert await found(again, "tea") == [(2, 0), (1, 0)]
    await again.close()


@pytest.mark.parametrize(("epoch", "head"), [("another", 9), ("epoch", 1)])
async def test_an_index_of_another_store_is_made_anew(
    index: SQLiteIndex, written: Written, epoch: str, head: int
) -> None:
    await index.add([written.change(1, 0, "tea"), written.change(2, 0, "tea")])
    assert await found(index, "tea") != []

    assert await index.open(epoch, head) == 0

    assert await found(index, "tea") == []
    await index.add([Change(1, 1, 0, "local", 1, "milk")])
    assert await found(index, "milk") == [(1, 0)]


@pytest.mark.parametrize("damage", ["garbage", "zeros", "cut", "middle", "version", "table", "empty"])
async def test_a_damaged_index_is_made_anew(index: SQLiteIndex, written: Written, tmp_path: Path, damage: str) -> None:
    await index.add([written.change(n, 0, f"tea {n} " + "word " * 200) for n in range(1, 200)])
    await index.close()
    path = tmp_path / "search.db"
    content = bytearray(path.read_bytes())
    if damage in ("version", "table"):
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99" if damage == "version" else "DROP TABLE texts_idx")
        db.close()
    else:
        middle = bytearray(content)
        middle[8192:-4096] = b"\xa5" * len(middle[8192:-4096])
        path.write_bytes(
            {
                "garbage": b"\xff" * 9000,
                "zeros": bytes(len(content)),
                "cut": content[: len(content) // 2],
                "middle": middle,
                "empty": b"",
            }[damage]
        )
    again = SQLiteIndex(tmp_path)

    assert await again.open("epoch", written.number) == 0

    await again.add([Change(1, 1, 0, "local", 1, "milk")])
    assert await found(again, "milk") == [(1, 0)]
    assert await found(again, "tea") == []
    await again.close()


async def test_damage_that_shows_later_is_an_error_and_then_mended(
    index: SQLiteIndex, written: Written, tmp_path: Path
) -> None:
    await index.add([written.change(n, 0, f"tea {n} " + "word " * 200) for n in range(1, 200)])
    with sqlite3.connect(tmp_path / "search.db") as db:
        db.execute("UPDATE texts_data SET block = zeroblob(30) WHERE id > 10")
    db.close()

    with pytest.raises(NotStoring):
        await found(index, "tea")
    assert await index.open("epoch", written.number) == 0

    await index.add([Change(1, 1, 0, "local", 1, "milk")])
    assert await found(index, "milk") == [(1, 0)]


async def test_a_full_disk_takes_nothing_and_later_all(index: SQLiteIndex, written: Written) -> None:
    await index.add([written.change(1, 0, "tea")])
    more = [written.change(n, 0, "milk " + "word " * 500) for n in range(2, 300)]
    pages = await index._run(index._writer, lambda: index._db.execute("PRAGMA page_count").fetchone()[0])
    await index._run(index._writer, lambda: index._db.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall())

    with pytest.raises(NotStoring):
        await index.add(more)
    assert await found(index, "tea") == [(1, 0)]
    assert await found(index, "milk") == []

    assert await index.open("epoch", written.number) == 1
    assert await index.add(more) == written.number
    assert len(await index.find(["milk"], "local", None, 1000)) == 298
    assert await count(index) == 299


async def test_a_killed_index_has_whole_transactions(index: SQLiteIndex, written: Written, tmp_path: Path) -> None:
    for n in range(1, 20):
        await index.add([written.change(n, 0, "tea")])
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy)
    again = SQLiteIndex(copy)

    assert await again.open("epoch", 19) == 19

    assert len(await found(again, "tea")) == 19
    await again.close()


async def test_a_closed_index_says_so(index: SQLiteIndex) -> None:
    await index.close()

    with pytest.raises(NotStoring):
        await index.find(["tea"], "local", None, 1)
    with pytest.raises(NotStoring):
        await index.add([Change(1, 1, 0, "local", 1, "milk")])
