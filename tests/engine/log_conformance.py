"""What every engine promises about streams: settling loses nothing, and reads are in order and without a hole."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from app.engine.base import Commit, DropConversation, Engine, Entry, Settlement
from app.events import BroadcastMessage, Record
from tests.engine.store import Store
from tests.support.commits import commit, new_conversation, new_stream, records, to_records, user_message

TEXTS = ["", " ", "\0", "a\r\nb\n\n", "ü🙂\u2028\u2029\x85", "\u202eabc", "x" * 300_000, '"}],\\']


class LogConformance:
    """Part of `EngineConformance`."""

    @staticmethod
    def settlement(stream: str, first: int, last: int, keep_from: int = 0) -> Settlement:
        return Settlement(stream, records(first, last), keep_from)

    # Streams and the journal

    async def test_an_unknown_stream_is_none_and_one_without_events_is_not(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s")))

        assert await engine.stream("t") is None
        stored = await engine.stream("s")
        assert stored
        assert (stored.first, stored.last) == (1, 0)

    async def test_committed_records_come_back_with_the_next_claim_by_stream_and_in_order(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 2), new_stream("t", 1, b"t")))
        await store.engine.commit(commit(Entry("t", records(2, 4))))
        await store.engine.commit(
            commit(Entry("t", records(5, 5)), Entry("s", records(3, 3)), Entry("t", records(6, 7)))
        )

        unsettled = await store.reopen()

        assert unsettled == {"s": records(1, 3), "t": records(1, 7)}

    async def test_records_come_back_byte_for_byte(self, store: Store) -> None:
        written = to_records(1, (BroadcastMessage(text) for text in TEXTS))
        await store.engine.commit(commit(new_stream("s")))
        await store.engine.commit(commit(Entry("s", written)))

        from_journal = (await store.reopen())["s"]
        await store.engine.commit(commit(settle=[Settlement("s", from_journal)]))
        from_blocks = await store.engine.read("s", 0, 100)

        assert from_journal == written
        assert from_blocks == written
        assert [record.event().text for record in from_blocks] == TEXTS

    async def test_an_entry_without_records_and_an_empty_commit_store_no_events(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s")))
        await store.engine.commit(commit(Entry("s", ())))
        await store.engine.commit(commit())

        assert await store.reopen() == {}

    # Settling

    async def test_settled_records_leave_the_journal_and_are_read_from_blocks(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 5)))

        await store.engine.commit(commit(settle=[self.settlement("s", 1, 5)]))

        stored = await store.engine.stream("s")
        assert stored
        assert (stored.first, stored.last) == (1, 5)
        assert await store.engine.read("s", 0, 100) == records(1, 5)
        assert await store.reopen() == {}

    async def test_what_is_left_of_a_stream_that_is_settled_in_part_stays_in_the_journal(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 5), new_stream("t", 1, b"t")))

        await store.engine.commit(
            commit(settle=[Settlement("s", records(1, 3), more=True), self.settlement("t", 1, 1)])
        )
        await store.engine.commit(commit(Entry("s", records(6, 7))))

        assert await store.engine.read("s", 0, 100) == records(1, 3)
        assert await store.reopen() == {"s": records(4, 7)}
        await store.engine.commit(commit(settle=[self.settlement("s", 4, 7)]))
        assert await store.reopen() == {}
        assert await store.engine.read("s", 0, 100) == records(1, 7)

    async def test_records_are_read_only_once_they_are_settled(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s", 5)))

        assert await engine.read("s", 0, 100) == []

    async def test_a_stream_settles_in_the_commit_that_brings_it_new_events(self, store: Store) -> None:
        await store.engine.commit(commit(new_stream("s", 5)))

        await store.engine.commit(commit(Entry("s", records(6, 9)), settle=[self.settlement("s", 1, 5)]))

        assert await store.reopen() == {"s": records(6, 9)}
        assert await store.engine.read("s", 0, 100) == records(1, 5)

    async def test_settling_one_stream_keeps_what_others_have_in_the_same_commits(self, store: Store) -> None:
        for n in range(1, 11):
            head = [new_stream("s"), new_stream("t", 0, b"t")] if n == 1 else []
            await store.engine.commit(commit(*head, Entry("s", records(n, n)), Entry("t", records(n, n))))

        await store.engine.commit(commit(settle=[self.settlement("s", 1, 10)]))
        assert await store.reopen() == {"t": records(1, 10)}

        await store.engine.commit(commit(Entry("s", records(11, 12)), settle=[self.settlement("t", 1, 10)]))
        assert await store.reopen() == {"s": records(11, 12)}

        await store.engine.commit(commit(settle=[self.settlement("s", 11, 12)]))
        assert await store.reopen() == {}
        assert await store.engine.read("s", 0, 100) == records(1, 12)
        assert await store.engine.read("t", 0, 100) == records(1, 10)

    @pytest.mark.parametrize("seed", range(6))
    async def test_any_order_of_appending_settling_and_reopening_loses_nothing(self, store: Store, seed: int) -> None:
        chance = random.Random(seed)
        names = ["a", "b", "c"]
        heads, settled = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        await store.engine.commit(commit(*(new_stream(name, 0, name.encode()) for name in names)))

        for _ in range(25):
            settling = [name for name in names if heads[name] > settled[name] and chance.random() < 0.25]
            settle = [self.settlement(name, settled[name] + 1, heads[name]) for name in settling]
            settled |= {name: heads[name] for name in settling}
            entries = []
            for name in chance.choices(names, k=chance.randrange(4)):
                count = chance.randrange(4)
                entries.append(Entry(name, records(heads[name] + 1, heads[name] + count)))
                heads[name] += count
            await store.engine.commit(Commit(entries, settle))
            if chance.random() < 0.2:
                unsettled = await store.reopen()
                assert unsettled == {n: records(settled[n] + 1, heads[n]) for n in names if heads[n] > settled[n]}

        for name in names:
            stored = await store.engine.stream(name)
            assert stored
            assert stored.last == settled[name]
            assert await store.engine.read(name, 0, 1000) == records(1, settled[name])

    # Reading

    @pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 2048, 2049])
    async def test_every_number_is_read_across_the_boundaries_of_blocks(self, engine: Engine, count: int) -> None:
        await engine.commit(commit(new_stream("s", count)))
        await engine.commit(commit(settle=[self.settlement("s", 1, count)]))
        await engine.commit(commit(Entry("s", records(count + 1, count + 3))))
        await engine.commit(commit(settle=[self.settlement("s", count + 1, count + 3)]))

        places = {0, 1, 2, 1022, 1023, 1024, 1025, 2047, 2048, 2049, count - 1, count, count + 1, count + 2}
        for after in (place for place in places if place < count + 3):
            assert await engine.read("s", after, 10_000) == records(after + 1, count + 3), after

        stored = await engine.stream("s")
        assert stored
        assert (stored.first, stored.last) == (1, count + 3)
        assert await engine.read("s", count + 3, 10) == []
        assert await engine.read("s", count + 1000, 10) == []

    async def test_reading_on_from_the_last_record_gets_everything_once(self, engine: Engine) -> None:
        await self._write_in_blocks(engine, [3, 1024, 1, 700, 1025])

        for limit in (1, 50, 1000, 10_000):
            seen: list[Record] = []
            while batch := await engine.read("s", len(seen), limit):
                seen += batch
                assert len(batch) <= limit + 1024
            assert seen == records(1, 2753)

    async def test_a_batch_is_bounded_by_its_limit_and_one_block(self, engine: Engine) -> None:
        await self._write_in_blocks(engine, [1024] * 4)

        assert len(await engine.read("s", 0, 1)) <= 1025
        assert len(await engine.read("s", 1000, 1000)) <= 2024

    async def test_an_unknown_stream_holds_no_records(self, engine: Engine) -> None:
        await self._write_in_blocks(engine, [3])

        assert await engine.read("t", 0, 10) == []

    async def test_streams_do_not_mix(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s"), new_stream("t", 0, b"t")))
        await engine.commit(commit(Entry("s", records(1, 4, "of s")), Entry("t", records(1, 6, "of t"))))
        await engine.commit(
            commit(settle=[Settlement("s", records(1, 4, "of s")), Settlement("t", records(1, 6, "of t"))])
        )

        assert await engine.read("s", 0, 100) == records(1, 4, "of s")
        assert await engine.read("t", 2, 100) == records(3, 6, "of t")

    async def test_blocks_that_end_before_keep_from_may_go_and_nothing_else(self, engine: Engine) -> None:
        await self._write_in_blocks(engine, [10, 10, 10])

        await engine.commit(commit(Entry("s", records(31, 40))))
        await engine.commit(commit(settle=[self.settlement("s", 31, 40, keep_from=21)]))

        stored = await engine.stream("s")
        assert stored
        assert stored.first <= 21
        assert stored.last == 40
        assert await engine.read("s", stored.first - 1, 1000) == records(stored.first, 40)
        assert await engine.read("s", 20, 1000) == records(21, 40)

    async def test_keep_from_within_a_block_keeps_the_whole_of_it(self, engine: Engine) -> None:
        await self._write_in_blocks(engine, [10, 10])
        await engine.commit(commit(Entry("s", records(21, 22))))

        await engine.commit(commit(settle=[self.settlement("s", 21, 22, keep_from=20)]))

        assert await engine.read("s", 19, 1000) == records(20, 22)

    # Deletion

    @pytest.mark.parametrize("settled", [False, True])
    async def test_a_dropped_conversation_leaves_nothing_but_its_neighbours(self, store: Store, settled: bool) -> None:
        engine = store.engine
        kept = new_conversation("kept", [user_message("k")])
        gone = new_conversation("gone", [user_message("g")])
        await engine.commit(commit(kept, gone))
        if settled:
            await engine.commit(commit(settle=[Settlement(gone.stream, gone.records)]))
        before = await engine.conversation("kept")

        await engine.commit(commit(Entry(gone.stream, records(2, 2), [DropConversation()])))

        assert await engine.stream(gone.stream) is None
        assert await engine.read(gone.stream, 0, 10) == []
        assert await engine.conversation("gone") is None
        assert await engine.page("gone", None, 10, 10**6) == ([], None)
        assert await engine.messages("gone", ["g"]) == {}
        assert await engine.conversation("kept") == before
        assert [c.id for c in (await engine.conversations("local", None, 10))[0]] == ["kept"]
        assert await store.reopen() == {kept.stream: list(kept.records)}

    async def test_a_name_that_was_dropped_begins_anew_with_another_epoch(self, store: Store) -> None:
        gone = new_conversation("c", [user_message("g")])
        await store.engine.commit(commit(gone))
        await store.engine.commit(commit(settle=[Settlement(gone.stream, gone.records)]))
        epoch = (await store.engine.stream(gone.stream)).epoch
        await store.engine.commit(commit(Entry(gone.stream, (), [DropConversation()])))

        await store.engine.commit(commit(new_stream(gone.stream, 3, b"another salt")))

        stored = await store.engine.stream(gone.stream)
        assert stored
        assert stored.epoch != epoch
        assert await store.engine.read(gone.stream, 0, 10) == []
        assert await store.reopen() == {gone.stream: records(1, 3)}

    async def test_a_dropped_conversation_does_not_hold_the_records_of_others(self, store: Store) -> None:
        gone = new_conversation("gone", [user_message("g")])
        await store.engine.commit(commit(gone, new_stream("s", 4)))

        await store.engine.commit(
            commit(Entry(gone.stream, records(2, 2), [DropConversation()]), settle=[self.settlement("s", 1, 4)])
        )

        assert await store.reopen() == {}

    async def _write_in_blocks(self, engine: Engine, sizes: Sequence[int]) -> None:
        """Write a stream `s` whose settlements have these sizes."""
        await engine.commit(commit(new_stream("s")))
        head = 0
        for size in sizes:
            await engine.commit(commit(Entry("s", records(head + 1, head + size))))
            await engine.commit(commit(settle=[self.settlement("s", head + 1, head + size)]))
            head += size
