"""The conformance suite of engines: what `app.engine.base` promises, as tests.

An engine's own test module derives a class from each of these and says how one is made:

    class TestMyEngine(EngineConformance):
        def make_engine(self, folder): ...

Everything goes through the contract; nothing here knows how an engine stores.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from app.engine.base import (
    AddMessage,
    Commit,
    CreateConversation,
    CreateStream,
    DropConversation,
    Engine,
    Entry,
    KeepAnswer,
    Rename,
    SaveReply,
)
from app.errors import NotStoring, StartError
from tests.engine.branch_conformance import BranchConformance
from tests.engine.change_conformance import ChangeConformance
from tests.engine.log_conformance import LogConformance
from tests.engine.query_conformance import QueryConformance
from tests.engine.store import Store
from tests.support.commits import (
    NOW,
    SALT,
    accepted,
    commit,
    conversation,
    new_conversation,
    new_stream,
    records,
    running,
    user_message,
)

ROOT = Path(__file__).resolve().parents[2]


class EngineConformance(BranchConformance, LogConformance, QueryConformance, ChangeConformance):
    """All that an engine promises within one process."""

    def make_engine(self, folder: Path) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = Store(self.make_engine, tmp_path / "data")
        await store.open()
        yield store
        await store.engine.close()

    @pytest.fixture
    async def engine(self, store: Store) -> Engine:
        return store.engine

    # One owner

    async def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.unsettled == {}
        assert await store.engine.unfinished() == []
        assert await store.engine.conversations("local", None, 10) == ([], None)

    async def test_a_second_claim_is_refused_and_changes_nothing(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 3)))

        with pytest.raises(StartError):
            await self.make_engine(store.folder).claim()

        await store.engine.commit(commit(Entry("s", records(4, 5))))
        assert await store.reopen() == {"s": records(1, 5)}

    async def test_a_claim_succeeds_after_a_refused_one_once_the_owner_closed(self, store: Store) -> None:
        with pytest.raises(StartError):
            await self.make_engine(store.folder).claim()

        await store.reopen()

        await store.engine.commit(commit(new_stream("s", 1)))
        assert await store.engine.stream("s") is not None

    async def test_a_closed_engine_is_not_storing(self, store: Store) -> None:
        await store.engine.close()

        for call in (store.engine.stream("s"), store.engine.unfinished(), store.engine.commit(commit(new_stream("s")))):
            with pytest.raises(NotStoring):
                await call

    async def test_the_epoch_of_a_stream_is_known_before_it_is_stored_and_stays(self, store: Store) -> None:
        expected = store.engine.epoch(SALT)
        await store.engine.commit(commit(new_stream("s", 2)))

        await store.reopen()

        stored = await store.engine.stream("s")
        assert stored
        assert stored.epoch == store.engine.epoch(SALT) == expected
        assert store.engine.epoch(b"another salt....") != expected

    # All or nothing

    @pytest.mark.parametrize(
        "last_row",
        [
            CreateStream(b"a stream that is there"),
            CreateConversation("local", conversation("c")),
            AddMessage(user_message("m")),
        ],
        ids=lambda row: type(row).__name__,
    )
    async def test_a_commit_that_fails_in_its_last_row_leaves_nothing(self, store: Store, last_row: object) -> None:
        await store.engine.commit(commit(new_conversation("c", [user_message("m"), accepted("r", "m")])))
        before = await self._seen(store.engine)
        keep = KeepAnswer(b"scope", b"request", b"answer", NOW)

        with pytest.raises(NotStoring):
            await store.engine.commit(
                Commit(
                    [
                        new_stream("fresh", 3),
                        new_conversation("fresh", [user_message("f")]),
                        Entry("conversation/c", records(3, 4), [SaveReply(running(accepted("r", "m"))), keep]),
                        Entry("conversation/c", records(5, 5), [Rename("Another", NOW), last_row]),
                    ]
                )
            )

        assert await self._seen(store.engine) == before
        unsettled = await store.reopen()
        assert await self._seen(store.engine) == before
        assert {name: len(found) for name, found in unsettled.items()} == {"conversation/c": 2}

    async def test_a_failed_commit_takes_back_its_settlements_and_its_deletion(self, store: Store) -> None:
        await store.engine.commit(commit(new_conversation("c", [user_message("m")]), new_stream("s", 4)))
        before = await self._seen(store.engine)

        with pytest.raises(NotStoring):
            await store.engine.commit(
                commit(
                    Entry("conversation/c", (), [DropConversation()]),
                    Entry("s", (), [CreateStream(SALT)]),
                    settle=[self.settlement("s", 1, 4)],
                )
            )

        assert await self._seen(store.engine) == before
        assert await store.engine.read("s", 0, 10) == []
        assert (await store.reopen())["s"] == records(1, 4)

    async def test_the_same_engine_takes_commits_after_failed_ones(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 2)))
        for _ in range(3):
            with pytest.raises(NotStoring):
                await store.engine.commit(commit(Entry("s", records(3, 9), [CreateStream(SALT)])))

        await store.engine.commit(commit(Entry("s", records(3, 4, "another"))))

        assert await store.reopen() == {"s": records(1, 2) + records(3, 4, "another")}

    async def test_a_failed_commit_does_not_lose_records_at_the_next_settling(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 2), new_stream("t", 2, b"t")))
        with pytest.raises(NotStoring):
            await store.engine.commit(commit(Entry("s", (), [CreateStream(SALT)]), settle=[self.settlement("s", 1, 2)]))

        await store.engine.commit(commit(settle=[self.settlement("t", 1, 2)]))

        assert await store.reopen() == {"s": records(1, 2)}

    async def test_reads_beside_commits_see_whole_commits_only(self, store: Store) -> None:
        await store.engine.commit(commit(new_conversation("c")))
        torn: list[object] = []
        done = asyncio.Event()

        async def watch() -> None:
            while not done.is_set():
                stored = await store.engine.conversation("c")
                assert stored
                if len(stored.outlines) % 2:
                    torn.append(stored)

        watchers = [asyncio.create_task(watch()) for _ in range(3)]
        for n in range(30):
            pair = [AddMessage(user_message(f"m{n}")), AddMessage(accepted(f"r{n}", f"m{n}"))]
            await store.engine.commit(commit(Entry("conversation/c", (), pair)))
        done.set()
        await asyncio.gather(*watchers)

        assert torn == []
        assert len((await store.engine.conversation("c")).outlines) == 60

    async def _seen(self, engine: Engine) -> list[object]:
        """All that the queries say."""
        return [
            await engine.stream("s"),
            await engine.stream("fresh"),
            await engine.conversation("c"),
            await engine.conversation("fresh"),
            await engine.conversations("local", None, 10),
            await engine.page("c", None, 10, 10**6),
            await engine.reply("c", "r"),
            await engine.unfinished(),
            await engine.answer(b"scope", NOW),
        ]


class ProcessConformance:
    """What an engine promises when processes come and go; `child` names its factory for `tests/engine/child.py`."""

    child: str

    def make_engine(self, folder: Path) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    async def spawn(self, tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[asyncio.subprocess.Process]]]:
        children: list[asyncio.subprocess.Process] = []

        async def spawn(what: str) -> asyncio.subprocess.Process:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.engine.child", self.child, str(tmp_path / "data"), what),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
            children.append(process)
            return process

        yield spawn
        for process in children:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def test_a_claim_of_another_process_is_refused_and_changes_nothing(
        self, tmp_path: Path, spawn: Callable[[str], Awaitable[asyncio.subprocess.Process]]
    ) -> None:
        store = Store(self.make_engine, tmp_path / "data")
        await store.open()
        await store.engine.commit(commit(new_stream("s", 3)))

        refused = await spawn("claim")
        said = await refused.stdout.readline()

        assert said.startswith(b"StartError ")
        await store.engine.commit(commit(Entry("s", records(4, 4))))
        assert await store.reopen() == {"s": records(1, 4)}
        await store.engine.close()
        allowed = await spawn("claim")
        assert await allowed.stdout.readline() == b"claimed\n"

    async def test_what_was_acknowledged_survives_sigkill_in_mid_commit(
        self, tmp_path: Path, spawn: Callable[[str], Awaitable[asyncio.subprocess.Process]]
    ) -> None:
        store = Store(self.make_engine, tmp_path / "data")
        acknowledged, rounds = 0, 3

        for round_ in range(rounds):
            process = await spawn("write")
            for _ in range(5 + 7 * round_):
                acknowledged = int(await process.stdout.readline())
            process.kill()
            rest = (await process.communicate())[0].split(b"\n")
            acknowledged = max([acknowledged, *(int(line) for line in rest[:-1])])
            await store.open()
            stored = await store.engine.stream("s")
            settled = await store.engine.read("s", 0, 10**6)
            await store.engine.close()

            found = settled + store.unsettled.get("s", [])
            assert stored
            assert stored.last == len(settled)
            assert found == records(1, len(found))
            assert len(found) >= acknowledged
