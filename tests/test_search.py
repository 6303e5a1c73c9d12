"""Search: it follows the store, answers as of the question, and fails alone."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app import search as search_module
from app.engine.base import Change, DropConversation, Entry, Match, Rename, SaveReply
from app.engine.index import SQLiteIndex
from app.errors import Invalid, NotReady, NotStoring, TooMany
from app.search import MAX_QUERY_CHARACTERS, MAX_SEARCHES, Search
from tests.support.commits import accepted, add_messages, commit, completed, later, new_conversation, user_message
from tests.support.memory import Disk, MemoryEngine


class Controlled:
    """A real index with controls: whether it may go on, and what it fails with."""

    def __init__(self, folder: Path) -> None:
        self.index = SQLiteIndex(folder)
        self.may_add = asyncio.Event()
        self.may_add.set()
        self.error: Exception | None = None
        self.opened = 0
        self.added: list[Change] = []

    async def open(self, epoch: str, head: int) -> int:
        self.opened += 1
        return await self.index.open(epoch, head)

    async def add(self, changes: Sequence[Change]) -> int:
        await self.may_add.wait()
        if self.error:
            raise self.error
        self.added += changes
        return await self.index.add(changes)

    async def find(self, *args: Any) -> Sequence[Match]:
        if self.error:
            raise self.error
        return await self.index.find(*args)

    async def close(self) -> None:
        await self.index.close()


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    engine = MemoryEngine(Disk())
    await engine.claim()
    yield engine
    await engine.close()


@pytest.fixture
def index(tmp_path: Path) -> Controlled:
    return Controlled(tmp_path)


@pytest.fixture
async def search(engine: MemoryEngine, index: Controlled, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Search]:
    monkeypatch.setattr(search_module, "TRY_EVERY", 0.01)
    monkeypatch.setattr(search_module, "PATIENCE", 60.0)
    async with Search(engine, index) as search:
        yield search


async def found(search: Search, text: str, principal: str = "local") -> list[tuple[str, str | None]]:
    hits, _ = await search.find(principal, text, None, 100)
    return [(hit.id, hit.match.message_id) for hit in hits]


async def test_what_was_stored_before_the_question_is_found(engine: MemoryEngine, search: Search) -> None:
    for n in range(20):
        await engine.commit(commit(new_conversation(f"c{n}", [user_message("m", text=f"tea number{n}")])))

        assert await found(search, f"number{n} tea") == [(f"c{n}", "m")]


async def test_a_reply_is_found_once_it_has_ended(engine: MemoryEngine, search: Search) -> None:
    reply = accepted("r", "m")
    await engine.commit(commit(new_conversation("c", [user_message("m", text="Why?"), reply])))
    assert await found(search, "because") == []

    await engine.commit(commit(Entry("conversation/c", (), [SaveReply(completed(reply, "Because.", later(1)))])))

    assert await found(search, "because") == [("c", "r")]


async def test_a_hit_is_its_conversation_with_the_place_of_the_match(engine: MemoryEngine, search: Search) -> None:
    await engine.commit(commit(new_conversation("c", [user_message("m", text="😀 Green tea")], title="All of tea")))
    listed = (await engine.conversations("local", None, 1))[0][0]

    (hit,), _ = await search.find("local", "tea", None, 10)
    (title,), _ = await search.find("local", "of tea", None, 10)

    assert (hit.id, hit.title, hit.head, hit.updated_at) == ("c", listed.title, listed.head, listed.updated_at)
    assert (hit.match.message_id, hit.match.text, hit.match.ranges) == ("m", "😀 Green tea", [(9, 12)])
    assert (title.match.message_id, title.match.text, title.match.ranges) == (None, "All of tea", [(4, 6), (7, 10)])


async def test_an_old_title_is_not_found(engine: MemoryEngine, search: Search) -> None:
    await engine.commit(commit(new_conversation("c", title="Old")))
    assert await found(search, "old") == [("c", None)]

    await engine.commit(commit(Entry("conversation/c", (), [Rename("New", later(1))])))

    assert await found(search, "old") == []
    assert await found(search, "new") == [("c", None)]


async def test_nobody_finds_what_is_anothers(engine: MemoryEngine, search: Search) -> None:
    await engine.commit(commit(new_conversation("c", [user_message("m", text="tea")], principal="ann")))

    assert await found(search, "tea") == []
    assert await found(search, "tea", "ann") == [("c", "m")]


async def test_what_is_deleted_while_a_search_runs_is_not_shown(
    engine: MemoryEngine, search: Search, index: Controlled
) -> None:
    await engine.commit(commit(*(new_conversation(id, [user_message("m", text="tea")]) for id in "cd")))
    find = index.find

    async def find_late(*args: Any) -> Sequence[Match]:
        matches = await find(*args)
        await engine.commit(commit(Entry("conversation/c", (), [DropConversation()])))
        return matches

    index.find = find_late

    assert await found(search, "tea") == [("d", "m")]


async def test_a_title_that_changes_while_a_search_runs_is_not_shown(
    engine: MemoryEngine, search: Search, index: Controlled
) -> None:
    await engine.commit(commit(new_conversation("c", title="Old")))
    find = index.find

    async def find_late(*args: Any) -> Sequence[Match]:
        matches = await find(*args)
        await engine.commit(commit(Entry("conversation/c", (), [Rename("New", later(1))])))
        return matches

    index.find = find_late

    assert await found(search, "old") == []


async def test_pages_hold_everything_once(
    engine: MemoryEngine, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"c{n}" for n in range(25)]
    for n, id in enumerate(ids):
        messages = [user_message("m", text="tea " + "x" * 300, at=later(n // 3))]
        await engine.commit(commit(new_conversation(id, messages, at=later(n // 3))))
    listed = [c.id for c in (await engine.conversations("local", None, 100))[0]]

    for limit, page_bytes in ((7, 10**6), (25, 10**6), (10, 1000)):
        monkeypatch.setattr(search_module, "_PAGE_BYTES", page_bytes)
        seen, place = [], None
        while True:
            hits, place = await search.find("local", "tea", place, limit)
            assert 0 < len(hits) <= limit
            seen += [hit.id for hit in hits]
            if place is None:
                break

        assert seen == listed


@pytest.mark.parametrize("text", ["", "  ", "!?", '"*()-^:', "\0", "\u200b", "_"])
async def test_a_search_without_a_word_finds_nothing(engine: MemoryEngine, search: Search, text: str) -> None:
    await engine.commit(commit(new_conversation("c", [user_message("m", text="!? tea")])))

    assert await search.find("local", text, None, 10) == ([], None)


async def test_a_search_that_is_too_long_is_refused(search: Search) -> None:
    with pytest.raises(Invalid):
        await search.find("local", "x" * (MAX_QUERY_CHARACTERS + 1), None, 10)

    assert await search.find("local", "x" * MAX_QUERY_CHARACTERS, None, 10) == ([], None)


async def test_too_many_searches_at_a_time_are_refused(engine: MemoryEngine, search: Search, index: Controlled) -> None:
    index.may_add.clear()
    await engine.commit(commit(new_conversation("c", [user_message("m", text="tea")])))
    searches = [asyncio.create_task(found(search, "tea")) for _ in range(MAX_SEARCHES)]
    while search._searches < MAX_SEARCHES:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)

    with pytest.raises(TooMany):
        await found(search, "tea")
    index.may_add.set()

    assert await asyncio.gather(*searches) == [[("c", "m")]] * MAX_SEARCHES
    assert await found(search, "tea") == [("c", "m")]


async def test_an_index_that_is_behind_says_so(
    engine: MemoryEngine, search: Search, index: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "PATIENCE", 0.01)
    index.may_add.clear()
    await engine.commit(commit(new_conversation("c", [user_message("m", text="tea")])))

    with pytest.raises(NotReady):
        await found(search, "tea")
    index.may_add.set()
    monkeypatch.setattr(search_module, "PATIENCE", 60.0)

    assert await found(search, "tea") == [("c", "m")]


@pytest.mark.parametrize("error", [NotStoring("The disk is full."), RuntimeError("a bug")])
async def test_an_index_that_fails_fails_alone_and_comes_back(
    engine: MemoryEngine, search: Search, index: Controlled, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level(logging.INFO)
    index.error = error
    await engine.commit(commit(new_conversation("c", [user_message("m", text="tea")])))

    opened = index.opened
    for _ in range(3):
        with pytest.raises(NotStoring):
            await found(search, "tea")
    while index.opened < opened + 5:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)
    index.error = None
    while search._error:  # noqa: ASYNC110
        await asyncio.sleep(0.001)

    assert await found(search, "tea") == [("c", "m")]
    said = [record.getMessage() for record in caplog.records if record.name == "app.search"]
    assert [line.partition(":")[0] for line in said if "anew" not in line] == [
        "search does not work",
        "search works again",
    ]


async def test_a_damaged_index_is_made_anew_by_the_search_that_meets_the_damage(
    engine: MemoryEngine, search: Search, tmp_path: Path
) -> None:
    texts = [f"tea {n} " + "word " * 200 for n in range(200)]
    for n, text in enumerate(texts):
        await engine.commit(commit(new_conversation(f"c{n}", [user_message("m", text=text)])))
    assert len(await found(search, "tea")) == 100
    with sqlite3.connect(tmp_path / "search.db") as db:
        db.execute("UPDATE texts_data SET block = zeroblob(30) WHERE id > 10")
    db.close()

    with pytest.raises(NotStoring):
        await found(search, "tea")
    while search._error:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)

    assert len(await found(search, "tea")) == 100


async def test_nothing_is_indexed_twice_by_another_search_over_the_same_file(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    first, second = Controlled(tmp_path), Controlled(tmp_path)
    await engine.commit(commit(new_conversation("c", [user_message("m", text="tea")])))
    async with Search(engine, first) as search:
        assert await found(search, "tea") == [("c", "m")]
    await engine.commit(commit(add_messages("c", [user_message("n", text="more tea")], first=2)))

    async with Search(engine, second) as search:
        assert await found(search, "tea") == [("c", "n")]

    assert [(change.position, change.text) for change in second.added] == [(1, "more tea")]


async def test_a_search_that_ends_does_not_wait_for_the_rest_of_the_index(
    engine: MemoryEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "_BATCH", 1)
    index = Controlled(tmp_path)
    for n in range(50):
        await engine.commit(commit(new_conversation(f"c{n}", [user_message("m", text="tea " * 50_000)])))

    async with Search(engine, index):
        while not index.added:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)

    assert len(index.added) < 10
    assert [task for task in asyncio.all_tasks() if task.get_name() == "search-follow"] == []
