"""Taking an export in, below the edge: all of it or nothing, and how many at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from app.errors import Draining, NotStoring, TooMany
from app.exports import Export
from app.idempotency import Answers, Key
from app.ids import conversation_stream
from app.imports import MAX_IMPORTS, Imports
from app.messages import text_message
from app.retold import Retold, retell
from app.settings import Settings
from tests.support.commits import NOW
from tests.support.core import Core, open_core

LATER = NOW + timedelta(days=1)
KEY = Key.of("local", "POST", "/conversations/import", "a key", b"{}")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(tmp_path) as core:
        yield core


@pytest.fixture
def imports(core: Core) -> Imports:
    return Imports(core.log, core.running, Answers(core.engine))


@pytest.fixture
def retold() -> Retold:
    message = text_message(id="m", role="user", parent=None, text="Sing", created_at=NOW)
    written = msgspec.json.encode({"conversation": {"title": "Songs"}, "messages": [message]})
    return retell(msgspec.json.decode(written, type=Export), Settings(), LATER)


async def test_an_import_is_stored_as_its_events_tell_it(core: Core, imports: Imports, retold: Retold) -> None:
    imported, again = await imports.take("local", retold)

    stored = await core.engine.conversation(imported.conversation.id)
    assert not again
    assert stored
    assert (stored.principal, stored.conversation) == ("local", imported.conversation)
    assert stored.conversation.updated_at == LATER
    assert [outline.id for outline in stored.outlines] == [retold.messages[0].id]


async def test_an_import_that_the_store_does_not_take_leaves_nothing(
    core: Core, imports: Imports, retold: Retold
) -> None:
    name = conversation_stream(retold.conversation.id)
    core.engine.full = True

    with pytest.raises(NotStoring):
        await imports.take("local", retold, key=KEY)

    core.engine.full = False
    assert name not in core.log.tails.held
    assert await core.engine.stream(name) is None
    assert await core.engine.conversation(retold.conversation.id) is None
    assert (await imports.take("local", retold, key=KEY))[1] is False


async def test_a_draining_server_takes_no_import(core: Core, imports: Imports, retold: Retold) -> None:
    imported, _ = await imports.take("local", retold, key=KEY)
    core.running.draining.set()

    with pytest.raises(Draining):
        await imports.take("local", retold)

    assert await imports.take("local", retold, key=KEY) == (imported, True), "what was answered is answered again"


async def test_only_so_many_imports_may_be_on_their_way(imports: Imports) -> None:
    places = [imports.place() for _ in range(MAX_IMPORTS)]
    for place in places:
        place.__enter__()

    with pytest.raises(TooMany), imports.place():
        pass
    places.pop().__exit__(None, None, None)
    with imports.place():
        pass
    for place in places:
        place.__exit__(None, None, None)
