"""The log after a kill: what the journal gives back, and the stores that are refused."""

from __future__ import annotations

import asyncio

import pytest

from app import cadence
from app.errors import NotStoring, StartError
from app.events import Record
from app.history import History, fold
from app.log import Log
from tests.support.commits import conversation
from tests.support.logs import kill, running_talk, until, whole_log
from tests.support.memory import Disk, MemoryEngine
from tests.support.talk import Talk

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def no_pacing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "QUIET", 0)
    monkeypatch.setattr(cadence, "BUSY", 0)


# A journal that a kill left


@pytest.mark.parametrize("tokens", [0, 1, 700, 2300], ids=lambda n: f"{n} tokens")
async def test_a_running_reply_is_rebuilt_from_journal_and_blocks(engine: MemoryEngine, tokens: int) -> None:
    log = await Log(engine).__aenter__()
    talk, reply_id = await running_talk(log)
    for at in range(0, tokens, 100):
        await talk.say(reply_id, *(f"{n} " for n in range(at, min(tokens, at + 100)))).committed()
    before, head = talk.standing(reply_id), talk.tail.head
    conversation = talk.tail.history.conversation()
    await kill(log)

    async with Log(MemoryEngine(engine.disk)) as again:
        revived = await Talk.resume(again, "c")

        assert revived.tail.head == head
        assert revived.standing(reply_id) == before
        assert len(revived.standing(reply_id).text.split()) == tokens
        assert revived.tail.history.conversation() == conversation
        await revived.end(reply_id).committed()
        revived.leave()
        assert [r.seq for r in await whole_log(again, "conversation/c")] == list(range(1, head + 2))


async def test_several_replies_of_one_conversation_are_rebuilt_apart(engine: MemoryEngine) -> None:
    log = await Log(engine).__aenter__()
    talk, first = await running_talk(log)
    await talk.say(first, *["a"] * 600).committed()
    await talk.ask().committed()
    second = next(id for id in talk.drafts if id != first)
    await talk.start(second).committed()
    for _ in range(6):
        await talk.say(first, *["b"] * 100).committed()
        await talk.say(second, *["c"] * 100).committed()
    before = {id: talk.standing(id) for id in (first, second)}
    await kill(log)

    async with Log(MemoryEngine(engine.disk)) as again:
        revived = await Talk.resume(again, "c")

        assert {id: revived.standing(id) for id in (first, second)} == before
        assert before[first].text == "a" * 600 + "b" * 600
        assert revived.tail.history.running == [first, second]
        revived.leave()


async def test_what_a_kill_left_unsettled_is_settled_by_the_next_process(engine: MemoryEngine) -> None:
    log = await Log(engine).__aenter__()
    talk, reply_id = await running_talk(log)
    engine.refuse = lambda commit: bool(commit.settlements)
    await talk.end(reply_id).committed()
    await kill(log)

    async with Log(MemoryEngine(engine.disk)) as again:
        await until(lambda: not again.tails.held)

        assert [r.seq for r in await whole_log(again, "conversation/c")] == [1, 2, 3, 4]
    assert engine.disk.state.journal["conversation/c"] == ()


async def test_folding_the_whole_log_gives_the_history_in_memory(log: Log) -> None:
    talk, reply_id = await running_talk(log)
    await talk.say(reply_id, "Hel", "lo").committed()
    await talk.end(reply_id).committed()
    await talk.rename("New").committed()
    await talk.ask().committed()
    folded = History(conversation("c"))

    for record in await whole_log(log, "conversation/c"):
        fold(folded, record.event())

    assert folded.conversation() == talk.tail.history.conversation()
    assert [m.status for m in folded.messages.values()] == [m.status for m in talk.tail.history.messages.values()]
    assert folded.messages[reply_id] == (await log.engine.messages("c", [reply_id]))[reply_id]
    talk.leave()


# A start that fails


async def test_a_start_whose_first_commit_fails_lets_the_store_go(engine: MemoryEngine) -> None:
    engine.refuse = lambda commit: True
    before = asyncio.all_tasks()

    with pytest.raises((StartError, NotStoring)):
        await Log(engine).__aenter__()

    assert not engine.disk.owned
    assert asyncio.all_tasks() == before


async def test_a_store_whose_events_have_a_hole_is_refused_at_start(engine: MemoryEngine, disk: Disk) -> None:
    log = await Log(engine).__aenter__()
    talk, _ = await running_talk(log)
    talk.leave()
    await kill(log)
    journal = {**disk.state.journal, "conversation/c": disk.state.journal["conversation/c"][1:]}
    disk.state = type(disk.state)(**{**vars(disk.state), "journal": journal})

    with pytest.raises(StartError):
        await Log(MemoryEngine(disk)).__aenter__()

    assert not disk.owned


async def test_a_store_whose_events_cannot_be_understood_is_refused_at_start(engine: MemoryEngine, disk: Disk) -> None:
    log = await Log(engine).__aenter__()
    talk, reply_id = await running_talk(log)
    await talk.say(reply_id, "a").committed()
    await kill(log)
    *good, last = disk.state.journal["conversation/c"]
    broken = Record(last.seq, last.at, last.type, b'{"type":"reply.delta"}')
    disk.state = type(disk.state)(
        **{**vars(disk.state), "journal": {**disk.state.journal, "conversation/c": (*good, broken)}}
    )

    with pytest.raises(StartError):
        await Log(MemoryEngine(disk)).__aenter__()

    assert not disk.owned
